"""Tests of the rows of a data set in arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

import speechbrain as sb
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.core import Brain
from speechbrain_fftp.training.rows import Rows


def make_dataset(count):
    """Clips whose durations fall; a pipeline, and columns of all kinds."""
    rows = {
        f"clip {number}": {
            "duration": float(count - number),
            "labels": ";".join(["Dög"] * (number % 20)),
            "times": [number],  # neither text nor number
        }
        for number in range(count)
    }
    return DynamicItemDataset(
        rows,
        [{"func": len, "takes": "labels", "provides": "length"}],
        ["id", "duration", "labels", "times", "length"],
    )


@pytest.mark.parametrize("is_sorted", [False, True])
def test_clips_stay_as_they_were(is_sorted):
    """When a loader stores them in arrays."""
    dataset = make_dataset(30)
    if is_sorted:
        dataset = dataset.filtered_sorted(sort_key="duration", select_n=20)
    before = list(dataset)
    rows = [dataset.data[clip] for clip in dataset.data_ids]
    for _ in range(2):  # such as for two evaluations
        Brain().make_dataloader(dataset, sb.Stage.VALID)
    assert isinstance(dataset.data, Rows)
    assert list(dataset) == before and len(dataset) == len(before)
    for row, found in zip(rows, dataset.data.values()):
        assert found.items() >= row.items()
    item = dataset[0]["labels"], dataset[0]["duration"]
    assert list(map(type, item)) == [str, float]
