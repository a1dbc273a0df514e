"""``fftp-tag calibrate``: Learns thresholds and rules of events.

They are written into the model, or into a copy with --output.

With --data-folder, the threshold of a class maximises F1 of the tags of the
clips. For a model of time steps, an event lasts while the probability is at
least 0.1, with pauses of less than 3 s; how long and how probable it must be
maximises F1 of the clips with an event. Classes with fewer than 5 clips get a
threshold of 0.5.

With --background, false alarms are counted in recordings without any of the
sounds, with the thresholds that were just learnt or, without --data-folder,
with the model's own.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, List

from fftp_tag.cli import evaluate, options, output
from fftp_tag.packages import require
from fftp_tag.tag.edit import check_output
from fftp_tag.tag.sources import find_inside
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.score.calibrate import Calibration

HELP = "learns thresholds and rules of events"
EXAMPLES = """\
  fftp-tag calibrate --model results/demo --data-folder results/demo/prepared
  fftp-tag calibrate --model my.onnx --data-folder other_clips --split all \\
      --output calibrated.onnx
  fftp-tag calibrate --model my.onnx --background room.wav"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    options.add_model(parser)
    evaluate.add_clips(parser, "valid", required=False)
    options.add_background(parser)
    parser.add_argument(
        "--output",
        metavar="MODEL.onnx",
        help="file to write (default: the model itself)",
    )


def run(args: argparse.Namespace) -> None:
    """Learns from clips, or from background, or from both."""
    model = find_file(args.model)
    target = Path(args.output) if args.output else model
    check_options(args)
    if args.data_folder:
        check_output(target)
    recordings = []
    if args.background:
        require("sklearn", "--background")
        from fftp_tag.score.background import list_recordings

        recordings = list_recordings(args.background)
    if args.data_folder:
        from fftp_tag.score.calibrate import calibrate

        learnt = calibrate(
            model,
            args.data_folder,
            output=target,
            device=args.device,
            threads=args.threads,
            progress=True,
            **options.given(args, *evaluate.CLIP_OPTIONS),
        )
        print_calibration(learnt)
        print(f"wrote {target}")
        model = target
    if recordings:
        count_in_background(args, model, recordings)


def find_file(source: str) -> Path:
    """The model.onnx to calibrate, which must not be in the cache."""
    inside = find_inside(source)
    path = Path(source) if inside is None else inside
    if path.suffix == ".onnx" and path.is_file():
        return path
    raise InputError(
        f"{source} is not a model.onnx or a folder with one: convert a "
        "published model with fftp-tag import first"
    )


def check_options(args: argparse.Namespace) -> None:
    """Raises an InputError if an option that others need is missing."""
    if not args.data_folder and not args.background:
        raise InputError("give --data-folder, --background, or both")
    if not args.data_folder:
        for name in options.given(args, "output", *evaluate.CLIP_OPTIONS):
            name = name.replace("_", "-")
            raise InputError(f"--{name} needs --data-folder")
    if args.split == "eval":
        output.report(
            "warning: later scores on the eval split will be too optimistic"
        )


def print_calibration(learnt: "Calibration") -> None:
    """Prints F1 with 0.5 and with what was learnt."""
    from fftp_tag.score.thresholds import MIN_POSITIVES

    if learnt.few:
        print(
            f"{len(learnt.few)} classes with fewer than {MIN_POSITIVES} "
            f"positives get a threshold of 0.5, such as {learnt.few[0]}"
        )
    print("threshold  0.5     learnt")
    for name, before in learnt.before.items():
        print(f"{name:10} {before:.4f}  {learnt.after[name]:.4f}")


def count_in_background(
    args: argparse.Namespace, model: Path, recordings: List[str]
) -> None:
    """Counts false alarms, and prints the classes that have some."""
    from fftp_tag.score.background import listen_to_background
    from fftp_tag.tag.tagger import AudioTagger

    tagger = AudioTagger.from_pretrained(model, args.device, args.threads)
    background = listen_to_background(tagger, recordings, progress=True)
    names = {
        label: f"{label} (threshold {threshold:.3f})"
        for label, threshold in zip(tagger.labels, tagger.model.rules.high)
        if background.of_classes[label].count > 0
    }
    output.print_false_alarms(background, names)
