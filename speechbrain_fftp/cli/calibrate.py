"""``fftp-tag calibrate``: learns the thresholds of a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

from speechbrain_fftp.cli import evaluate, options, output

DESCRIPTION = """\
Learns the threshold of maximum F1 for each class on the clips of a folder (as
for fftp-tag evaluate) and writes them to thresholds.csv in the model's folder,
for --threshold auto. Classes with few positive clips share a threshold. With
--strong_labels, a model that classifies time steps learns its thresholds and
the length of a moving average on events; config.json stores the length."""
EXAMPLES = """\
  fftp-tag calibrate --model results/demo/inference \\
      --data_folder results/demo/prepared"""


def add_options(parser):
    """Adds the options of this verb."""
    evaluate.add_clips(parser, split="valid")


def run(args, parser):
    """Scores the model, learns thresholds and writes them."""
    folder = Path(args.model)
    if not (folder / "config.json").is_file():
        folder = folder / "inference"
    for name in ("config.json", "labels.csv"):
        if not (folder / name).is_file():
            parser.error(
                f"{args.model} is not an inference folder with {name}: use "
                "`fftp-tag import SOURCE FOLDER` for a published model first"
            )
    evaluate.check_data_folder(args, parser)
    if args.strong_labels and (args.window or args.hop):
        parser.error("--strong_labels excludes --window and --hop")
    output.check_target(folder / "thresholds.csv")
    if args.split == "eval":
        output.report("warning: after this, F1 on the eval split is too high")
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)
    if args.strong_labels:
        learn_on_events(folder, tagger, args)
    else:
        found = evaluate.evaluate_clips(args, tagger)
        with output.standard_output():
            evaluate.print_scores(found)
        learn_on_clips(folder, tagger, found)


def learn_on_events(folder, tagger, args):
    """Writes thresholds and a moving average of events; prints its length."""
    from speechbrain_fftp.inference.event_scores import calibrate_events

    seconds = calibrate_events(
        folder,
        tagger,
        args.data_folder,
        args.strong_labels,
        progress=sys.stderr.isatty(),
        **options.given(args, *evaluate.CLIPS),
    )
    with output.standard_output():
        print(f"{folder}: moving average of {seconds:g} s")


def learn_on_clips(folder, tagger, found):
    """Writes thresholds and prints F1 with 0.5 and with the new ones."""
    import numpy as np

    from speechbrain_fftp.inference import thresholds
    from speechbrain_fftp.metrics.scores import f1_scores

    # Of classes that the data lack, no clip is positive
    columns = [tagger.labels.index(label) for label in found.labels]
    targets = np.zeros((len(found.ids), len(tagger.labels)), np.float32)
    probs = np.zeros_like(targets)
    targets[:, columns] = found.targets
    probs[:, columns] = found.probs
    rows = thresholds.learn_thresholds(tagger.labels, targets, probs)
    thresholds.write_thresholds(folder, rows)
    n_shared = sum(
        positives < thresholds.MIN_POSITIVES for *_, positives, _ in rows
    )
    with output.standard_output():
        print(f"{folder}: {n_shared} of {len(rows)} classes share a threshold")
        for limits in (0.5, [limit for _, limit, *_ in rows]):
            f1 = f1_scores(targets, probs, limits)
            print(
                f"micro F1 {f1['micro_F1']:.4f}, macro F1 "
                f"{f1['macro_F1']:.4f}, threshold {f1['threshold']}"
            )
