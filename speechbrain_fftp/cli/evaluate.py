"""``fftp-tag evaluate``: scores a model on labelled clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import sys

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Prints mAP, AUC, d' and F1 of a model, and its accuracy if every clip has one
class. The clips are those of a folder that a recipe has prepared, or of a data
folder as for the AudioSet recipe (AudioSet or custom data). Classes are matched
by name. F1 is computed at the model's thresholds, or at 0.5 if it has none."""
EXAMPLES = """\
  fftp-tag evaluate --model results/demo/inference \\
      --data_folder results/demo/prepared
  fftp-tag evaluate --model results/a/inference --data_folder my_sounds \\
      --window 2 --output scores"""

CLIPS = ("split", "test_fold", "allow_missing")  # options that choose clips


def add_options(parser):
    """Adds the options of this verb."""
    add_clips(parser)
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="new folder for metrics.json, per_class.csv, predictions.csv and "
        "probabilities.npz",
    )


def add_clips(parser, split=None, required=True):
    """Adds the options of labelled clips, and the split by default."""
    usual = split or "eval, or all of custom data without splits of their own"
    parser.add_argument(
        "--data_folder",
        required=required,
        metavar="DIR",
        help="prepared folder, or data folder of the AudioSet recipe",
    )
    parser.add_argument(
        "--split",
        choices=("train", "valid", "eval", "all"),
        default=split,
        help=f"clips to score (default: {usual})",
    )
    parser.add_argument(
        "--test_fold", metavar="K", help="fold to score, for data with folds"
    )
    parser.add_argument(
        "--allow_missing",
        type=options.number_type(float, low=0, high=1),
        metavar="F",
        help="fraction of AudioSet's clips that may be missing (default: 0.2)",
    )
    options.add_windows(
        parser,
        "length of windows that clips are cut into; a label takes its maximum "
        "(default: only clips longer than the model's are cut)",
    )
    options.add_device(parser)
    parser.add_argument(
        "--strong_labels",
        metavar="TABLE",
        help="table of events to score as well, as in AudioSet-Strong or DCASE",
    )


def check_data_folder(args, parser):
    """Ends the process unless there is a data folder."""
    if not os.path.isdir(args.data_folder):
        parser.error(f"there is no data folder {args.data_folder}")


def run(args, parser):
    """Scores the model; prints the scores and writes them."""
    if args.output and output.is_filled(args.output):
        parser.error(f"{args.output} is not empty: give another --output")
    check_data_folder(args, parser)
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)
    if args.output:  # before the work, if it cannot be made
        os.makedirs(args.output, exist_ok=True)
    found = evaluate_clips(args, tagger)
    events = {}
    if args.strong_labels:
        events = evaluate_strong_labels(args, tagger)
    if args.output:
        write_scores(args, found, events)
    print_scores(found)
    for name, value in events.items():
        print(f"{name} {value:.4f}")


def evaluate_clips(args, tagger):
    """The ``Evaluation`` of a model."""
    return tagger.evaluate(
        args.data_folder,
        progress=sys.stderr.isatty(),
        **options.given(args, *CLIPS, "window", "hop"),
    )


def evaluate_strong_labels(args, tagger):
    """Scores of a model's events by name."""
    from speechbrain_fftp.inference.event_scores import evaluate_events

    return evaluate_events(
        tagger,
        args.data_folder,
        args.strong_labels,
        progress=sys.stderr.isatty(),
        **options.given(args, *CLIPS, "window", "hop"),
    )


def print_scores(found):
    """Prints the scores of clips."""
    from speechbrain_fftp.inference.results import tagging_table

    print(f"split    {found.split}")
    print(
        tagging_table(found.metrics, found.metrics["per_class"], found.labels)
    )
    if "accuracy" in found.metrics:
        print(f"accuracy {found.metrics['accuracy']:.4f}")


def write_scores(args, found, events):
    """Writes the scores of clips and events, and the probabilities."""
    from speechbrain_fftp.dataio.files import write_csv, write_json
    from speechbrain_fftp.inference import results

    metrics = dict(found.metrics)
    per_class = metrics.pop("per_class")
    if events:
        metrics["events"] = events
    write_json(
        os.path.join(args.output, "metrics.json"),
        {
            **metrics,
            "model": os.path.abspath(args.model),
            "data": os.path.abspath(args.data_folder),
            "split": found.split,
            "options": options.given(args, *CLIPS, "window", "hop"),
            "skipped": found.skipped,
            "made_with": results.versions(),
        },
        strict=True,
    )
    write_csv(
        os.path.join(args.output, "per_class.csv"),
        ("label", "positives", "AP", "AUC"),
        [
            (found.labels[c], row["positives"], row["AP"], row["AUC"])
            for c, row in per_class.items()
        ],
    )
    results.write_predictions(
        args.output,
        found.ids,
        found.targets,
        found.probs,
        found.labels,
    )
