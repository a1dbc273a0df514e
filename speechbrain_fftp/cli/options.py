"""Options that the verbs of ``fftp-tag`` share, and how --model is loaded.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import importlib
import math
from pathlib import Path

from speechbrain_fftp.cli.output import report

YAML = "hyperparams.yaml"
GET_MODEL = (
    "Set --model to the inference folder of a trained model (`make demo` makes "
    "one in results/demo/inference), or to a published one: --model "
    "MIT/ast-finetuned-audioset-10-10-0.4593"
)


def new_parser(prog, module):
    """A parser of the options of a verb, which are its own and shared ones."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.DESCRIPTION,
        epilog="examples:\n" + module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    module.add_options(parser)
    if not hasattr(module, "NEEDS_NO_MODEL"):
        text = "inference folder of a trained model, such as results/demo/"
        text += "inference, or the folder above it; or a published model, see "
        add("--model", metavar="MODEL", help=f"{text}`fftp-tag import --help`")
        text = "load a model without config.json from its hyperparams.yaml, "
        text += "which can run any code on this machine"
        add("--trust-code", action="store_true", help=text)
        text = "CPU threads (default: one for small models, or PyTorch's)"
        add("--threads", type=in_range(int, 1, 1024), metavar="N", help=text)
        text = "frames from one token to the next (default: the model's own)"
        add("--stride", type=in_range(int, 1, 1024), metavar="N", help=text)
    add("--verbose", action="store_true", help="print tracebacks of errors")
    version = importlib.import_module("speechbrain_fftp").__version__
    add("--version", action="version", version=f"fftp-tag {version}")
    return parser


def add_threshold(parser, text, default=None):
    """Adds --threshold, which is 0.5 by default, also if that is None."""
    text += " (default: 0.5); auto: the model's threshold per class, see "
    parser.add_argument(
        "--threshold",
        type=in_range(float, 0, 1, "auto"),
        default=default,
        metavar="P",
        help=f"{text}fftp-tag calibrate",
    )


def add_windows(parser, window, more=""):
    """Adds --window, with this text, --hop, and --device."""
    hop = f"time between the starts of windows (default: half a window{more})"
    settings = {"type": in_range(float, 0.001), "metavar": "SECONDS"}
    parser.add_argument("--window", help=window, **settings)
    parser.add_argument("--hop", help=hop, **settings)
    text = "cpu, cuda:0, ... (default: cpu)"
    parser.add_argument("--device", default="cpu", help=text)


def windows_fit(args, tagger):
    """Whether --window, --hop and --threshold suit a model; reports."""
    from speechbrain_fftp.inference.events import check_thresholds

    try:
        tagger.check_window(args.window, args.hop)
        check_thresholds(getattr(args, "threshold", None), tagger.thresholds)
    except ValueError as error:
        report(error)
        return False
    return True


def parse(parser, argv):
    """Parses arguments. Those after ``--`` are files, also ``-dash.wav``."""
    end = argv.index("--") if "--" in argv else len(argv)
    args = parser.parse_intermixed_args(argv[:end])
    if "files" in args:
        args.files += argv[end + 1 :]
        if not args.files:
            parser.error("no file was given")
    elif argv[end + 1 :]:
        parser.error(f"unrecognized arguments: {' '.join(argv[end:])}")
    if getattr(args, "model", "") is None:
        parser.error(f"no model was given. {GET_MODEL}")
    return args


def given(args, *names):
    """Those of some options that have a value."""
    values = {name: getattr(args, name) for name in names}
    return {k: value for k, value in values.items() if value is not None}


def in_range(kind, low, high=math.inf, word=None):
    """An argument type: numbers from ``low`` to ``high``, or a word."""

    def convert(text):
        if text == word:
            return text
        with contextlib.suppress(ValueError):
            if low <= (number := kind(text)) <= high:
                return number
        wanted = "whole number" if kind is int else "number"
        wanted += f" from {low}" + f" to {high}" * (high < math.inf)
        wanted += f" or {word}" if word else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not a {wanted}")

    return convert


def find(source):
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
    """Loads --model from its data files, or by its yaml with --trust-code."""
    device, path = getattr(args, "device", "cpu"), find(args.model)
    options = {"threads": args.threads, "stride": args.stride}

    from speechbrain_fftp.inference.folder import FILES
    from speechbrain_fftp.inference.loading import AudioTagger

    def has_any(*names):
        return path.is_file() or any((path / x).is_file() for x in names)

    if not has_any(*FILES) and (path / "inference").is_dir():
        path = path / "inference"
    if has_any(*FILES):
        return AudioTagger.from_pretrained(path, device=device, **options)
    if not has_any(YAML):
        raise FileNotFoundError(
            f"{path} has no config.json and no {YAML}. {GET_MODEL}"
        )
    if not args.trust_code:
        raise ValueError(
            f"{path} has only {YAML}, which can run any code on this machine "
            "when it is loaded. Add --trust-code if you trust where it comes "
            f"from, or use a folder with {', '.join(FILES)}, which are data."
        )
    return AudioTagger.from_hparams(
        str(path.resolve()), run_opts={"device": device}, **options
    )
