"""Tests of the AudioSet recipe with batches of clips of like length.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
from recipe_runs import run, train
from tensorboard.backend.event_processing import event_accumulator


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Clips of 1 s and of 9.5 s, eight and four of them to train on."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    rows = ["path,labels,split"]
    for split, numbers in {
        "train": (8, 4),
        "valid": (2, 2),
        "eval": (2, 2),
    }.items():
        for seconds, number in zip((1.0, 9.5), numbers):
            for i in range(number):
                name = f"{split}_{seconds}_{i}.wav"
                noise = 0.1 * rng.standard_normal(round(seconds * 16000))
                soundfile.write(folder / name, noise, 16000)
                rows.append(f"{name},{('Hiss', 'Roar')[i % 2]},{split}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


def steps(folder):
    events = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    return len(events.Reload().Scalars("loss/step"))


def test_short_clips_fill_a_batch_of_their_own(sounds, tmp_path):
    options = {
        "data_folder": sounds,
        "prepared_folder": tmp_path / "prepared",
        "n_classes": None,
        "batch_size": 2,
        "number_of_epochs": 1,
    }
    train(tmp_path / "plain", **options)
    assert steps(tmp_path / "plain") == 12 / 2
    _, metrics = train(tmp_path / "long", dynamic_batching=True, **options)
    # 20 s a batch: all eight short ones, and two long ones in each of two
    assert steps(tmp_path / "long") == 1 + 4 / 2
    assert metrics["num_clips"] == 4


@pytest.mark.parametrize(
    "other", [{"class_balanced": True}, {"format": "webdataset"}]
)
def test_says_what_it_cannot_be_combined_with(other, sounds, tmp_path):
    status, output = run(
        tmp_path / "run",
        data_folder=sounds,
        n_classes=None,
        dynamic_batching=True,
        **other,
    )
    assert status != 0
    assert "dynamic_batching works neither with" in output.splitlines()[-1]
