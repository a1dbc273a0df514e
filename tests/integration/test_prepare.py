"""What holds for every data set that can be prepared.

The readers of each data set are tested in tests/unit/recipes, and prepared
folders in tests/unit/fftp_tag/test_prepared.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import shutil

import data_folders
import numpy as np
import pytest
import soundfile as sf
from data_prepare import prepare_data
from prepared_clips import read_clips, read_rows
from speechcommands_prepare import COMMANDS, prepare_speech_commands

from fftp_tag.data.class_lists import read_classes_csv
from speechbrain.dataio.dataio import load_data_csv

prepare_words = functools.partial(prepare_speech_commands, task="folders")
LAYOUTS = {
    "lists": (data_folders.write_lists, prepare_data),
    "parquet": (data_folders.write_parquet, prepare_data),
    "folders": (data_folders.write_class_folders, prepare_data),
    "words": (data_folders.write_words, prepare_words),
}


def times(folder):
    """When each file was written."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in paths}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_manifests_and_reuse(layout, tmp_path):
    if layout == "parquet":
        pytest.importorskip("pyarrow")
    write, prepare = LAYOUTS[layout]
    data, save = tmp_path / "data", tmp_path / "save"
    write(data)
    prepare(data, save, skip_prep=True)
    assert not save.exists()
    prepare(data, save)
    labels = list(read_classes_csv(save).values())
    expected = ["cat", "dog"]
    if layout in ("lists", "parquet"):
        expected = list(data_folders.CLASSES.values())
    assert labels == expected
    found = {}
    for split in ("train", "valid", "test" if layout == "words" else "eval"):
        rows = load_data_csv(str(save / f"{split}.csv"), {"data_root": save})
        assert rows and not rows.keys() & found.keys()
        found |= rows
    for row in found.values():
        assert row["duration"] == 0.3
        assert set(row["labels"].split(";")) <= set(labels)
    assert {len(clip) for clip in read_clips(save).values()} == {4800}
    assert read_rows(save / "skipped.csv") == []

    before = times(save)
    prepare(data, save)
    with pytest.raises(ValueError, match="sample_rate=16000, not 8000"):
        prepare(data, save, sample_rate=8000)
    if layout in ("folders", "words"):
        extra = data / "cat" / "new_nohash_0.wav"
        data_folders.write_sound(extra, 99)
        with pytest.raises(ValueError, match=str(save)):
            prepare(data, save)
        extra.unlink()
    if layout == "folders":
        data = data.rename(tmp_path / "moved")
        prepare(data, save)
        path = data / "cat" / "1.wav"
        time = path.stat().st_mtime_ns
        data_folders.write_sound(path, 99)  # of the same size and second
        os.utime(path, ns=(time, time + 1))
        with pytest.raises(ValueError, match=str(save)):
            prepare(data, save)
    shutil.rmtree(data)
    prepare(data, save)
    assert times(save) == before
    with pytest.raises(FileNotFoundError, match=str(data)):
        prepare(data, tmp_path / "other")


@pytest.mark.parametrize(
    "layout, option", [("folders", "max_seconds"), ("words", "clip_seconds")]
)
def test_clips_are_the_beginnings_of_long_ones(layout, option, tmp_path):
    data, short = tmp_path / "data", tmp_path / "short"
    write, prepare = LAYOUTS[layout]
    write(data)
    prepare(data, tmp_path / "whole")
    prepare(data, short, **{option: 0.1})
    expected, found = read_clips(tmp_path / "whole"), read_clips(short)
    assert set(found) == set(expected)
    for clip, samples in found.items():
        np.testing.assert_array_equal(samples, expected[clip][:1600])


def test_the_unbalanced_set_and_a_list_of_validation_clips(tmp_path):
    data = tmp_path / "data"
    data_folders.write_lists(data)
    lines = (data / "balanced_train_segments.csv").read_text().splitlines()
    for name, part in (
        ("balanced_train", lines[:3]),  # and a comment
        ("unbalanced_train", lines[3:6]),
        ("valid", lines[6:]),
    ):
        (data / f"{name}_segments.csv").write_text("\n".join(part))
    for unbalanced, n_train in ((True, 5), (False, 2)):
        save = tmp_path / f"{n_train}"
        prepare_data(data, save, unbalanced=unbalanced)
        for split, number in (("train", n_train), ("valid", 3), ("eval", 3)):
            assert len(read_rows(save / f"{split}.csv")) == number
    with pytest.raises(ValueError, match="unbalanced=True"):
        prepare_data(data, tmp_path / "5")


@pytest.mark.parametrize(
    "option, value", [("unbalanced", True), ("valid_fraction", 0.0)]
)
def test_custom_data_refuse_options_of_audioset(option, value, tmp_path):
    data_folders.write_class_folders(tmp_path / "data")
    with pytest.raises(ValueError, match=f"{option}.*{tmp_path / 'data'}"):
        prepare_data(tmp_path / "data", tmp_path / "save", **{option: value})


def test_twelve_classes(tmp_path):
    """Other words and silence are drawn for each split."""
    data, save = tmp_path / "data", tmp_path / "save"
    data_folders.write_words(data, (*COMMANDS, "bed", "tree"))
    noise = data / "_background_noise_" / "noise.wav"
    noise.parent.mkdir()
    sf.write(noise, np.linspace(-0.5, 0.5, 10 * 16000), 16000)
    prepare_speech_commands(data, save, task=12)
    classes = [*COMMANDS, "_unknown_", "_silence_"]
    assert list(read_classes_csv(save)) == classes
    for speaker, split in enumerate(("train", "valid", "test")):
        rows = read_rows(save / f"{split}.csv")
        ids = {row["labels"]: row["ID"] for row in rows}
        assert len(rows) == 12 and set(ids) == set(classes)
        end = f"_s{speaker}_nohash_0"
        for word in COMMANDS:
            assert ids[word] == word + end
        assert ids["_unknown_"] in ("bed" + end, "tree" + end)
