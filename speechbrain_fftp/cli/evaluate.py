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

DATA = ("split", "test_fold", "allow_missing")  # options of clips


def add_options(parser, split="eval"):
    """Adds the options of this verb, or of one with another default split."""
    add = parser.add_argument
    text = "prepared folder, or data folder of the AudioSet recipe"
    add("--data_folder", required=True, metavar="DIR", help=text)
    text = f"clips to score (default: {split})"
    splits = "train", "valid", "eval"
    add("--split", choices=splits, default=split, help=text)
    text = "fold to score, for data with folds"
    add("--test_fold", metavar="K", help=text)
    text = "fraction of AudioSet's clips that may be missing (default: 0.2)"
    kind = options.in_range(float, 0, 1)
    add("--allow_missing", type=kind, metavar="F", help=text)
    text = "length of windows that clips are cut into; a label takes its "
    text += "maximum (default: only clips longer than the model's are cut)"
    options.add_windows(parser, text)
    text = "table of events to score as well, as in AudioSet-Strong or DCASE"
    add("--strong_labels", metavar="TABLE", help=text)
    text = "new folder for metrics.json, per_class.csv, predictions.csv and "
    text += "probabilities.npz"
    add("--output", metavar="FOLDER", help=text)


def run(args, parser, use=lambda tagger, found: None):
    """Prints the scores and passes them on; returns the exit code."""
    if args.output and output.is_filled(args.output):
        parser.error(f"{args.output} is not empty: give another --output")
    if not os.path.isdir(args.data_folder):
        parser.error(f"there is no data folder {args.data_folder}")
    tagger = options.load_tagger(args)
    if not options.windows_fit(args, tagger):
        return 2
    if args.output:  # before the work, if it cannot be made
        os.makedirs(args.output, exist_ok=True)

    from speechbrain_fftp.inference.event_scores import evaluate_events
    from speechbrain_fftp.training import reports
    from speechbrain_fftp.training.run_folder import versions

    given = options.given(args, *DATA, "window", "hop")
    terminal = sys.stderr.isatty()
    found = tagger.evaluate(args.data_folder, progress=terminal, **given)
    if args.strong_labels:
        tables = args.data_folder, args.strong_labels
        found.metrics["events"] = evaluate_events(
            tagger, *tables, progress=terminal, **given
        )
    if args.output:
        clips = found.ids, found.targets, found.probs, found.labels
        reports.write_predictions(args.output, *clips)
        reports.write_tagging_results(
            found.metrics,
            found.labels,
            args.output,
            model=os.path.abspath(args.model),
            data=os.path.abspath(args.data_folder),
            options=given,
            skipped=found.skipped,
            made_with=versions(),
        )
    with output.standard_output():
        print(reports.tagging_table(found.metrics, found.labels))
        if "accuracy" in found.metrics:
            print(f"accuracy {found.metrics['accuracy']:.4f}")
        for name, value in found.metrics.get("events", {}).items():
            print(f"{name} {value:.4f}")
    use(tagger, found)
    return 0
