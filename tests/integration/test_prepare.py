"""What holds for every data set that can be prepared.

The readers of each data set are tested in tests/unit/datasets, and packs in
tests/speechbrain/test_prepared.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import shutil

import data_folders
import numpy as np
import pytest
import soundfile as sf
from audioset_prepare import prepare_audioset
from prepared_clips import read_clips, read_part, read_rows

from speechbrain.dataio.dataio import load_data_csv
from speechbrain_fftp.dataio.prepared import read_classes_csv
from speechbrain_fftp.datasets.prepare import (
    count_classes,
    list_data,
    prepare_data,
)
from speechbrain_fftp.datasets.speech_commands import (
    COMMANDS,
    count_classes as count_words,
    prepare_speech_commands,
)

SPLITS = ("train", "valid", "eval")
LAYOUTS = {
    "lists": data_folders.write_lists,
    "parquet": data_folders.write_parquet,
    "folders": data_folders.write_class_folders,
    "esc50": data_folders.write_esc50,
    "words": data_folders.write_words,
}
prepare_any = functools.partial(prepare_data, prepare_audioset=prepare_audioset)


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    """A data folder, the function that prepares it, and its splits."""
    folder = tmp_path / "data"
    folder.mkdir()
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    LAYOUTS[request.param](folder)
    if request.param == "words":
        prepare = functools.partial(prepare_speech_commands, task="folders")
        return folder, prepare, ("train", "valid", "test")
    options = {"test_fold": 2} if request.param == "esc50" else {}
    return folder, functools.partial(prepare_any, **options), SPLITS


def times(folder):
    """When each file was written."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in paths}


def test_manifests_and_reuse(layout, tmp_path):
    data, prepare, splits = layout
    save = tmp_path / "save"
    prepare(data, save, skip_prep=True)
    assert not save.exists()
    prepare(data, save)
    classes = read_classes_csv(save)
    expected = ["cat", "dog"]
    if (data / "class_labels_indices.csv").exists():
        expected = list(data_folders.CLASSES.values())
    assert list(classes.values()) == expected
    ids = set()
    for split in splits:
        rows = load_data_csv(str(save / f"{split}.csv"), {"data_root": save})
        assert rows and not ids & rows.keys()
        ids |= rows.keys()
        # The clips fill the only pack of their split
        pack = str(save / "wav" / f"{split}-0000.wav")
        info = sf.info(pack)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
        assert info.frames == 4800 * len(rows)
        for number, row in enumerate(rows.values()):
            assert row["wav"] == pack and row["duration"] == 0.3
            assert int(row["start"]) == 4800 * number
            assert int(row["stop"]) == 4800 * (number + 1)
            labels = row.get("labels") or row["label"]
            assert set(labels.split(";")) <= set(classes.values())
    assert read_rows(save / "skipped.csv") == []

    before = times(save)
    prepare(data, save)
    with pytest.raises(ValueError, match="sample_rate=16000, not 8000"):
        prepare(data, save, sample_rate=8000)
    shutil.rmtree(data)
    prepare(data, save)
    assert times(save) == before
    with pytest.raises(FileNotFoundError, match=str(data)):
        prepare(data, tmp_path / "other")


@pytest.mark.parametrize("name", ["folders", "words"])
def test_more_clips_of_ones_own_are_noticed(name, tmp_path):
    data, save = tmp_path / "data", tmp_path / "save"
    data.mkdir()
    LAYOUTS[name](data)
    prepare = prepare_any
    if name == "words":
        prepare = functools.partial(prepare_speech_commands, task="folders")
    prepare(data, save)
    data_folders.write_sound(data / "cat" / "new_nohash_0.wav", 99)
    with pytest.raises(ValueError, match=f"{save} was prepared with clips"):
        prepare(data, save)


def test_audio_files_in_any_nesting(tmp_path):
    """Of several files of a clip, one is used; others are not its own."""
    data = tmp_path / "data"
    data_folders.write_segments(data)
    clips = dict(enumerate([*data_folders.TRAIN, *data_folders.EVAL]))
    for number, clip_id in clips.items():
        name = (f"{clip_id}.FLAC", f"Y{clip_id}.wav", f"{clip_id}_0_10.ogg")
        path = data / "a" / f"part{number}" / name[number % 3]
        path.parent.mkdir(parents=True)
        form = ("FLAC", "WAV", "OGG")[number % 3]
        sf.write(path, data_folders.sound(number), 16000, format=form)
    for name in (
        "a/.hidden/{}.flac",
        "__MACOSX/{}.flac",
        "a/{}_70_80.flac",  # another segment
        "a/other/flac/{}.flac",  # of a prepared folder
    ):
        data_folders.write_sound(data / name.format(clips[0]), 99)
    (data / "a" / "other" / "prepared.json").write_text("{}")
    (data / "a" / "loop").symlink_to(data)
    save = data / "results" / "save"
    prepare_any(data, save)
    prepared = read_clips(save)
    for number, clip_id in clips.items():
        found = prepared[clip_id]
        expected = data_folders.sound(number)
        assert np.corrcoef(found, expected)[0, 1] > 0.9


def test_the_unbalanced_set_and_a_list_of_validation_clips(tmp_path):
    data = tmp_path / "data"
    data_folders.write_lists(data)
    train = data / "balanced_train_segments.csv"
    lines = train.read_text("utf-8").splitlines()
    train.write_text("\n".join(lines[:3]), "utf-8")
    for name, part in (("unbalanced_train", lines[3:6]), ("valid", lines[6:])):
        path = data / f"{name}_segments.csv"
        path.write_text("\n".join(part), "utf-8")
    prepare_audioset(data, tmp_path / "all", unbalanced=True)
    prepare_audioset(data, tmp_path / "balanced")
    for folder, n_train in (("all", 5), ("balanced", 2)):
        for split, number in (("train", n_train), ("valid", 3), ("eval", 3)):
            rows = read_rows(tmp_path / folder / f"{split}.csv")
            assert len(rows) == number
    LAYOUTS["folders"](tmp_path / "own")
    with pytest.raises(ValueError, match="unbalanced"):
        prepare_any(tmp_path / "own", tmp_path / "save", unbalanced=True)


def test_audioset_is_prepared_by_its_recipe(tmp_path):
    data_folders.write_lists(tmp_path)
    with pytest.raises(ValueError, match="recipes/AudioSet/audioset_prepare"):
        list_data(tmp_path)


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
        by_label = {row["label"]: row for row in rows}
        assert len(rows) == 12 and set(by_label) == set(classes)
        for word in COMMANDS:
            source = data / word / f"s{speaker}_nohash_0.wav"
            np.testing.assert_array_equal(
                read_part(by_label[word], save),
                sf.read(source, dtype="int16")[0],
            )
        assert by_label["_unknown_"]["ID"] in [
            f"{word}_s{speaker}_nohash_0" for word in ("bed", "tree")
        ]
        # Silence is cut from a part of the ramp that no other split uses
        cut = read_part(by_label["_silence_"], save, "float64")
        slope, value = np.polyfit(np.arange(len(cut)) / 16000, cut, 1)
        first, last = ((0, 7), (7, 8.5), (8.5, 10))[speaker]
        assert first - 0.05 < 5 + value / slope < last - len(cut) / 16000 + 0.05
    part, _ = sf.read(save / "noise" / "noise.flac")
    np.testing.assert_array_equal(part, sf.read(noise)[0][: 7 * 16000])


def test_classes_are_counted_without_preparing(tmp_path):
    nothing = str(tmp_path / "none")
    assert count_classes(None, nothing) == 527
    assert count_classes(nothing, nothing) == 527
    data_folders.write_class_folders(tmp_path / "a")
    assert count_classes(str(tmp_path / "a"), nothing) == 2
    data_folders.write_lists(tmp_path / "b")
    assert count_classes(str(tmp_path / "b"), nothing) == 3
    assert count_words(12, nothing, nothing) == 12
    assert count_words("folders", nothing, nothing) == 35
    data_folders.write_words(tmp_path / "c")
    assert count_words("folders", str(tmp_path / "c"), nothing) == 2
