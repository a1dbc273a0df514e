"""``fftp-tag calibrate``: learns thresholds and rules of events, and writes
them into the model.

From the labels of the clips of --data-folder, the threshold of a class is that
of maximum F1. A model of time steps joins events of a class that are less than
3 s apart and drops short ones. With --strong-labels, thresholds, pauses and
minimum durations are those of the events with the highest F1. Classes with fewer
than 5 clips or events have the threshold 0.5.

With --background, false alarms are counted in recordings without any of the
sounds, and --max-false-alarms raises thresholds, those just learnt or the
model's own.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List

from fftp_tag.cli import evaluate, options, output
from fftp_tag.edit import check_output
from fftp_tag.sources import find_inside
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.calibrate import Calibration

HELP = "learns thresholds and rules of events"
EXAMPLES = """\
  fftp-tag calibrate --model results/demo --data-folder results/demo/prepared
  fftp-tag calibrate --model my.onnx --data-folder other_clips --split all \\
      --output calibrated.onnx
  fftp-tag calibrate --model my.onnx --background room.wav --max-false-alarms 1"""


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
    check_output(target)
    check_arguments(args)
    recordings = []
    if args.background:
        from fftp_tag.false_alarms import list_recordings

        recordings = list_recordings(args.background)
    if args.data_folder:
        from fftp_tag.calibrate import calibrate

        learnt = calibrate(
            model,
            args.data_folder,
            output=target,
            device=args.device,
            threads=args.threads,
            progress=sys.stderr.isatty(),
            **options.given(args, *evaluate.CLIP_OPTIONS),
        )
        print_calibration(learnt)
        print(f"wrote {target}")
        model = target
    if recordings:
        listen_to_background(args, model, target, recordings)


def find_file(source: str) -> Path:
    """The model.onnx to calibrate, which must not be one in the cache."""
    inside = find_inside(source)
    path = Path(source) if inside is None else inside
    if path.suffix == ".onnx" and path.is_file():
        return path
    raise InputError(
        f"{source} is no model.onnx, and no folder with one: convert a published "
        "model with fftp-tag import first"
    )


def check_arguments(args: argparse.Namespace) -> None:
    """Raises an InputError for options that lack another one."""
    if not args.data_folder and not args.background:
        raise InputError("give --data-folder, --background, or both")
    if not args.data_folder:
        for name in options.given(args, *evaluate.CLIP_OPTIONS):
            name = name.replace("_", "-")
            raise InputError(f"--{name} needs --data-folder")
    if args.max_false_alarms is not None and not args.background:
        raise InputError("--max-false-alarms needs --background")
    if args.output and not args.data_folder and args.max_false_alarms is None:
        raise InputError("--output needs --data-folder or --max-false-alarms")
    if args.split == "eval":
        output.report("warning: after this, F1 on the eval split is too high")


def print_calibration(learnt: "Calibration") -> None:
    """Prints F1 with 0.5 and with what was learnt."""
    from fftp_tag.thresholds import MIN_POSITIVES

    if learnt.few:
        print(
            f"{len(learnt.few)} classes have fewer than {MIN_POSITIVES} "
            f"positives and the threshold 0.5, such as {learnt.few[0]}"
        )
    print("threshold  0.5     learnt")
    for name, before in learnt.before.items():
        print(f"{name:10} {before:.4f}  {learnt.after[name]:.4f}")


def listen_to_background(
    args: argparse.Namespace, model: Path, target: Path, recordings: List[str]
) -> None:
    """Counts false alarms; raises and writes thresholds if asked to."""
    from tqdm import tqdm

    from fftp_tag.edit import write_model
    from fftp_tag.false_alarms import (
        count_false_alarms,
        count_hours,
        raise_thresholds,
    )
    from fftp_tag.tagger import AudioTagger

    tagger = AudioTagger.from_pretrained(model, args.device, args.threads)
    is_quiet = not sys.stderr.isatty()
    timelines = [
        tagger.analyze(path)
        for path in tqdm(recordings, unit="file", disable=is_quiet)
    ]
    thresholds = tagger.model.rules.threshold
    if args.max_false_alarms is not None:
        raised = raise_thresholds(timelines, thresholds, args.max_false_alarms)
        if raised is not None:
            thresholds = raised
            write_model(model, target, {"thresholds": thresholds.tolist()})
            print(f"wrote {target}")
    alarms = count_false_alarms(timelines, thresholds)
    minutes = 60 * count_hours(timelines)
    print(f"false alarms in {minutes:.0f} minutes of background:")
    for label, threshold in zip(tagger.labels, thresholds):
        if alarms[label].count > 0:
            print(
                f"{output.false_alarms(alarms[label])}  {label} (threshold "
                f"{threshold:.3f})"
            )
    print(f"{sum(x.count for x in alarms.values()):5d} of all classes")
