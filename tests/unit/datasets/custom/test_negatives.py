"""Tests of custom clips without any class.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.custom.prepare import prepare_custom_data
from speechbrain_fftp.datasets.custom.splits import split_custom_data


def write_clips(folder, counts):
    """Writes so many clips of noise into each folder."""
    noise = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            wav = noise.uniform(-0.1, 0.1, 4000)
            sf.write(folder / name / f"{number}.wav", wav, 16000)
    return folder


def read_labels(path):
    """The labels of a manifest by ID."""
    with open(path, newline="", encoding="utf-8") as file:
        return {row["ID"]: row["labels"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", ["background", "Noise", "silence", "OTHER"])
def test_a_folder_of_background_is_no_class(tmp_path, name):
    data = write_clips(tmp_path, {"Siren": 4, name: 5})
    found = find_custom_data(data)
    assert list(found.classes) == ["Siren"]
    listed, _ = split_custom_data(found)
    for clips in listed.values():  # both are in each split
        assert {clip.mids for clip in clips} == {("Siren",), ()}


def test_background_within_folders_of_splits(tmp_path):
    for split, count in (("train", 3), ("valid", 1), ("test", 2)):
        names = {"Siren": count, "Bell": count}
        if split != "train":  # it need not be in all of them
            names["background"] = count
        write_clips(tmp_path / split, names)
    listed, _ = split_custom_data(find_custom_data(tmp_path))
    negatives = {
        split: sum(not clip.mids for clip in clips)
        for split, clips in listed.items()
    }
    assert negatives == {"train": 0, "valid": 1, "eval": 2}


def test_they_are_in_manifests_without_labels(tmp_path):
    data = write_clips(tmp_path / "data", {"clips": 12})
    rows = [f"clips/{i}.wav,{'Siren' if i % 2 else ''}" for i in range(12)]
    (data / "clips.csv").write_text("\n".join(["path,labels", *rows]))
    prepare_custom_data(str(data), str(tmp_path / "prepared"), num_workers=1)
    found = {}
    for split in ("train", "valid", "eval"):
        labels = read_labels(tmp_path / "prepared" / f"{split}.csv")
        assert set(labels.values()) == {"", "Siren"}
        found.update(labels)
    assert found == {f"clips_{i}": "Siren" if i % 2 else "" for i in range(12)}


def test_background_alone_is_an_error(tmp_path):
    data = write_clips(tmp_path, {"background": 5, "noise": 5})
    with pytest.raises(ValueError, match="background"):
        find_custom_data(data)
