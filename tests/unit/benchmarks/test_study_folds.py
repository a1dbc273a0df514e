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
