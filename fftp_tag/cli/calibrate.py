"""``fftp-tag calibrate``: Learns thresholds and rules of events.

They are written into a copy of the model, or into the model itself, if it is
--output.

With --data-folder, the threshold of a class maximises F1 of the tags of the
clips. For a frame-level model, an event lasts while the probability is at
least 0.1, with pauses of less than 3 s; how long and how probable it must be
maximises F1 of the clips with an event. A model that fftp-tag learn has written
keeps its own rules of events. Classes with fewer than 5 clips keep the learnt
rules of the model; if it has none, they get the medians of those of the others.

Learnt rules are scored by cross-validation: each clip by rules that are learnt
from clips of other groups. With --strong-labels, the events of the rules are
scored as well; with --background, their false alarms in recordings without any
of the sounds are counted. With --background alone, false alarms are counted with
the model's own rules.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fftp_tag.cli import evaluate, options, output
from fftp_tag.errors import InputError
from fftp_tag.model.sources import find_or_convert
from fftp_tag.packages import require

if TYPE_CHECKING:
    from fftp_tag.learning.calibrate import Calibration

MAX_NAMES = 5  # of classes that are listed
HELP = "learns thresholds and rules of events"
EXAMPLES = """\
  fftp-tag calibrate --model results/demo --data-folder results/demo/prepared
  fftp-tag calibrate --model my.onnx --data-folder other_clips \\
      --background room.wav --output other.onnx
  fftp-tag calibrate --model my.onnx --background room.wav"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    options.add_model(parser, default=None, required=True)
    default = "valid, or all for custom data without splits"
    evaluate.add_clips(parser, default, required=False)
    options.add_background(parser)
    parser.add_argument(
        "--output",
        metavar="MODEL.onnx",
        help="file to write (default: the name of the model, with "
        "_calibrated.onnx)",
    )


def run(args: argparse.Namespace) -> None:
    """Learns from clips, or from background, or from both."""
    check_options(args)
    name = os.path.basename(os.path.abspath(args.model))
    name = f"{name.removesuffix('.onnx')}_calibrated.onnx"
    target = Path(args.output or name)
    model = find_or_convert(args.model)
    recordings = []
    if args.background:
        require("sklearn", "--background")
        from fftp_tag.audio.decode import list_recordings

        recordings = list_recordings(args.background)
    if args.data_folder:
        from fftp_tag.learning.calibrate import calibrate

        found = calibrate(
            model,
            args.data_folder,
            output=target,
            threads=args.threads,
            progress=True,
            background=recordings,
            **options.given(args, *evaluate.CLIP_OPTIONS),
        )
        report_calibration(target, found)
    else:
        count_in_background(args, model, recordings)


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


def report_calibration(target: Path, found: "Calibration") -> None:
    """Prints scores before and after."""
    from fftp_tag.learning.thresholds import MIN_POSITIVES
    from fftp_tag.score.tags import decimal

    if len(found.few) == found.n_classes:
        print(
            f"no class has {MIN_POSITIVES} positives: the thresholds of all are "
            "shifted together"
        )
    elif found.few:
        shown = ", ".join(found.few[:MAX_NAMES])
        print(
            f"{len(found.few)} classes keep their rules, or get the medians of "
            f"the others', with fewer than {MIN_POSITIVES} positives, such as "
            f"{shown}"
        )
    print(
        f"learnt rules are scored by cross-validation in {found.n_folds} folds "
        f"of {found.n_clips} clips"
    )
    print("rules              before  learnt")
    for name, before in found.before.f1.items():
        after = found.after.f1[name]
        print(f"{name:17}  {decimal(before):6}  {decimal(after)}")
    old, new = found.before.background, found.after.background
    if old is not None and new is not None:
        counts = old.together.count, new.together.count
        print(f"false alarms       {counts[0]:<6}  {counts[1]}")
        output.print_false_alarms(new)
    before, after = (x.f1["macro_F1"] for x in (found.before, found.after))
    if before is not None and after is not None and after <= before:
        print("learnt rules are no better: keep the old ones")
    print(f"wrote {target}")


def count_in_background(
    args: argparse.Namespace, model: Path, recordings: list[str]
) -> None:
    """Counts and prints the false alarms of a model."""
    from fftp_tag.score.background import listen_to_background
    from fftp_tag.tag.tagger import AudioTagger

    tagger = AudioTagger.from_pretrained(model, args.threads)
    background = listen_to_background(tagger, recordings, progress=True)
    output.print_false_alarms(background)
