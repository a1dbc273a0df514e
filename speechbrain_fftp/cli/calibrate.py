"""``fftp-tag calibrate``: learns the thresholds of a model.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.cli import evaluate, options
from speechbrain_fftp.cli.messages import report, standard_output
from speechbrain_fftp.cli.output import check_target

DESCRIPTION = """\
Learns a threshold for each class, that of maximum F1 on labelled clips, and
writes thresholds.csv into the folder of the model, for --threshold auto. Classes
with few positive clips share a threshold. See fftp-tag evaluate for the clips."""
EXAMPLES = """\
  fftp-tag calibrate --model results/demo/inference \\
      --data_folder results/demo/prepared
  fftp-tag clip.wav --model results/demo/inference --threshold auto"""


def add_options(parser):
    """Adds the options of this verb."""
    evaluate.add_clips(parser, default="valid")


def run(args, parser):
    """Writes thresholds.csv and prints F1; returns the exit code."""
    if (tagger := evaluate.load(args, parser)) is None:
        return 2

    import torch

    from speechbrain_fftp.inference import folder, thresholds
    from speechbrain_fftp.utils.metrics import MIN_POSITIVES, f1_scores

    path = options.find_folder(args.model) / thresholds.THRESHOLDS
    for name in folder.FILES:
        if not path.with_name(name).is_file():
            raise FileNotFoundError(
                f"{path.with_name(name)} is missing: thresholds are kept in an "
                f"inference folder with {', '.join(folder.FILES)}."
            )
    check_target(path)
    if args.split == "eval":
        report(
            "warning: with thresholds learned on the eval split, F1 on that "
            "split is too high: report F1 on other clips"
        )
    found, _ = evaluate.score(args, tagger)
    columns = [tagger.labels.index(label) for label in found.labels]
    targets, probs = torch.zeros(2, len(found.ids), len(tagger.labels))
    targets[:, columns], probs[:, columns] = found.targets, found.probs
    rows = thresholds.learn_thresholds(tagger.labels, targets, probs)
    thresholds.write_thresholds(path.parent, rows)
    clips = found.targets.numpy(), found.probs.numpy()
    few = [limit for _, limit, count, _ in rows if count < MIN_POSITIVES]
    with standard_output():
        title = f"F1 on {len(found.ids)} clips"
        print(f"{title:25}   micro   macro")
        for name, limits in (
            ("at 0.5", 0.5),
            ("at the learned thresholds", [rows[c][1] for c in columns]),
        ):
            micro, macro, _ = f1_scores(*clips, limits)
            print(f"{name:25}  {micro:.4f}  {macro:.4f}")
        if few:
            print(
                f"{len(few)} of {len(rows)} classes have fewer than "
                f"{MIN_POSITIVES} positive clips and share {few[0]:.4f}."
            )
        print(f"wrote {path}")
    return 0
