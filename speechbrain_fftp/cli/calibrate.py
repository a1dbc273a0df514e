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
    evaluate.add_options(parser, split="valid")


def run(args, parser):
    """Scores the model and learns thresholds; returns the exit code."""
    folder = Path(args.model)
    if not (folder / "config.json").is_file():
        folder = folder / "inference"
    if not all((folder / x).is_file() for x in ("config.json", "labels.csv")):
        text = "is not an inference folder with config.json and labels.csv: use"
        text += " `fftp-tag import SOURCE FOLDER` for a published model first"
        parser.error(f"{args.model} {text}")
    output.check_target(folder / "thresholds.csv")
    if args.split == "eval":
        output.report("warning: after this, F1 on the eval split is too high")
    if not args.strong_labels:
        return evaluate.run(args, parser, lambda *found: _learn(folder, *found))
    if options.given(args, "window", "hop", "output"):
        parser.error("--strong_labels excludes --window, --hop and --output")

    from speechbrain_fftp.inference.event_scores import calibrate_events

    tables = options.load_tagger(args), args.data_folder, args.strong_labels
    given = options.given(args, *evaluate.DATA)
    progress = sys.stderr.isatty()
    seconds = calibrate_events(folder, *tables, progress=progress, **given)
    with output.standard_output():
        print(f"{folder}: moving average of {seconds:g} s")
    return 0


def _learn(folder, tagger, found):
    """Writes thresholds.csv and prints F1 with 0.5 and with the new ones."""
    import torch

    from speechbrain_fftp.inference import thresholds
    from speechbrain_fftp.metrics.tagging import f1_scores

    columns = [tagger.labels.index(label) for label in found.labels]
    clips = torch.zeros(2, len(found.ids), len(tagger.labels))
    clips[..., columns] = torch.stack([found.targets, found.probs])
    rows = thresholds.learn_thresholds(tagger.labels, *clips)
    thresholds.write_thresholds(folder, rows)
    least = thresholds.MIN_POSITIVES
    few = sum(positives < least for *_, positives, _ in rows)
    with output.standard_output():
        print(f"{folder}: {few} of {len(rows)} classes share a threshold")
        for limits in (0.5, [limit for _, limit, *_ in rows]):
            micro, macro, name = f1_scores(*clips.numpy(), limits).values()
            text = f"micro F1 {micro:.4f}, macro F1 {macro:.4f}"
            print(f"{text}, threshold {name}")
