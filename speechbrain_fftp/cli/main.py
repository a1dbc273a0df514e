"""``fftp-tag``: tags of audio files on the command line.

``fftp-tag serve`` shows a page in the browser, ``fftp-tag export`` converts a
model. (A file of that name is ``./serve``.)

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
import sys
from pathlib import Path

from speechbrain_fftp.cli.output import FORMATS, find_files
from speechbrain_fftp.cli.run import (
    GET_MODEL,
    LOADING_ERRORS,
    load_tagger,
    report,
    tag_files,
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


def probability(text):
    """A number in 0..1 from the command line.

    Arguments
    ---------
    text : str
        What was typed.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        If it is something else.

    Example
    -------
    >>> probability("0.5")
    0.5
    """
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(f"{number} is not in 0..1")
    return number


def main(argv=None):
    """Tags files, or does what the first argument says: serve or export.

    Arguments
    ---------
    argv : list of str, optional
        Arguments of the command line; those of the process when absent.

    Returns
    -------
    int
        Exit status: 0; 1 if a file or the model could not be read; 2 if the
        arguments do not fit the model. Arguments that are wrong whatever the
        model end the process with 2.

    Example
    -------
    >>> main(["clip.wav", "--model", "no_such_folder"])
    1
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # names of files are any bytes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    commands = {"serve": _serve, "export": _export}
    try:
        return commands.get(argv[0] if argv else "", _tag)(argv)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _tag(argv):
    """``fftp-tag FILE...``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag",
        description=__doc__.split("\n\nAuthors")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio files, folders of them, or - for standard input",
    )
    _add_model(parser)
    parser.add_argument(
        "--top-k",
        type=positive,
        default=5,
        metavar="N",
        help="tags per file (default 5)",
    )
    parser.add_argument(
        "--threshold",
        type=probability,
        metavar="P",
        help="only tags that are so probable; with --timeline, what an event "
        "must reach (default 0.5)",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="print events with start and end, in seconds, instead of tags",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="window of the timeline (default 10, or the model's longest)",
    )
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="from one window to the next (default half a window)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="audacity: a label track, implies --timeline",
    )
    parser.add_argument(
        "--plot",
        metavar="PNG",
        help="draw spectrogram and timeline of the file, with their windows",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ...")
    args = parser.parse_intermixed_args(argv)
    args.timeline |= args.format == "audacity"
    if not (args.timeline or args.plot) and (args.window or args.hop):
        parser.error("--window and --hop go with --timeline or --plot")
    _check_model(args, parser)
    files, errors = find_files(args.files)
    if len(files) > 1 and (args.plot or args.format == "audacity"):
        parser.error("--plot and --format audacity take one file at a time")
    return tag_files(args, files, errors)


def _serve(argv):
    """``fftp-tag serve``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag serve", description="Tags clips on a page in the browser"
    )
    _add_model(parser)
    parser.add_argument("--port", type=positive, default=7860, metavar="P")
    args = parser.parse_args(argv[1:])
    _check_model(args, parser)
    if not Path(args.model, "config.json").is_file():
        report(f"{args.model} holds no config.json. {GET_MODEL}")
        return 1

    from speechbrain_fftp.cli.page import serve

    try:
        serve(args.model, port=args.port)
    except LOADING_ERRORS as error:
        report(error)
        return 1
    return 0


def _export(argv):
    """``fftp-tag export``"""
    parser = argparse.ArgumentParser(
        prog="fftp-tag export", description="Writes a model in another form"
    )
    _add_model(parser)
    parser.add_argument("--to", choices=["onnx"], required=True)
    parser.add_argument("--output", required=True, metavar="FILE")
    parser.add_argument(
        "--int8", action="store_true", help="weights in 8 bits: smaller, faster"
    )
    args = parser.parse_args(argv[1:])
    _check_model(args, parser)
    tagger = load_tagger(args.model, "cpu")
    if tagger is None:
        return 1

    from speechbrain_fftp.inference.onnx import export_onnx

    try:
        export_onnx(tagger, args.output, int8=args.int8)
    except LOADING_ERRORS as error:
        report(error)
        return 1
    return 0


def _add_model(parser):
    """Adds the option that names the model."""
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="inference folder of a trained model, such as "
        "results/demo/inference, which `make demo` makes",
    )


def _check_model(args, parser):
    """Ends the process if no model was named."""
    if args.model is None:
        parser.error(f"there is no model. {GET_MODEL}")


if __name__ == "__main__":
    sys.exit(main())
