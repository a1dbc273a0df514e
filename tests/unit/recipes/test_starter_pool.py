"""Tests of the pool of recordings that the starter learns from.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import subprocess

import numpy as np
import pytest
import soundfile as sf
from recipe_runs import ROOT

RATE = 16000
FREE = ("CC0 1.0", "public domain", "CC BY", "OGA-BY", "MIT", "BSD")


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    """The recipe's folder, from which its modules are imported."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "Starter"))


def make_noise(seed, seconds=3.0):
    """A sound ``[S]`` whose bands come and go."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * RATE)))
    spectrum[len(spectrum) // 2 :] *= 0.1
    wav = np.fft.irfft(spectrum)
    pace = rng.uniform(2, 6, 2)
    times = np.arange(len(wav)) / RATE
    return (0.3 * wav * np.sin(pace[:, None] * times).prod(0)).astype("f")


def test_a_recording_is_found_in_another_cut():
    """Quieter, in noise and later; not so those of others."""
    from fingerprints import find_same, fingerprint

    sounds = [make_noise(seed) for seed in range(8)]
    rng = np.random.default_rng(9)
    cut = 0.2 * sounds[5][7000:30000]
    cut = cut + 0.002 * rng.standard_normal(len(cut)).astype("f")
    silent = [np.pad(make_noise(x, 1.0), (0, 2 * RATE)) for x in (8, 9)]
    wavs = [*sounds, cut, *silent, np.zeros(9, "f")]
    prints = [fingerprint(wav) for wav in wavs]
    assert list(find_same(prints)) == [(5, 8)]


def test_each_recording_of_the_pool_names_author_and_free_licence():
    """And is there once, of a commit that is pinned."""
    from pool import COLUMNS, COMMITS, TABLE

    with open(TABLE, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["repository"] for row in rows} == set(COMMITS)
    assert len({(x["repository"], x["path"]) for x in rows}) == len(rows)
    for row in rows:
        assert all(row[x].strip() for x in COLUMNS)
        assert row["licence"].startswith(FREE), row
        assert not {"SA", "NC", "ND"} & set(row["licence"].split("-")), row
    assert all(len(commit) == 40 for commit in COMMITS.values())


def test_the_pool_is_laid_out_from_clones(tmp_path, monkeypatch):
    """Without what is held out, by number or by ear, copies and many takes."""
    import pool

    clone = tmp_path / "clones" / "some+sounds"
    names = ["a [1].wav", "b.wav", "c.wav", "short.wav", "copy.wav"]
    names += [f"hit{number}.wav" for number in range(pool.TAKES + 2)]
    clone.mkdir(parents=True)
    for seed, name in enumerate(names):
        sf.write(clone / name, make_noise(seed), RATE)
    sf.write(clone / "short.wav", make_noise(3)[:800], RATE)
    sf.write(clone / "copy.wav", 0.5 * make_noise(0)[9000:], RATE)
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "sounds"]):
        subprocess.run([*git, *words], check=True)
    words = [*git, "rev-parse", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True).stdout
    monkeypatch.setattr(pool, "COMMITS", {"some/sounds": commit.strip()})
    monkeypatch.setattr(pool, "TABLE", tmp_path / "pool.csv")
    link = "https://freesound.org/people/someone/sounds/4711/"
    rows = [",".join(pool.COLUMNS)]
    for name in names:
        source = link if name == "c.wav" else "none"
        rows.append(f"some/sounds,{name},Someone,CC0 1.0,{source}")
    pool.TABLE.write_text("\n".join(rows) + "\n")
    clips = pool.lay_out(tmp_path / "clones", tmp_path / "laid")
    assert [path.name for path, _ in clips] == [f"{x}.flac" for x in names]
    held_out = tmp_path / "held.wav"
    sf.write(held_out, make_noise(1)[5000:], RATE)
    left, out = pool.choose(clips, {held_out: ["4711"]})
    kept = [path.stem for path, _ in left]
    assert kept == ["a [1].wav", *names[5 : 5 + pool.TAKES]]
    assert len(kept) + len(out) == len(names)
    reasons = {path.stem: reason for path, reason in out.items()}
    assert reasons["b.wav"].startswith("held out: ")
    assert reasons["copy.wav"].startswith("there twice: ")
    assert left[0][1]["author"] == "Someone"


def test_recordings_of_withheld_classes_are_left_out(tmp_path):
    """By their true classes and the teacher's best; a half has whole groups."""
    from starter_prepare import select_rows

    rows = {
        f"pool--thing{thing}_of_{thing:04d}_{take}.wav": {"labels": ""}
        for thing in range(200)
        for take in range(2)
    }
    names = list(rows)
    rows[names[0]] = {"labels": "Meow;Purr"}
    heard = tmp_path / "heard.csv"
    heard.write_text(f"ID,best\n{names[1]},Meow\n{names[2]},Bark\n")
    left = select_rows(rows, withheld=["Meow"], heard=heard)
    assert list(left) == names[2:]
    assert list(select_rows(rows)) == names
    half = select_rows(rows, fraction=0.5)
    assert 150 < len(half) < 250 and len(half) % 2 == 0
    assert set(select_rows(rows, fraction=0.25)) < set(half)


def test_what_a_short_recording_leaves_empty_has_another_behind(tmp_path):
    """Quiet, and of the folders that are named."""
    from mixtures import BACKGROUND_DB, Mixtures

    rows = {}
    for name, pitch, seconds in (
        ("short--a.wav", 1000, 0.5),
        ("long--b.wav", 200, 3.0),
        ("speech--c.wav", 3000, 3.0),
    ):
        times = np.arange(round(seconds * RATE)) / RATE
        path = tmp_path / name
        sf.write(path, 0.3 * np.sin(2 * np.pi * pitch * times), RATE)
        rows[name] = {"wav": str(path), "start": "0", "stop": len(times)}
        rows[name]["labels"] = ""

    def levels(numbers, **options):
        """Levels in dB at the three pitches, of a recording in a clip."""
        clips = Mixtures(
            rows, "", size=3, seed=0, sample_rate=RATE, seconds=2.0, **options
        )
        for number in numbers:
            wav = clips.place(0, np.random.default_rng(number))
            assert len(wav) == 2 * RATE
            power = np.abs(np.fft.rfft(wav)) ** 2
            # A window of 40 Hz around each
            bands = [
                power[2 * x - 80 : 2 * x + 80].sum() for x in (1000, 200, 3000)
            ]
            yield 10 * np.log10(np.array(bands) + 1e-9)

    behind = list(levels(range(8), background_folders=["long"]))
    for short, long, speech in behind:
        # Four times as long
        difference = long - short - 10 * np.log10(4)
        assert BACKGROUND_DB[0] - 1 < difference < BACKGROUND_DB[1] + 1
        assert speech < long - 20
    anything = list(levels(range(8)))
    assert any(speech > long for _, long, speech in anything)
    assert any(long > speech for _, long, speech in anything)
