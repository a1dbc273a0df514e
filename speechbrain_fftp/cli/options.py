"""Options that the verbs of ``fftp-tag`` share, and how --model is loaded.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import math
from pathlib import Path

from speechbrain_fftp import __version__
from speechbrain_fftp.cli.output import report

GET_MODEL = (
    "Set --model to the inference folder of a trained model, or to a published "
    "one: --model MIT/ast-finetuned-audioset-10-10-0.4593"
)


class UnsuitableOption(ValueError):
    """An option that does not suit the model."""


def new_parser(prog, module):
    """A parser of the options of a verb and of those of all verbs."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.DESCRIPTION,
        epilog=f"examples:\n{module.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_options(parser)
    if getattr(module, "NEEDS_MODEL", True):
        add_model(parser)
    parser.add_argument(
        "--verbose", action="store_true", help="print tracebacks of errors"
    )
    parser.add_argument(
        "--version", action="version", version=f"fftp-tag {__version__}"
    )
    return parser


def add_model(parser):
    """Adds --model and how it is loaded."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="inference folder of a trained model, such as "
        "results/demo/inference, or the folder above it; a file of `fftp-tag "
        "export`; or a published model, see `fftp-tag import --help`",
    )
    add_model_options(parser)


def add_model_options(parser):
    """Adds how a model is loaded."""
    parser.add_argument(
        "--threads",
        type=number_type(int, low=1, high=1024),
        metavar="N",
        help="CPU threads (default: as many as are worth it, at most PyTorch's)",
    )


def add_threshold(parser, text, default=None):
    """Adds --threshold, which is 0.5 by default, also if that is None."""
    parser.add_argument(
        "--threshold",
        type=number_type(float, low=0, high=1, word="auto"),
        default=default,
        metavar="P",
        help=f"{text} (default: 0.5); auto: the model's threshold per class, "
        "see fftp-tag calibrate",
    )


def add_windows(parser, window_help, hop_default="a quarter of it"):
    """Adds --window and --hop."""
    parser.add_argument(
        "--window",
        type=number_type(float, low=0.001),
        metavar="SECONDS",
        help=window_help,
    )
    parser.add_argument(
        "--hop",
        type=number_type(float, low=0.001),
        metavar="SECONDS",
        help=f"time between the starts of windows (default: {hop_default})",
    )


def add_device(parser):
    """Adds --device."""
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda:0, ... (default: cpu)"
    )


def check_fit(args, tagger):
    """Checks that --window, --hop and --threshold suit a model.

    Raises
    ------
    UnsuitableOption
        If they do not.
    """
    from speechbrain_fftp.inference.events import check_thresholds

    try:
        tagger.check_window(args.window, args.hop)
        check_thresholds(getattr(args, "threshold", None), tagger.thresholds)
    except ValueError as error:
        raise UnsuitableOption(str(error)) from error


def parse(parser, argv):
    """Parses arguments. Those after ``--`` are files, also ``-dash.wav``."""
    end = argv.index("--") if "--" in argv else len(argv)
    after = argv[end + 1 :]
    args = parser.parse_intermixed_args(argv[:end])
    if "files" in args:
        args.files += after
        if not args.files:
            parser.error("no file was given")
    elif after:
        parser.error(f"unrecognized arguments: -- {' '.join(after)}")
    if "model" in args and args.model is None:
        parser.error(f"no model was given. {GET_MODEL}")
    return args


def given(args, *names):
    """Those of some options that have a value, by name."""
    values = {name: getattr(args, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def number_type(kind, low, high=math.inf, word=None):
    """An argument type: numbers from ``low`` to ``high``, or a word."""
    wanted = "whole number" if kind is int else "number"
    wanted = f"{wanted} from {low}"
    if high < math.inf:
        wanted = f"{wanted} to {high}"
    if word is not None:
        wanted = f"{wanted} or {word}"

    def convert(text):
        """The value of an argument."""
        if text == word:
            return text
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {wanted}")
        return number

    return convert


def find_source(source):
    """The path of a model, downloaded if need be; reports its revision."""
    if not Path(source).exists() and source.count("/") != 1:
        # Known before PyTorch is imported
        raise FileNotFoundError(f"there is no {source}. {GET_MODEL}")

    from speechbrain_fftp.pretrained.hub import find_model

    path = find_model(source)
    if str(path) != str(Path(source)):
        report(f"{source} is revision {path.name}")
    return path


def load_tagger(args):
    """Loads --model, or the inference folder in a run's folder."""
    path = args.model
    if not path.endswith(".onnx"):  # which needs no torch
        path = find_source(path)
        if not (path / "config.json").is_file():
            inside = path / "inference"
            path = inside if inside.is_dir() else path

    from speechbrain_fftp.inference.tagger import AudioTagger

    return AudioTagger.from_pretrained(
        path, device=getattr(args, "device", "cpu"), threads=args.threads
    )
