"""Results of a model on a set of clips, with the versions of the software.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

from fftp_tag.files import atomic_path, write_csv
from fftp_tag.version import __version__


def write_predictions(
    folder: Path,
    ids: list[str],
    targets: np.ndarray,
    probs: np.ndarray,
    labels: list[str],
    top_k: int = 5,
) -> None:
    """Writes predictions.csv, and probabilities.npz for later use.

    ``targets`` and ``probs`` are ``[clips, C]``. ``probability`` in
    predictions.csv is the lowest one among a clip's labels. Rows are sorted by
    it: errors of the model or of the labels come first, clips without a label
    last. It has the ``top_k`` most probable classes of a clip.
    """
    true = targets > 0.5
    lowest = np.where(true, probs, np.inf).min(1)
    top_k = min(top_k, len(labels))
    best_classes = np.argsort(-probs, axis=1, kind="stable")[:, :top_k]
    header = ["ID", "labels", "probability"]
    for rank in range(1, top_k + 1):
        header += [f"tag_{rank}", f"probability_{rank}"]
    rows = []
    for i in np.argsort(lowest, kind="stable"):
        names = [labels[c] for c in np.flatnonzero(true[i])]
        row = [ids[i], ";".join(names), f"{lowest[i]:.4f}" if names else ""]
        for c in best_classes[i]:
            row += [labels[c], f"{probs[i, c]:.4f}"]
        rows.append(row)
    write_csv(Path(folder, "predictions.csv"), header, rows)
    path = Path(folder, "probabilities.npz")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(ids),
            labels=np.array(labels),
            targets=true,
            probs=probs.astype(np.float32),
        )


def versions() -> dict[str, str]:
    """Versions of this package, Python and the packages that decide results."""
    found = {
        "speechbrain_fftp": __version__,
        "python": platform.python_version(),
    }
    for package in ("speechbrain", "torch", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
