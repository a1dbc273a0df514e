"""Tests of the study's folds: no group in two splits, no clip left out.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_fftp.datasets.audioset.prepare import open_audioset
from speechbrain_fftp.datasets.names import clip_ids
from speechbrain_fftp.datasets.speech_commands.lists import (
    list_words,
    read_lists,
    split_clips,
)

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
HEAD = "# Segments\n# num_ytids=30\n# YTID, start, end, positive_labels\n"
FOLDS = (1, 2, 3, 4, 5, "search")


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Clips of 20 speakers, other words, silence and background noise."""
    folder = tmp_path_factory.mktemp("data") / "words"
    rng = np.random.default_rng(0)
    names = [f"_silence_/{i}.flac" for i in range(16)]
    for speaker, take in itertools.product(range(20), range(2)):
        name = f"{speaker:08x}_nohash_{take}"
        for word in ("yes/", "no/", "_unknown_/bed_", "_unknown_/cat_"):
            if rng.uniform() < 0.8:
                names.append(f"{word}{name}.flac")
    for name in (*names, "_background_noise_/hum.wav"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.integers(-99, 99, 400, "int16"), 16000)
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / name).write_text(names[0] + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Clips in AudioSet's format, in sessions of one to three."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    (folder / "audio").mkdir(parents=True)
    lists = dict.fromkeys(("balanced_train", "valid", "eval"), HEAD)
    rows, mids = [], {"Bark": "/m/0bt9lr", "Siren": "/m/03kmc9"}
    for label, session, take in itertools.product(mids, range(16), range(3)):
        if take > session % 3:
            continue
        clip = f"-{label[0]}{session:06d}_{take}"
        rows.append([clip, label, 1000 * session + 15 * take])
        place = list(lists)[len(rows) % 3]
        lists[place] += f'{clip}, 0.000, 0.025, "{mids[label]},/m/04rlf"\n'
        soundfile.write(folder / "audio" / f"{clip}.wav", [0.1] * 400, 16000)
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        names = ["ytid", "source_label", "freesound_id"]
        csv.writer(file).writerows([names, *reversed(rows)])
    for name, text in lists.items():
        (folder / f"{name}_segments.csv").write_text(text, "utf-8")
    (folder / "class_labels_indices.csv").write_text(
        "index,mid,display_name\n0,/m/0bt9lr,Bark\n1,/m/03kmc9,Siren\n"
        "2,/m/04rlf,Music\n",
        "utf-8",
    )
    return folder


@pytest.fixture(params=["words", "sounds"])
def folder(request):
    return request.getfixturevalue(request.param)


def check_folds(clips):
    """The rules that every data folder's folds follow."""
    from study.folds import split

    found = {fold: split(clips, fold) for fold in FOLDS}
    tests = [clip for fold in FOLDS[:5] for clip in found[fold]["test"]]
    assert sorted(tests) == sorted(clips)
    for fold, parts in found.items():
        assert list(parts) == ["train", "valid", "test"] and all(parts.values())
        groups = [{clip.group for clip in part} for part in parts.values()]
        assert sum(map(len, groups)) == len(set().union(*groups))
        if fold != "search":
            assert sorted(sum(parts.values(), [])) == sorted(clips)
    held_out = set(found[1]["test"])
    inner = [*itertools.chain(*found["search"].values())]
    assert sorted(inner) == sorted(set(clips) - held_out)
    assert set(found["search"]["test"]) < set(found[1]["train"])
    assert split(clips, 2) == found[2] == split(list(clips), "2")
    return found


def counts(clips):
    """Number of clips of each class."""
    return Counter(clip.label for clip in clips)


def test_each_clip_is_tested_once_by_a_model_without_its_group(folder):
    from study.folds import list_clips

    clips = list_clips(folder)
    found = check_folds(clips)
    whole = counts(clips)
    for fold in FOLDS[:5]:
        for label, number in counts(found[fold]["test"]).items():
            assert number == pytest.approx(whole[label] / 5, rel=0.5)
        assert set(counts(found[fold]["train"])) == set(whole)


def stems(clips):
    """The names of clips, without the extension."""
    return {Path(clip.name).with_suffix("") for clip in clips}


def read_back(dest):
    """The stems of the clips of each split, as the recipes read them."""
    if (dest / "audio").exists():
        listed = open_audioset(dest).list_clips()
        listed["test"] = listed.pop("eval")
        return {name: {Path(c.id) for c in listed[name]} for name in listed}
    found, _ = list_words(dest)
    noise = found.pop("_background_noise_")
    assert noise == ["_background_noise_/hum.wav"]
    paths = [*itertools.chain(*found.values())]
    splits, absent, doubled = split_clips(paths, read_lists(dest))
    assert not absent and not doubled
    return {
        name: {Path(p).with_suffix("") for p in paths if splits[p] == name}
        for name in ("train", "valid", "test")
    }


@pytest.mark.parametrize("fold", [3, "search"])
def test_recipes_read_the_splits(folder, fold, tmp_path):
    from study.folds import list_clips, make_fold, split

    dest = tmp_path / "folds" / str(fold)
    made = make_fold(folder, fold, dest)
    assert made == split(list_clips(folder), fold)
    assert read_back(dest) == {name: stems(made[name]) for name in made}
    before = {p: p.stat().st_mtime_ns for p in dest.rglob("*")}
    assert make_fold(folder, fold, dest) == made
    assert before == {p: p.stat().st_mtime_ns for p in dest.rglob("*")}
    assert [p.name for p in dest.parent.iterdir()] == [str(fold)]


def test_search_has_no_test_clip_of_the_first_fold(folder, tmp_path):
    from study.folds import make_fold

    held_out = stems(make_fold(folder, 1, tmp_path / "1")["test"])
    make_fold(folder, "search", tmp_path / "search")
    found = read_back(tmp_path / "search")
    assert not held_out & set().union(*found.values())
    for path in (tmp_path / "search").rglob("*.*"):
        relative = path.relative_to(tmp_path / "search")
        assert relative.with_suffix("") not in held_out
        if path.suffix == ".txt":
            listed = {Path(line) for line in path.read_text().split()}
            assert not held_out & {line.with_suffix("") for line in listed}


def test_clips_are_copied_sample_by_sample(words, tmp_path):
    from study.folds import make_fold

    for part in make_fold(words, 1, tmp_path / "1").values():
        for clip in part[:2]:
            path = (tmp_path / "1" / clip.name).with_suffix(".wav")
            wav, rate = soundfile.read(path, dtype="int16")
            assert rate == 16000
            source = soundfile.read(words / clip.name, dtype="int16")[0]
            assert np.array_equal(wav, source)


def test_groups_of_the_ids_of_the_recipes(words, sounds):
    from study.folds import groups_of, list_clips

    clips = list_clips(words)
    ids = clip_ids([clip.name for clip in clips])
    groups = groups_of(words, [ids[clip.name] for clip in clips])
    assert groups == [clip.group for clip in clips]
    clips = list_clips(sounds)
    groups = groups_of(sounds, np.array([clip.name for clip in clips]))
    assert groups == [clip.group for clip in clips]


def test_speakers_and_sessions(words, sounds, tmp_path):
    from study.folds import audioset_clips, list_clips

    clips = list_clips(words)
    groups = {clip.group for clip in clips if clip.label != "_silence_"}
    assert groups == {f"{speaker:08x}" for speaker in range(20)}
    assert len({c.group for c in clips if c.label == "_silence_"}) == 16
    assert len({clip.group for clip in list_clips(sounds)}) == 32
    rows = ["b,x,41", "d,x,62", "a,x,1", "c,x,21", "e,y,50"]
    text = "\n".join(["ytid,source_label,freesound_id", *rows])
    (tmp_path / "clips.csv").write_text(text, "utf-8")
    found = {clip.name: clip.group for clip in audioset_clips(tmp_path)}
    assert found["a"] == found["c"] == found["b"]
    assert len({found[name] for name in "ade"}) == 3


def test_real_words_in_the_shared_folder(shared):
    from study.folds import list_clips

    folder = shared / "data" / "speech_commands"
    if not folder.is_dir():
        pytest.skip("the shared folder has no Speech Commands")
    clips = list_clips(folder)
    spoken = [clip for clip in clips if clip.label != "_silence_"]
    assert (len(clips), len(spoken)) == (4500, 4125)
    assert len({clip.group for clip in spoken}) == 238
    assert set(counts(clips).values()) == {375}
    found = check_folds(clips)
    for fold in FOLDS[:5]:
        number = counts(found[fold]["test"])
        assert len(number) == 12
        assert max(abs(n - 75) for n in number.values()) <= 8


def test_real_sounds_in_the_shared_folder(shared):
    from study.folds import list_clips

    folder = shared / "data" / "audioset_mini"
    if not folder.is_dir():
        pytest.skip("the shared folder has no clips in AudioSet's format")
    clips = list_clips(folder)
    assert len(clips) == 300 and len({clip.group for clip in clips}) < 300
    check_folds(clips)
