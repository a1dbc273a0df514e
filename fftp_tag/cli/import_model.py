"""``fftp-tag import``: Converts a published model to a model.onnx.

SOURCE is one of
  owner/name[@revision]  an AST, a CED or a Dasheng on the Hugging Face hub
  a folder               with config.json, model.safetensors and
                         preprocessor_config.json, as on the hub
  a .pth or .pt file     an AST, an Audio Mamba or a Dasheng from its authors,
                         or an ATST-Frame from PretrainedSED
With --int8, it may also be a model.onnx or the output folder of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import fftp_tag
from fftp_tag.cli import options
from fftp_tag.errors import counted
from fftp_tag.packages import require
from fftp_tag.tag.edit import check_output
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

HELP = "converts a published model, or stores weights in int8"
EXAMPLES = """\
  fftp-tag import MIT/ast-finetuned-audioset-10-10-0.4593 ast.onnx
  fftp-tag import ATST-F_strong_1.pt atst.onnx
  fftp-tag import my_ast.pth my.onnx --labels labels.txt --mean -6.8 --std 5.6
  fftp-tag import results/demo small.onnx --int8 \\
      --data-folder results/demo/prepared"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="model to convert")
    parser.add_argument("output", metavar="MODEL.onnx", help="file to write")
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
        "faster on CPUs; prints the largest change of a probability",
    )
    parser.add_argument(
        "--clips",
        nargs="+",
        metavar="PATH",
        help="with --int8: files or folders to compare probabilities on "
        "(default: eight generated clips)",
    )
    parser.add_argument(
        "--data-folder",
        metavar="DIR",
        help="with --int8: prepared folder, or data folder of the AudioSet "
        "recipe, to compare mAP on",
    )


def run(args: argparse.Namespace) -> None:
    """Converts the model and prints a summary."""
    from fftp_tag.tag.model import Model

    existing = find_existing(args.source)
    check_options(args, existing)
    if args.int8:
        write_int8(args, existing)
    else:
        convert(args, Path(args.output))
    model = Model(args.output)
    seconds = model.max_samples / model.sample_rate
    n = len(model.labels)
    print(
        f"{args.output}: {n} {'class' if n == 1 else 'classes'}, "
        f"clips up to {seconds:.1f} s at {model.sample_rate} Hz"
    )


def find_existing(source: str) -> Optional[Path]:
    """The model.onnx that is the source, or in its folder, if any."""
    from fftp_tag.tag.sources import find_inside

    return Path(source) if source.endswith(".onnx") else find_inside(source)


def check_options(args: argparse.Namespace, existing: Optional[Path]) -> None:
    """Raises an InputError for options that do not go together."""
    conversion = options.given(args, "labels", "mean", "std", "single_label")
    if existing is not None and not args.int8:
        raise InputError(
            f"{args.source} is or holds a model.onnx already: use it as --model"
        )
    if existing is not None and conversion:
        raise InputError(
            f"{args.source} is or holds a model.onnx already: leave "
            f"{', '.join(conversion)} out"
        )
    if (
        existing is not None
        and existing.resolve() == Path(args.output).resolve()
    ):
        raise InputError(f"{args.output} is the source: give another output")
    if not args.int8 and (args.clips or args.data_folder):
        raise InputError("--clips and --data-folder need --int8")
    if args.data_folder:
        require("sklearn", "--data-folder")
    if (args.mean is None) != (args.std is None):
        raise InputError("--mean and --std go together")
    check_output(args.output)


def convert(args: argparse.Namespace, path: Path) -> None:
    """Writes a published model to a path."""
    from fftp_tag.tag import sources

    labels = None
    if args.labels is not None:
        labels = Path(args.labels).read_text("utf-8-sig").splitlines()
    sources.convert(
        args.source,
        path,
        labels=labels,
        **options.given(args, "mean", "std", "single_label"),
    )


def write_int8(args: argparse.Namespace, existing: Optional[Path]) -> None:
    """Writes the model with weights in int8; prints sizes and changes."""
    from fftp_tag.tag.model import Model
    from fftp_tag.tag.tagger import AudioTagger
    from speechbrain_fftp.onnx.int8 import store_in_int8

    with tempfile.TemporaryDirectory() as folder:
        path = existing
        if path is None:
            path = Path(folder, "model.onnx")
            convert(args, path)
        before = AudioTagger.from_pretrained(path)
        store_in_int8(path, args.output)
        after = AudioTagger(Model(args.output))
        sizes = [Path(x).stat().st_size / 1e6 for x in (path, args.output)]
        print(f"{sizes[1]:.1f} MB in int8, {sizes[0]:.1f} MB in float32")
        print_change(args, before, after)


def print_change(
    args: argparse.Namespace, before: "AudioTagger", after: "AudioTagger"
) -> None:
    """Prints the largest change of a probability, and mAP before and after."""
    from fftp_tag.changes import generated_clips, largest_change
    from fftp_tag.tag.windows import silence_counted

    clips: list = generated_clips()
    if args.clips:
        clips, errors = options.find_files(args.clips)
        for _, error in errors:
            raise InputError(error)
    with silence_counted("clips"):
        change = largest_change(before, after, clips)
    kind = "probability" if before.labels else "embedding (relative)"
    n_clips = counted(len(clips), "clip")
    print(f"largest change of a {kind} on {n_clips}: {change:.4f}")
    if args.data_folder:
        old, new = (
            fftp_tag.evaluate(tagger, args.data_folder)
            for tagger in (before, after)
        )
        print(
            f"mAP {new.metrics['mAP']:.4f} in int8, "
            f"{old.metrics['mAP']:.4f} in float32 "
            f"({counted(len(new.ids), 'clip')})"
        )
