"""``fftp-tag``: tags of audio files on the command line.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path
from pickle import UnpicklingError

# What loading a folder raises if files are missing, damaged or of another kind.
LOADING_ERRORS = (
    OSError,
    ImportError,
    KeyError,
    RuntimeError,
    ValueError,
    UnpicklingError,
)


def positive(text):
    """A positive whole number from the command line.

    Arguments
    ---------
    text : str
        What was typed.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If it is something else.

    Example
    -------
    >>> positive("5")
    5
    """
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


def main(argv=None):
    """Prints the most probable tags of each file.

    Arguments
    ---------
    argv : list of str, optional
        Arguments of the command line; those of the process when absent.

    Returns
    -------
    int
        Exit status: 0, or 1 if a file or the model could not be read.

    Example
    -------
    >>> main(["clip.wav", "--model", "no_such_folder"])
    1
    """
    parser = argparse.ArgumentParser(prog="fftp-tag", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio files")
    parser.add_argument(
        "--model",
        required=True,
        metavar="FOLDER",
        help="inference folder of a trained model, such as "
        "results/demo/inference, which `make demo` makes",
    )
    parser.add_argument(
        "--top-k",
        type=positive,
        default=5,
        metavar="N",
        help="tags per file (default 5)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ...")
    args = parser.parse_args(argv)

    # Late: `fftp-tag --help` need not wait for torch.
    from speechbrain_fftp.inference.tagging import AudioTagger

    model = Path(args.model)
    if not (model / "hyperparams.yaml").is_file():
        print(
            f"fftp-tag: {model} holds no hyperparams.yaml. Give --model the "
            "inference folder of a trained model; `make demo` makes one in "
            "results/demo/inference.",
            file=sys.stderr,
        )
        return 1
    try:
        tagger = AudioTagger.from_hparams(
            str(model.resolve()), run_opts={"device": args.device}
        )
    except LOADING_ERRORS as error:
        print(
            f"fftp-tag: the model in {model} cannot be loaded on "
            f"{args.device}. {type(error).__name__}: {error}",
            file=sys.stderr,
        )
        return 1
    status = 0
    for path in args.files:
        try:
            tags = tagger.tag_file(path, top_k=args.top_k)
        except (OSError, ValueError) as error:
            print(f"fftp-tag: {error}", file=sys.stderr)
            status = 1
            continue
        print(path)
        for tag in tags:
            print(f"  {tag.probability:.3f}  {tag.label}")
    return status


if __name__ == "__main__":
    sys.exit(main())
