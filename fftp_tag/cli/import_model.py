"""``fftp-tag import``: Converts a published model to a model.onnx.

SOURCE is one of
  an ONNX file, or a     of a form that docs/published.md lists
  folder with one
  a folder               with config.json, model.safetensors and
                         preprocessor_config.json: an AST
  owner/name[@revision]  either of these on the Hugging Face hub
  a .pth or .pt file     an AST, an Audio Mamba or an EfficientAT from its authors
  efficientat/mn04_as    or mn10_as: the authors' file, which is downloaded
All but ONNX files need PyTorch.
With --int8, it may also be a model.onnx or the output folder of a training.

With --data-folder, thresholds are learnt, see fftp-tag calibrate. A published model
has none.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fftp_tag.cli import options
from fftp_tag.errors import InputError
from fftp_tag.files import read_text
from fftp_tag.model import sources
from fftp_tag.model.edit import check_output, write_with_state

if TYPE_CHECKING:
    from fftp_tag.model.session import Model

HELP = "converts a published model, or stores weights in int8"
EXAMPLES = """\
  fftp-tag import efficientat/mn04_as
  fftp-tag import efficientat/mn04_as --data-folder my_clips
  fftp-tag import ast_folder ast.onnx
  fftp-tag import my_ast.pth my.onnx --labels labels.txt --mean -6.8 --std 5.6
  fftp-tag import results/demo small.onnx --int8"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="model to convert")
    parser.add_argument(
        "output",
        metavar="MODEL.onnx",
        nargs="?",
        help="file to write (default: the name of SOURCE, with .onnx)",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="text file with one class name per line (default: the model's, or "
        "AudioSet's)",
    )
    parser.add_argument(
        "--mean",
        type=options.number(float, -1000),
        help="mean of the features in training (default: the model's, or "
        "AudioSet's)",
    )
    parser.add_argument(
        "--std",
        type=options.number(float, 1e-6),
        help="standard deviation of the features in training",
    )
    parser.add_argument(
        "--single-label",
        action="store_true",
        default=None,
        help="each clip has exactly one class, so probabilities sum to 1",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="store the weights of the encoder in int8, which is smaller, and "
        "faster on CPUs",
    )
    parser.add_argument(
        "--state",
        action="store_true",
        help="add an input and an output with the state of a stream, for other "
        "programs, to a model with a look-ahead: see fftp_tag/model/state.py",
    )
    parser.add_argument(
        "--data-folder",
        metavar="DIR",
        help="labelled clips, to learn thresholds from",
    )


def run(args: argparse.Namespace) -> None:
    """Converts the model and prints a summary."""
    from fftp_tag.model.int8 import store_in_int8
    from fftp_tag.model.session import Model

    path = Path(args.output or default_name(args.source))
    check_output(path)
    if path.exists() and Path(args.source).exists():
        if path.samefile(args.source):
            raise InputError(f"{path} is the source: give another output")
    if (args.mean is None) != (args.std is None):
        raise InputError("--mean and --std go together")
    own = options.given(args, "labels", "mean", "std", "single_label")
    existing = sources.find_on_disk(args.source)
    if existing is None and not own and sources.may_be_on_hub(args.source):
        existing = sources.find_on_hub(args.source)
    if not isinstance(existing, Path):
        if existing is not None and own:
            raise InputError(
                f"{args.source} is an ONNX file, which has its labels and "
                f"settings beside it: leave --{', --'.join(own)} out"
            )
        if args.labels is not None:
            own["labels"] = read_text(args.labels).splitlines()
        sources.convert(args.source, path, existing, **own)
        existing = path
    else:
        Model(existing).check()
        if not (args.int8 or args.state):
            raise InputError(
                f"{args.source} is or holds a model.onnx already: use it as "
                "--model"
            )
        if own:
            raise InputError(
                f"{args.source} is or holds a model.onnx already: give --int8 alone, "
                "or --state"
            )
        if existing.resolve() == path.resolve():
            raise InputError(f"{path} is the source: give another output")
    if args.int8:
        try:
            store_in_int8(existing, path)
        except InputError as error:
            if existing == path:  # in float32
                path.unlink()
            raise InputError(f"{args.source}: {error}") from error
        existing = path
    if args.state:
        write_with_state(existing, path, Model(existing).info)
    if args.data_folder:
        from fftp_tag.cli.calibrate import report_calibration
        from fftp_tag.learning.calibrate import calibrate

        found = calibrate(path, args.data_folder, path, progress=True)
        report_calibration(path, found)
    describe(path, Model(path))


def default_name(source: str) -> str:
    """The name of the file to write, after that of the source."""
    if not Path(source).exists():
        source = source.partition("@")[0]  # of a revision
    path = Path(source)
    is_file = path.suffix in (".onnx", *sources.WEIGHTS)
    return f"{path.stem if is_file else path.name}.onnx"


def describe(path: Path, model: "Model") -> None:
    """Prints what a model is, and what it prints."""
    n_classes = len(model.labels)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {n_classes} "
        f"{'class' if n_classes == 1 else 'classes'}, clips up to "
        f"{model.max_samples / model.sample_rate:.1f} s at {model.sample_rate} Hz"
    )
    if n_classes and not model.rules.is_learnt:
        print(
            "without thresholds: prints the most probable tags, and events that "
            "reach 0.5; fftp-tag calibrate learns them from labelled clips"
        )
