"""The thresholds of ``Tagger``, which are in the yaml file of its folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
from pathlib import Path
from typing import List

import numpy as np

from speechbrain_fftp.dataio.files import PathLike, atomic_path

YAML = "hyperparams.yaml"
LINE = re.compile(r"^thresholds: .*\n", re.MULTILINE)


def store_thresholds(
    folder: PathLike, labels: List[str], thresholds: np.ndarray
) -> None:
    """Writes the thresholds ``[C]`` of labels into the yaml file of a folder.

    They replace earlier ones, so that they are those of the model.onnx there.
    """
    path = Path(folder, YAML)
    text = LINE.sub("", path.read_text("utf-8")).rstrip("\n")
    values = json.dumps(dict(zip(labels, thresholds.tolist())))
    with atomic_path(path) as temporary_path:
        Path(temporary_path).write_text(
            f"{text}\n\nthresholds: {values}\n", "utf-8"
        )
