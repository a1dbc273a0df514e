"""What ``fftp-tag`` does with a model and files.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from pickle import UnpicklingError

from speechbrain_fftp.cli.output import Output

# What loading a folder raises if files are missing, damaged or of another kind.
LOADING_ERRORS = (
    OSError,
    ImportError,
    KeyError,
    RuntimeError,
    ValueError,
    UnpicklingError,
)
GET_MODEL = (
    "Give --model the inference folder of a trained model; `make demo` makes "
    "one in results/demo/inference."
)


def load_tagger(model, device):
    """Loads a model, as data if it is there in that form.

    Arguments
    ---------
    model : str
        Its inference folder.
    device : str
        Where to run it.

    Returns
    -------
    AudioTagger or None
        None if it cannot be loaded; the reason has been reported then.

    Example
    -------
    >>> load_tagger("no_such_folder", "cpu") is None
    True
    """
    # Late: `fftp-tag --help` need not wait for torch.
    from speechbrain_fftp.inference.tagging import AudioTagger

    folder = Path(model)
    try:
        if (folder / "config.json").is_file():
            return AudioTagger.from_pretrained(folder, device=device)
        if not (folder / "hyperparams.yaml").is_file():
            report(
                f"{model} holds no config.json and no hyperparams.yaml. "
                f"{GET_MODEL}"
            )
            return None
        return AudioTagger.from_hparams(
            str(folder.resolve()), run_opts={"device": device}
        )
    except LOADING_ERRORS as error:
        report(
            f"the model in {model} cannot be loaded on {device}. "
            f"{type(error).__name__}: {error}"
        )
        return None


def tag_files(args, files, errors):
    """Loads the model and prints what it finds in the files.

    Arguments
    ---------
    args : argparse.Namespace
        The options of ``fftp-tag``.
    files : list of str
        The files, of which ``-`` is standard input.
    errors : list of str
        What went wrong before.

    Returns
    -------
    int
        Exit status, see ``speechbrain_fftp.cli.main.main``.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> args = SimpleNamespace(model="no_such_folder", device="cpu")
    >>> tag_files(args, ["clip.wav"], [])
    1
    """
    from tqdm import tqdm

    for error in errors:
        report(error)
    tagger = load_tagger(args.model, args.device)
    if tagger is None:
        return 1
    args.window = args.window or min(10.0, tagger.max_window)
    args.hop = args.hop or args.window / 2
    if args.timeline or args.plot:
        try:
            tagger.check_window(args.window, args.hop)
        except ValueError as error:
            report(error)
            return 2
    output = Output(args.format, args.timeline)
    terminal = sys.stderr.isatty()
    several = terminal and len(files) > 1
    args.progress = terminal and not several
    for file in tqdm(files, unit="file", leave=False, disable=not several):
        try:
            found = _tag_one(args, tagger, file)
        except (ImportError, OSError, ValueError) as error:
            errors.append(error)
            with tqdm.external_write_mode():
                report(error)
            continue
        with tqdm.external_write_mode():
            output.add(file, found)
    output.close()
    return 1 if errors else 0


def _tag_one(args, tagger, file):
    """The tags or the events of one file or of standard input."""
    if file == "-":
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stdin")
            with open(path, "wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
            try:
                return _tag_path(args, tagger, path)
            except ValueError as error:
                message = str(error).replace(path, "standard input")
                raise ValueError(message) from error
    return _tag_path(args, tagger, file)


def _tag_path(args, tagger, path):
    """The tags or the events of one file, which is also drawn if asked for."""
    windows = {"window": args.window, "hop": args.hop}
    if args.timeline:
        found = tagger.tag_long(
            path,
            threshold=0.5 if args.threshold is None else args.threshold,
            progress=args.progress,
            **windows,
        )
    else:
        found = tagger.tag_file(
            path, args.top_k, args.threshold, progress=args.progress
        )
    if args.plot:
        from speechbrain_fftp.inference.plots import plot_tags

        times, probs = tagger.timeline(path, **windows)
        plot_tags(tagger.load_wav(path), tagger, times, probs, args.plot)
    return found


def report(error):
    """Prints what went wrong to standard error.

    Arguments
    ---------
    error : str or Exception
        What went wrong.

    Example
    -------
    >>> report("nothing")
    """
    print(f"fftp-tag: {error}", file=sys.stderr)
