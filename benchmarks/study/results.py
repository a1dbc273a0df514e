"""The stored results of a plan: a row and the predictions of each run.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import json

import numpy as np

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.metrics.comparison import Scores


class Results:
    """Rows in NAME.jsonl, predictions in NAME/DIGEST.npz."""

    def __init__(self, folder, plan):
        self.plan = plan
        self.path = folder / f"{plan.name}.jsonl"

    def digest(self, run):
        """A short name of a run."""
        return hashlib.sha1(self.plan.key(run).encode()).hexdigest()[:10]

    def rows(self):
        """The rows by digest; skips an incomplete line."""
        rows = {}
        if self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                rows[row["run"]] = row
        return rows

    def find(self, run):
        """The row of a run, or None."""
        return self.rows().get(self.digest(run))

    def add(self, run, row, scores):
        """Stores a finished run: first its predictions, then its row."""
        digest = self.digest(run)
        path = self.path.with_suffix("") / f"{digest}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        probs = scores.probs.astype(np.float32)
        if self.plan.metric == "accuracy":
            probs = half_precision(probs)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                ids=scores.ids,
                groups=scores.groups,
                targets=scores.targets,
                probs=probs,
            )
        whole = not self.path.exists() or self.path.read_bytes().endswith(b"\n")
        with open(self.path, "a", encoding="utf-8") as file:
            line = json.dumps({"run": digest, **row})
            file.write(("" if whole else "\n") + line + "\n")

    def scores(self, run):
        """The stored ``Scores`` of a run, its clips ordered by id."""
        path = self.path.with_suffix("") / f"{self.digest(run)}.npz"
        with np.load(path) as found:
            scores = Scores(*(found[name] for name in Scores._fields))
        order = np.argsort(scores.ids)
        return Scores(*(part[order] for part in scores))


def half_precision(probs):
    """Rounds ``[clips, C]`` to float16; a clip's maximum stays the only one."""
    rounded = probs.astype(np.float16)
    best = probs.argmax(1)[:, None]
    top = np.take_along_axis(rounded, best, 1)
    tied = ((rounded == top).sum(1) > 1)[:, None]
    above = np.nextafter(top, np.float16(np.inf))
    np.put_along_axis(rounded, best, np.where(tied, above, top), 1)
    return rounded
