"""``fftp-tag import``: converts a published model to a model.onnx.

SOURCE is one of
  owner/name[@revision]  an AST, a CED or a Dasheng on the Hugging Face hub
  a folder               with config.json, model.safetensors and
                         preprocessor_config.json, as on the hub
  a .pth or .pt file     the authors' file of an AST, an Audio Mamba or a Dasheng,
                         or PretrainedSED's of an ATST-Frame

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path

from fftp_tag.cli import options
from fftp_tag.edit import check_output
from speechbrain_fftp.dataio.errors import InputError

HELP = "converts a published model to a model.onnx"
EXAMPLES = """\
  fftp-tag import MIT/ast-finetuned-audioset-10-10-0.4593 ast.onnx
  fftp-tag import ATST-F_strong_1.pt atst.onnx
  fftp-tag import my_ast.pth my.onnx --labels labels.txt --mean -6.8 --std 5.6
  fftp-tag clip.wav --model ast.onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="the published model")
    parser.add_argument("output", metavar="MODEL.onnx", help="file to write")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="text file with the name of a class in each line (default: those "
        "of the model, or of AudioSet)",
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
        help="their standard deviation",
    )
    parser.add_argument(
        "--single-label",
        action="store_true",
        default=None,
        help="each clip has exactly one class: probabilities sum to 1",
    )


def run(args: argparse.Namespace) -> None:
    """Converts the model and prints what it is."""
    from fftp_tag.model import Model
    from fftp_tag.sources import convert, find_inside

    if args.source.endswith(".onnx") or find_inside(args.source):
        raise InputError(
            f"{args.source} is, or holds, a model.onnx already: give it to --model"
        )
    if (args.mean is None) != (args.std is None):
        raise InputError("--mean and --std go together")
    check_output(args.output)
    labels = None
    if args.labels is not None:
        labels = Path(args.labels).read_text("utf-8-sig").splitlines()
    convert(
        args.source,
        Path(args.output),
        labels=labels,
        **options.given(args, "mean", "std", "single_label"),
    )
    model = Model(args.output)
    seconds = model.max_samples / model.sample_rate
    print(
        f"{args.output}: {len(model.labels)} classes, "
        f"clips up to {seconds:.1f} s at {model.sample_rate} Hz"
    )
