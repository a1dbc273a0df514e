"""``fftp-tag evaluate``: Scores a model on labelled clips.

Prints mAP, AUC and d'; F1 at the model's learnt thresholds, or at 0.5 if it has
none; and the accuracy if every clip has exactly one class. Classes of the model
and of the data are matched by name.

The clips are in a folder that a recipe has prepared, or in a folder of custom
data. With --strong-labels, or label tracks beside recordings, events are scored
as well: overlap_F1 counts events that overlap by half, and event_F1 events whose
onset and offset are within 200 ms.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
from typing import TYPE_CHECKING

import fftp_tag
from fftp_tag.cli import options, output
from fftp_tag.files import (
    check_new_folder,
    check_target,
    moved_together,
    write_csv,
    write_json,
)

if TYPE_CHECKING:
    from fftp_tag.score.evaluate import Evaluation

HELP = "scores a model on labelled clips"
EXAMPLES = """\
  fftp-tag evaluate --model results/demo --data-folder results/demo/prepared
  fftp-tag evaluate --model my.onnx --data-folder other_clips --output scores
  fftp-tag evaluate --model results/demo --data-folder results/demo/prepared \\
      --strong-labels results/demo/prepared/events.tsv
  fftp-tag evaluate --model my.onnx --data-folder hour.wav \\
      --strong-labels labels.txt"""

# Options of ``add_clips`` that choose clips
CLIP_OPTIONS = ("split", "strong_labels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    options.add_model(parser)
    add_clips(parser, "eval, or all for custom data without splits")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="new folder for metrics.json, per_class.csv, predictions.csv and "
        "probabilities.npz",
    )


def add_clips(
    parser: argparse.ArgumentParser, split: str, required: bool = True
) -> None:
    """Adds the options of labelled clips; ``split`` describes the default."""
    parser.add_argument(
        "--data-folder",
        required=required,
        metavar="DIR",
        help="prepared folder, or folder of custom data; with --strong-labels, "
        "also a recording or a folder of recordings",
    )
    parser.add_argument(
        "--strong-labels",
        metavar="TABLE",
        help="table of true events, in the format of AudioSet-Strong, DCASE or "
        "--format csv; or label track of Audacity or Raven, for a recording; or "
        "folder of label tracks (default: those beside recordings)",
    )
    parser.add_argument(
        "--split",
        metavar="SPLIT",
        help=f"clips to use: train, valid, eval or all (default: {split})",
    )


def run(args: argparse.Namespace) -> None:
    """Scores the model; prints the scores and writes them."""
    if args.output:
        check_new_folder(args.output)
    tagger = options.load_tagger(args)
    if args.output:  # fails before the work begins
        os.makedirs(args.output, exist_ok=True)
        check_target(os.path.join(args.output, "metrics.json"))
    found = fftp_tag.evaluate(
        tagger,
        args.data_folder,
        progress=True,
        **options.given(args, *CLIP_OPTIONS),
    )
    if args.output:
        write_scores(args, tagger.model.path, found)
    print_scores(found)


def print_scores(found: "Evaluation") -> None:
    """Prints the scores of events, if there are any, and of clips."""
    from fftp_tag.score.tags import tagging_table

    for name, value in found.events.items():
        print(f"{name:17} {value:.4f}")
    if found.events:
        print("overlap_F1  right  true  found  class")
        counts = found.events_of_classes.items()
        for label, own in sorted(counts, key=lambda item: item[1].f1):
            print(
                f"{own.f1:10.4f}  {own.right:5d}  {own.true:4d}  {own.found:5d}  "
                f"{output.printable(label)}"
            )
        if not found.metrics["per_class"]:  # such as one recording
            return
        print("Tags of whole clips:")
    print(f"split    {found.split}")
    print(tagging_table(found.metrics, found.labels))


def write_scores(
    args: argparse.Namespace, model: str, found: "Evaluation"
) -> None:
    """Writes the scores of clips and events, and the probabilities."""
    from fftp_tag.score.results import versions, write_predictions

    metrics = dict(found.metrics)
    per_class = metrics.pop("per_class")
    if found.events:
        metrics["events"] = found.events
        metrics["events_per_class"] = {
            label: own._asdict()
            for label, own in found.events_of_classes.items()
        }
    content = {
        **output.rounded(metrics),
        "model": os.path.abspath(model),
        "data": os.path.abspath(args.data_folder),
        "split": found.split,
        "options": options.given(args, *CLIP_OPTIONS),
        "skipped": found.skipped,
        "made_with": versions(),
    }
    rows = [
        (found.labels[c], row["positives"], row["AP"], row["AUC"])
        for c, row in output.rounded(per_class).items()
    ]
    with moved_together(args.output) as folder:
        write_json(folder / "metrics.json", content, strict=True)
        header = ("label", "positives", "AP", "AUC")
        write_csv(folder / "per_class.csv", header, rows)
        write_predictions(
            folder, found.ids, found.targets, found.probs, found.labels
        )
