"""Tests of copies among custom clips: identical files and similar sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import logging

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio.audio import resample
from speechbrain_fftp.datasets.custom.copies import (
    compare,
    find_copies,
    find_near_copies,
    fingerprint,
)
from speechbrain_fftp.datasets.custom.listing import (
    find_custom_data,
    split_custom_data,
)
from speechbrain_fftp.datasets.custom.splits import CustomClip, assign_splits
from speechbrain_fftp.datasets.synthetic.demo_set import CLASSES

RATE = 16000


def write(folder, contents):
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


def test_identical_files(tmp_path, monkeypatch):
    contents = {"a": "one", "b": "two", "c/d": "one", "e": "longer", "f": "two"}
    write(tmp_path, contents)
    hashed = []
    digest = "speechbrain_fftp.datasets.custom.copies.file_sha256"
    monkeypatch.setattr(
        digest, lambda path: hashed.append(path) or open(path).read()
    )
    paths = [*contents, "absent", "c"]
    assert find_copies(tmp_path, paths) == [["a", "c/d"], ["b", "f"]]
    assert len(hashed) == 4  # not that of another size


@pytest.mark.parametrize("seed", range(20))
def test_copies_and_groups_stay_together(seed):
    """Against the connected components of a graph."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 60)
    clips = [
        CustomClip(f"{i}.wav", ("a",), "", f"g{g}" if g < 30 else "")
        for i, g in enumerate(groups)
    ]
    copies = [list(rng.choice(60, 2, replace=False)) for _ in range(15)]
    links = [(i, j) for i in range(60) for j in range(60) if i < j]
    links = [(i, j) for i, j in links if groups[i] == groups[j] < 30]
    links += map(tuple, copies)
    rows, columns = np.array(links).T
    graph = coo_matrix((np.ones(len(links)), (rows, columns)), (60, 60))
    _, component = connected_components(graph, directed=False)
    paths = [[f"{i}.wav" for i in pair] for pair in copies]
    splits = assign_splits(clips, paths)
    for number in set(component):
        found = {s for s, c in zip(splits, component) if c == number}
        assert len(found) == 1
    # Neither the order of clips nor that of copies matters.
    order = rng.permutation(60)
    again = assign_splits([clips[i] for i in order], paths[::-1])
    assert again == [splits[i] for i in order]


def test_copies_follow_a_given_split_and_never_change_one():
    clips = [
        CustomClip("1.wav", ("a",), "eval"),
        CustomClip("2.wav", ("a",)),
        CustomClip("3.wav", ("a",), "train"),
        CustomClip("4.wav", ("a",), "", "g"),
        CustomClip("5.wav", ("a",), "", "g"),
        *(CustomClip(f"b{i}.wav", ("a",)) for i in range(20)),
    ]
    copies = [["1.wav", "2.wav"], ["3.wav", "1.wav"], ["2.wav", "5.wav"]]
    splits = assign_splits(clips, copies)
    assert splits[:5] == ["eval", "eval", "train", "eval", "eval"]


def test_leaks_are_reported(tmp_path, caplog):
    names = [f"{label}{i}.wav" for label in "ab" for i in range(6)]
    contents = {name: name for name in names}
    contents.update({"a5.wav": "a0.wav", "b5.wav": "b4.wav"})
    write(tmp_path, contents)
    rows = [f"{name},{name[0]},{'eval' * (name == 'a0.wav')}" for name in names]
    rows[5] += "train"
    table = "\n".join(["path,labels,split", *rows])
    (tmp_path / "clips.csv").write_text(table)
    with caplog.at_level(logging.INFO):
        listed, copies = split_custom_data(find_custom_data(tmp_path))
    split_of = {c.id: s for s, clips in listed.items() for c in clips}
    assert split_of["a0"] == "eval" and split_of["a5"] == "train"
    assert split_of["b4"] == split_of["b5"]
    assert copies == [
        {"paths": ["a0.wav", "a5.wav"], "splits": ["eval", "train"]},
        {"paths": ["b4.wav", "b5.wav"], "splits": [split_of["b4"]] * 2},
    ]
    assert "2 clips are copies of others" in caplog.text
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno > 20]
    assert "a0.wav (eval) = a5.wav (train)" in warning
    assert "b4" not in warning and "remove the copies" in warning


def test_doubtful_classes_are_named(tmp_path, caplog):
    for name, count in (("Siren", 4), ("siren", 3), ("Dog_bark", 3)):
        write(tmp_path, {f"{name}/{i}.wav": f"{name}{i}" for i in range(count)})
    write(tmp_path, {"dog bark/1.wav": "x", "Cafe\u0301/1.wav": "y"})
    write(tmp_path, {f"Caf\u00e9/{i}.wav": f"z{i}" for i in range(3)})
    write(tmp_path, {f"Dog/{i}.wav": f"d{i}" for i in range(3)})
    split_custom_data(find_custom_data(tmp_path))
    warnings = [r.getMessage() for r in caplog.records if r.levelno > 20]
    once, alike = warnings
    assert "classes without clips to score" in once
    assert "'Cafe\u0301' (of 1); 'dog bark' (of 1)" in once
    assert "'Siren'" not in once and "add clips" in once
    assert "'Siren' / 'siren'" in alike and "'Dog_bark' / 'dog bark'" in alike
    assert "'Cafe\u0301' / 'Caf\u00e9'" in alike and "'Dog';" not in alike


def synthetic(name, seed):
    """A clip of three seconds with little noise."""
    rng = np.random.default_rng(seed)
    make = next(make for _, label, make in CLASSES if label == name)
    sound = make(rng, np.arange(3 * RATE) / RATE)
    noise = 0.003 * rng.standard_normal(3 * RATE)
    return (0.3 * sound / abs(sound).max() + noise).astype(np.float32)


def encode(samples, format):
    """Through a file in a format with losses."""
    file = io.BytesIO()
    sf.write(file, samples, RATE, format=format)
    file.seek(0)
    return sf.read(file, dtype="float32")[0]


CHANGES = {
    "gain": lambda x: 0.05 * x,
    "ogg": lambda x: encode(x, "OGG"),
    "mp3": lambda x: 0.5 * encode(x, "MP3"),
    "resampled": lambda x: resample(resample(x, RATE, 11025), 11025, RATE),
    "later": lambda x: np.concatenate([np.zeros(800, np.float32), x]),
}


def prints_of(clips):
    return np.stack([fingerprint(clip, RATE) for clip in clips])


@pytest.fixture(scope="module")
def sounds():
    """Five clips of each class; steady tones and noises are among them."""
    names = [c[1] for c in CLASSES for _ in range(5)]
    return [synthetic(name, seed) for seed, name in enumerate(names)]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(sounds, change):
    changed = [CHANGES[change](sound) for sound in sounds]
    near = compare(prints_of(changed), prints_of(sounds)) > 0
    assert np.diag(near).mean() >= 0.8  # of some tones only noise is left
    np.fill_diagonal(near, False)
    assert not near.any()  # 4,830 pairs of different clips


def test_what_says_nothing_is_not_alike():
    rng = np.random.default_rng(0)
    clicks = np.zeros((4, 10 * RATE), np.float32)
    clicks[:, 800:1000] = rng.standard_normal((4, 200))
    clicks[3] = 0
    prints = prints_of(clicks)
    assert not prints[3].any()
    assert not (compare(prints, prints) - np.diag([1.0] * 4) > 0).any()


def test_near_copies_of_different_splits(sounds, tmp_path):
    clips = dict(enumerate(sounds[::5]))
    clips.update({20: 0.1 * clips[2], 21: encode(clips[3], "OGG")})
    clips.update({22: 0.3 * clips[4], 23: 0.2 * clips[3]})
    for number, samples in clips.items():
        sf.write(tmp_path / f"{number}.flac", samples, RATE)
    splits = {
        "eval": ["2", "3", "5", "23"],
        "valid": ["6", "21"],
        "train": ["4", "22", "20", "7", "8"],
    }
    found = find_near_copies(splits, str(tmp_path))
    assert [pair["ids"] for pair in found[:1]] == [["2", "20"]]
    assert {tuple(pair["ids"]) for pair in found} == {
        ("2", "20"),
        ("3", "21"),
        ("23", "21"),
    }
    for pair in found:
        places = [i in splits[s] for i, s in zip(pair["ids"], pair["splits"])]
        assert all(places) and 0.45 <= pair["similarity"] <= 1
    assert found[0]["splits"] == ["eval", "train"]
