"""Tests of ``SoundIndex``, with a model that hears levels.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from fftp_tag import AudioTagger
from fftp_tag.search.index import SETTINGS, WINDOWS, SoundIndex, update_index
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
RATE = 16000


class Levels:
    """Its embedding is the mean level of 8 parts of a window, and a sine."""

    sample_rate, max_samples, min_samples, frame_samples = RATE, 5 * RATE, 1, 1
    window_samples = None

    def __init__(self, gain=1.0):
        self.gain = gain
        self.calls = 0

    def embeddings(self, wavs):
        self.calls += 1
        parts = np.array_split(np.abs(wavs), 8, axis=1)
        levels = np.stack([part.mean(1) for part in parts], 1)
        return np.concatenate([levels, np.sin(9 * self.gain * levels)], 1)


@pytest.fixture
def tagger():
    return AudioTagger(Levels())


def write(path, seconds, seed=0, rate=RATE):
    """Noise whose level changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng, count = np.random.default_rng(seed), round(seconds * rate)
    levels = np.repeat(rng.random(count // 1000 + 1) ** 2, 1000)[:count]
    sf.write(path, 0.2 * levels * rng.standard_normal(count), rate)


@pytest.fixture
def archive(tmp_path):
    """Files of several lengths and rates, one in a folder below."""
    folder = tmp_path / "archive"
    write(folder / "a.wav", seconds=7.3, seed=1)
    write(folder / "more" / "b, c.flac", seconds=12, seed=2, rate=44100)
    write(folder / "short.wav", seconds=0.6, seed=3)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder


def cut_by_hand(tagger, archive, window, hop):
    """File, start, end and embedding of each window."""
    found = []
    size, step = round(window * RATE), round(hop * RATE)
    for path in sorted(archive.rglob("*.[wf]*")):
        wav = read_audio(path, RATE)
        last = max(len(wav) - size, 0)
        for start in [*range(0, last, step), last]:
            part = wav[start : start + size]
            [row] = tagger.model.embeddings(part[None])
            end = start + len(part)
            found.append((str(path), start / RATE, end / RATE, row))
    return found


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def brute_force(windows, examples, top_k):
    """The best places, in float64, by comparing all with all."""
    rows = unit(np.array([row for *_, row in windows], np.float64))
    mean, std = rows.mean(0), rows.std(0)
    cosines = unit((rows - mean) / std) @ unit((examples - mean) / std).T
    scores = cosines.max(1)
    places = []
    for n in np.argsort(-scores):
        file, start, end, _ = windows[n]
        if not any(
            f == file and start < e and s < end for f, s, e, _ in places
        ):
            places.append((file, start, end, scores[n]))
    return places[:top_k]


@pytest.mark.parametrize("window, hop", [(1.0, 0.3), (5.0, None)])
@pytest.mark.parametrize("n_examples, top_k", [(1, 3), (2, 50)])
def test_places_are_those_of_brute_force(
    tagger, archive, tmp_path, monkeypatch, window, hop, n_examples, top_k
):
    monkeypatch.setattr("fftp_tag.search.index.CHUNK", 7)
    update = update_index(tmp_path / "a.index", tagger, archive, window, hop)
    assert (update.added, update.dropped, update.errors) == (3, 0, {})
    index = SoundIndex(tmp_path / "a.index")
    examples, means = [], []
    for seed in range(n_examples):
        folder = tmp_path / f"example {seed}"
        write(folder / "a.wav", seconds=2 * window, seed=10 + seed)
        examples.append(index.embed(tagger, folder / "a.wav"))
        rows = [row for *_, row in cut_by_hand(tagger, folder, window, window)]
        means.append(unit(unit(np.array(rows)).mean(0)))
    np.testing.assert_allclose(examples, means, rtol=1e-5)
    windows = cut_by_hand(tagger, archive, window, hop or window)
    assert len(index.rows) == len(windows)
    expected = brute_force(windows, np.array(examples), top_k)
    places = index.find(np.array(examples), top_k)
    assert len(places) == len(expected) <= top_k
    for place, (file, start, end, similarity) in zip(places, expected):
        assert place.file == file
        assert (place.start, place.end) == pytest.approx((start, end))
        assert place.similarity == pytest.approx(similarity, abs=5e-3)


def contents(folder):
    """Embeddings by file and window."""
    return {x.path: x.rows.tolist() for x in SoundIndex(folder).files}


def test_only_new_and_changed_files_are_read(tagger, archive, tmp_path):
    folder = tmp_path / "a.index"
    update_index(folder, tagger, archive, window=1.0)
    before, calls = contents(folder), tagger.model.calls
    update = update_index(folder, tagger, archive)
    assert (update.added, update.unchanged, update.dropped) == (0, 3, 0)
    assert tagger.model.calls == calls + 1  # the probe
    write(archive / "new.wav", seconds=2, seed=5)
    write(archive / "a.wav", seconds=3, seed=6)
    (archive / "short.wav").unlink()
    (archive / "bad.wav").write_text("no sound", "utf-8")
    update = update_index(folder, tagger, archive)
    assert (update.added, update.unchanged, update.dropped) == (2, 1, 2)
    [(path, error)] = update.errors.items()
    assert path == "bad.wav" and str(archive / "bad.wav") in error
    found = contents(folder)
    assert list(found) == ["more/b, c.flac", "a.wav", "new.wav"]
    assert found["more/b, c.flac"] == before["more/b, c.flac"]
    update_index(tmp_path / "fresh.index", tagger, archive, window=1.0)
    assert contents(tmp_path / "fresh.index") == found


KILLED = """
import sys
import time

sys.path.insert(0, sys.argv[1])
from test_index import Levels

from fftp_tag import AudioTagger
from fftp_tag.search import index


class Slow(Levels):
    def embeddings(self, wavs):
        time.sleep(0.02)
        return super().embeddings(wavs)


index.SAVE_SECONDS = 0
index.update_index(sys.argv[3], AudioTagger(Slow()), sys.argv[2], window=1.0)
"""


def test_a_killed_run_is_continued(tagger, tmp_path, caplog):
    archive, folder = tmp_path / "archive", tmp_path / "killed.index"
    for seed in range(60):
        write(archive / f"{seed}.wav", seconds=3, seed=seed)
    counts = [0]
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, Path(__file__).parent]
            + [archive, folder],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        n_files, deadline = 0, time.monotonic() + 60
        while n_files < counts[-1] + 5 and time.monotonic() < deadline:
            time.sleep(0.01)
            if (folder / WINDOWS).exists():
                n_files = len(SoundIndex(folder).files)
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(len(SoundIndex(folder).files))
    assert 5 <= counts[1] < counts[2] < 60
    index = SoundIndex(folder)
    with caplog.at_level(logging.WARNING):
        assert len(index.find(np.ones(16), 10)) == 10
    [message] = caplog.messages
    for part in (f"{counts[2]} of 60", 60 - counts[2], index.update_command):
        assert str(part) in message
    for part in ("fftp-tag index", archive, folder):
        assert str(part) in index.update_command
    update = update_index(folder, tagger, archive)
    assert (update.unchanged, update.added) == (counts[2], 60 - counts[2])
    update_index(tmp_path / "fresh.index", tagger, archive, window=1.0)
    assert contents(folder) == contents(tmp_path / "fresh.index")
    caplog.clear()
    SoundIndex(folder).find(np.ones(16))
    assert not caplog.messages


def test_a_run_that_was_killed_before_it_wrote(tagger, archive, tmp_path):
    folder = tmp_path / "a b.index"
    update_index(folder, tagger, archive, model="m.onnx")
    (folder / WINDOWS).unlink()
    index = SoundIndex(folder)
    index.change(complete=False)
    with pytest.raises(InputError, match="0 of 3 files") as error:
        index.find(np.ones(16))
    assert str(error.value).endswith(index.update_command)
    assert shlex.split(index.update_command) == [
        *("fftp-tag", "index", str(archive), "--output", str(folder)),
        *("--model", "m.onnx"),
    ]


def test_files_that_cannot_be_read_or_are_silent(tagger, tmp_path, caplog):
    archive, folder = tmp_path / "archive", tmp_path / "a.index"
    archive.mkdir()
    for number in range(3):
        sf.write(archive / f"{number}.wav", np.zeros(2000), RATE)
    update_index(folder, tagger, archive)
    assert len(caplog.messages) == 1 and "3" in caplog.text
    for path in archive.iterdir():
        path.write_bytes(b"no sound")
    update_index(folder, tagger, archive)
    with pytest.raises(InputError, match=str(archive)):
        SoundIndex(folder).find(np.ones(16))


def test_an_empty_or_missing_archive_drops_nothing(tagger, archive, tmp_path):
    """A disk that is not mounted is an empty folder."""
    folder, elsewhere = tmp_path / "a.index", tmp_path / "elsewhere"
    update_index(folder, tagger, archive)
    before = contents(folder)
    os.rename(archive, elsewhere)
    archive.mkdir()
    with pytest.raises(FileNotFoundError, match="archive"):
        update_index(folder, tagger, archive)
    with pytest.raises(InputError, match="elsewhere"):
        update_index(folder, tagger, elsewhere)
    assert contents(folder) == before
    archive.rmdir()  # it has moved
    update = update_index(folder, tagger, elsewhere)
    assert (update.added, update.unchanged) == (0, 3)
    [place] = SoundIndex(folder).find(np.ones(16), 1)
    assert os.path.isfile(place.file)


def test_what_cannot_be_used_is_named(tagger, archive, tmp_path):
    folder = tmp_path / "a.index"
    update_index(folder, tagger, archive, window=1.0, hop=0.5)
    update_index(folder, tagger, archive, window=1.0, hop=0.5)
    with pytest.raises(InputError, match=str(folder)):
        update_index(folder, AudioTagger(Levels(gain=3.0)), archive)
    with pytest.raises(FileExistsError, match=str(archive)):
        update_index(archive, tagger, archive)
    assert not (archive / "lock").exists()
    with pytest.raises(FileNotFoundError, match=str(archive)):
        SoundIndex(archive)
    (folder / WINDOWS).write_bytes((folder / WINDOWS).read_bytes()[:-99])
    with pytest.raises(InputError, match=WINDOWS):
        SoundIndex(folder)
    (folder / WINDOWS).unlink()
    with pytest.raises(InputError, match=str(folder)):  # it is empty
        SoundIndex(folder).find(np.ones(16))
    settings = json.loads((folder / SETTINGS).read_text("utf-8"))
    del settings["hop"]
    (folder / SETTINGS).write_text(json.dumps(settings), "utf-8")
    with pytest.raises(InputError, match=SETTINGS):
        SoundIndex(folder)
