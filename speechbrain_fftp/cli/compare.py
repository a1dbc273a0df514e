"""``fftp-tag compare``: compares the scores of two runs on the same clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import zipfile
from pathlib import Path

NEEDS_MODEL = False
DESCRIPTION = """\
Prints mAP of two runs, their accuracy if every clip has one class, and the
differences with 95 % intervals from a paired bootstrap over clips. Both runs
must have scored the same clips and classes. The intervals say what other clips
would change, not what other seeds would: train each model several times for
that."""
EXAMPLES = """\
  fftp-tag compare results/a results/b
  fftp-tag compare scores_a/probabilities.npz scores_b/probabilities.npz"""
PREDICTIONS = "probabilities.npz"


def add_options(parser):
    """Adds the options of this verb."""
    for name in ("RUN_A", "RUN_B"):
        parser.add_argument(
            name.lower(),
            metavar=name,
            help=f"folder of a training run or of `fftp-tag evaluate --output`, "
            f"or its {PREDICTIONS}",
        )


def run(args, parser):
    """Prints the scores and their differences."""
    import numpy as np

    from speechbrain_fftp.metrics import comparison

    first, second = read_run(args.run_a), read_run(args.run_b)
    check_same(args, first, second)
    runs = [scores_of(first), scores_of(second)]
    metrics = {"mAP": comparison.mean_precision}
    if (np.sum(first["targets"], 1) == 1).all():
        metrics["accuracy"] = comparison.accuracy
    print(f"{len(first['ids'])} clips, {len(first['labels'])} classes; in %")
    print(f"{'':8}  {'A':>6}  {'B':>6}  B - A [95 % interval]")
    for name, metric in metrics.items():
        a, b = comparison.mean([runs], metric)
        found = comparison.compare([runs], metric, signs=(-1, 1))
        print(f"{name:8}  {a:6.2f}  {b:6.2f}  {found}")


def read_run(path):
    """The arrays of probabilities.npz by name, sorted by clip and by label."""
    import numpy as np

    path = Path(path)
    if path.is_dir():
        path = path / PREDICTIONS
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, labels = file["ids"], file["labels"]
            rows, columns = np.argsort(ids), np.argsort(labels)
            return {
                "ids": ids[rows],
                "labels": labels[columns],
                "targets": file["targets"][rows][:, columns],
                "probs": file["probs"][rows][:, columns],
            }
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no {PREDICTIONS} of a run: {error}"
        ) from error


def check_same(args, first, second):
    """Raises a ValueError unless clips, classes and labels are the same."""
    import numpy as np

    for name, what in (
        ("ids", "clips"),
        ("labels", "classes"),
        ("targets", "labels of clips"),
    ):
        if not np.array_equal(first[name], second[name]):
            raise ValueError(
                f"{args.run_a} and {args.run_b} do not have the same {what}."
            )


def scores_of(found):
    """The ``Scores`` of a run, each clip a group of its own."""
    from speechbrain_fftp.metrics.comparison import Scores

    return Scores(
        ids=found["ids"],
        groups=found["ids"],
        targets=found["targets"],
        probs=found["probs"],
    )
