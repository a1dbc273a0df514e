"""The command ``fftp-tag``: tags audio files, serves a page, exports models.

Authors
 * The speechbrain_fftp authors 2026
"""

# torch is imported only when a model is loaded: --help must be fast.
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from speechbrain_fftp.cli.output import OUTPUT_FORMATS, Output, find_files

DESCRIPTION = """\
Prints the most probable tags of audio files, or a timeline of events.

Other commands: "fftp-tag serve" tags clips on a page in the browser, "fftp-tag
export" converts a model. To tag a file named "serve", write ./serve.
"""
GET_MODEL = (
    "Set --model to the inference folder of a trained model; `make demo` makes "
    "one in results/demo/inference."
)
# Reported without a traceback: missing packages, missing or damaged files,
# unsuitable options or devices.
EXPECTED_ERRORS = (ImportError, OSError, RuntimeError, ValueError)


def main(argv=None):
    """Runs the command with these arguments, by default those of the process.

    Returns the exit status: 0; 1 if a file or the model could not be read; 2 if
    the options do not suit the model. Invalid options end the process with 2.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # file names can be any bytes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    commands = {"serve": _serve, "export": _export}
    try:
        return commands.get(argv[0] if argv else "", _tag)(argv)
    except BrokenPipeError:  # the reader of the output has stopped, as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except EXPECTED_ERRORS as error:
        _report(error)
    return 1


def _tag(argv):
    """``fftp-tag FILE...``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio files, folders of audio files, or - for standard input",
    )
    parser.add_argument(
        "--top-k",
        type=positive,
        default=5,
        metavar="N",
        help="number of tags per file (default: 5)",
    )
    parser.add_argument(
        "--threshold",
        type=probability,
        metavar="P",
        help="drop tags below this probability; with --timeline, the "
        "probability that an event must reach (default: 0.5)",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="print events with start and end in seconds instead of tags",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="window length of the timeline (default: 10, or the model's "
        "maximum if that is less)",
    )
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="time between the starts of windows (default: half a window)",
    )
    parser.add_argument(
        "--format",
        choices=OUTPUT_FORMATS,
        default="table",
        help="output format (default: table); audacity is a label track of "
        "events and implies --timeline",
    )
    parser.add_argument(
        "--plot",
        metavar="PNG",
        help="draw the spectrogram and the timeline of the file",
    )
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda:0, ... (default: cpu)"
    )
    args = _parse(parser, argv)
    args.timeline |= args.format == "audacity"
    if not (args.timeline or args.plot) and (args.window or args.hop):
        parser.error("--window and --hop require --timeline or --plot")
    files, errors = find_files(args.files)
    if len(files) > 1 and (args.plot or args.format == "audacity"):
        parser.error("--plot and --format audacity take one file at a time")
    for error in errors:
        _report(error)
    return _tag_files(args, files) or (1 if errors else 0)


def _serve(argv):
    """``fftp-tag serve``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag serve",
        description="Tags clips on a page in the browser.",
    )
    parser.add_argument(
        "--port",
        type=positive,
        default=7860,
        metavar="P",
        help="port of the page (default: 7860)",
    )
    args = _parse(parser, argv[1:])
    if not Path(args.model, "config.json").is_file():
        raise FileNotFoundError(f"{args.model} has no config.json. {GET_MODEL}")

    from speechbrain_fftp.cli.page import serve

    serve(args.model, port=args.port)
    return 0


def _export(argv):
    """``fftp-tag export``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag export", description="Converts a model."
    )
    parser.add_argument(
        "--to", choices=["onnx"], required=True, help="format to write"
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="file to write"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="8-bit weights: smaller and faster",
    )
    args = _parse(parser, argv[1:])
    tagger = _load_tagger(args.model, "cpu")

    from speechbrain_fftp.inference.onnx import export_onnx

    export_onnx(tagger, args.output, int8=args.int8)
    return 0


def positive(text):
    """A positive integer from the command line."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


def probability(text):
    """A number from 0 to 1 from the command line."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(f"{number} is not in 0..1")
    return number


def _parse(parser, argv):
    """Adds --model to a parser, parses the arguments and requires a model."""
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="inference folder of a trained model, such as "
        "results/demo/inference, which `make demo` makes",
    )
    args = parser.parse_intermixed_args(argv)
    if args.model is None:
        parser.error(f"no model was given. {GET_MODEL}")
    return args


def _load_tagger(model, device):
    """Loads a model: as data if it has a config.json, else by its yaml."""
    from speechbrain_fftp.inference.tagging import AudioTagger

    folder = Path(model)
    try:
        if (folder / "config.json").is_file():
            return AudioTagger.from_pretrained(folder, device=device)
        if (folder / "hyperparams.yaml").is_file():
            return AudioTagger.from_hparams(
                str(folder.resolve()), run_opts={"device": device}
            )
    except EXPECTED_ERRORS as error:
        raise ValueError(
            f"the model in {model} cannot be loaded on {device}. "
            f"{type(error).__name__}: {error}"
        ) from error
    raise FileNotFoundError(
        f"{model} has no config.json and no hyperparams.yaml. {GET_MODEL}"
    )


def _tag_files(args, files):
    """Prints the tags or events of files; returns the exit status."""
    from tqdm import tqdm

    tagger = _load_tagger(args.model, args.device)
    args.window = args.window or min(10.0, tagger.max_window)
    args.hop = args.hop or args.window / 2
    if args.timeline or args.plot:
        try:
            tagger.check_window(args.window, args.hop)
        except ValueError as error:
            _report(error)
            return 2
    output, status = Output(args.format, args.timeline), 0
    terminal = sys.stderr.isatty()
    several = terminal and len(files) > 1
    args.progress = terminal and not several
    for file in tqdm(files, unit="file", leave=False, disable=not several):
        try:
            found = _tag_file(args, tagger, file)
        except EXPECTED_ERRORS as error:
            status = 1
            with tqdm.external_write_mode():
                _report(error)
            continue
        with tqdm.external_write_mode():
            output.add(file, found)
    output.close()
    return status


def _tag_file(args, tagger, file):
    """The tags or events of a file, or of standard input for ``-``."""
    if file != "-":
        return _tag_path(args, tagger, file)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "stdin")
        with open(path, "wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            return _tag_path(args, tagger, path)
        except ValueError as error:
            message = str(error).replace(path, "standard input")
            raise ValueError(message) from error


def _tag_path(args, tagger, path):
    """The tags or events of a file on disk, plotted if --plot is given."""
    options = {"progress": args.progress}
    windows = {"window": args.window, "hop": args.hop}
    if args.timeline:
        threshold = 0.5 if args.threshold is None else args.threshold
        found = tagger.tag_long(path, threshold=threshold, **windows, **options)
    else:
        found = tagger.tag_file(path, args.top_k, args.threshold, **options)
    if args.plot:
        from speechbrain_fftp.inference.plots import plot_tags

        timeline = tagger.analyze(path, **windows)
        plot_tags(args.plot, tagger, tagger.load_wav(path), timeline)
    return found


def _report(error):
    """Prints an error message to standard error."""
    print(f"fftp-tag: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
