"""Tests of ``SoundIndex``, with an engine of levels and with real ones.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.index import SoundIndex, open_index

ROOT = Path(__file__).resolve().parents[3]
RATE = 16000


class Engine:
    """Its embedding is the mean level of 8 parts of a window, and a sine."""

    labels = ["sound"]
    sample_rate, max_samples, min_samples = RATE, 5 * RATE, 400
    frame_samples, single_label, thresholds = 160, False, None
    has_frames = False

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
    return AudioTagger(Engine())


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


def make_index(tmp_path, tagger, archive, **options):
    index = open_index(tmp_path / "a.index", tagger, **options)
    return index, index.add_folder(tagger, archive)


def windows_of(tagger, archive, window, hop):
    """File, start, end and embedding of each window, cut by hand."""
    found = []
    size, step = round(window * RATE), round(hop * RATE)
    for path in sorted(archive.rglob("*.*")):
        if path.suffix == ".txt":
            continue
        wav = tagger.load_wav(path)
        last = max(len(wav) - size, 0)
        starts = [*range(0, last, step), last]
        for start in starts:
            part = wav[start : start + size]
            [row] = tagger.engine.embeddings(part[None])
            end = start + len(part)
            found.append((str(path), start / RATE, end / RATE, row))
    return found


def brute_force(windows, examples, top_k):
    """The best places, in float64, by comparing all with all."""
    rows = np.array([row for *_, row in windows], np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    examples = np.array(examples, np.float64)
    mean, std = rows.mean(0), rows.std(0)
    rows, examples = (rows - mean) / std, (examples - mean) / std
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    examples /= np.linalg.norm(examples, axis=1, keepdims=True)
    scores = (rows @ examples.T).max(1)
    places = []
    for n in np.argsort(-scores):
        file, start, end, _ = windows[n]
        if not any(
            f == file and start < e and s < end for f, s, e, _ in places
        ):
            places.append((file, start, end, scores[n]))
    return places[:top_k]


@pytest.mark.parametrize("window, hop", [(1.0, 1.0), (1.0, 0.3), (5.0, 5.0)])
@pytest.mark.parametrize("n_examples, top_k", [(1, 3), (2, 50)])
def test_places_are_those_of_brute_force(
    tagger, archive, tmp_path, monkeypatch, window, hop, n_examples, top_k
):
    monkeypatch.setattr("speechbrain_fftp.inference.index.CHUNK", 7)
    index, update = make_index(
        tmp_path, tagger, archive, window=window, hop=hop
    )
    assert (update.added, update.dropped, update.errors) == (3, 0, {})
    examples, means = [], []
    for seed in range(n_examples):
        folder = tmp_path / f"example {seed}"
        write(folder / "a.wav", seconds=2 * window, seed=10 + seed)
        examples.append(index.embed(tagger, folder / "a.wav"))
        rows = [row for *_, row in windows_of(tagger, folder, window, window)]
        rows = [row / np.linalg.norm(row) for row in rows]
        means.append(np.mean(rows, 0) / np.linalg.norm(np.mean(rows, 0)))
    np.testing.assert_allclose(examples, means, rtol=1e-5)
    windows = windows_of(tagger, archive, window, hop)
    assert index.n_rows == len(windows)
    expected = brute_force(windows, examples, top_k)
    places = SoundIndex(tmp_path / "a.index").find(examples, top_k)
    assert len(places) == len(expected) <= top_k
    for place, (file, start, end, similarity) in zip(places, expected):
        assert place.file == file
        assert place.start == pytest.approx(start, abs=1e-6)
        assert place.end == pytest.approx(end, abs=1e-6)
        assert place.similarity == pytest.approx(similarity, abs=5e-3)


def contents(index):
    """Embeddings by file and window."""
    index = SoundIndex(index.folder)
    rows = np.array(index.rows())
    return {
        file.path: rows[first : first + file.n_windows].tolist()
        for file, first in zip(index.files, index.first_rows())
    }


def test_only_new_and_changed_files_are_read(tagger, archive, tmp_path):
    index, _ = make_index(tmp_path, tagger, archive, window=1.0)
    before = contents(index)
    calls = tagger.engine.calls
    update = index.add_folder(tagger, archive)
    assert (update.added, update.unchanged, update.dropped) == (0, 3, 0)
    assert tagger.engine.calls == calls + 1  # the probe
    write(archive / "new.wav", seconds=2, seed=5)
    write(archive / "a.wav", seconds=3, seed=6)
    (archive / "short.wav").unlink()
    update = index.add_folder(tagger, archive)
    assert (update.added, update.unchanged, update.dropped) == (2, 1, 2)
    found = contents(index)
    assert list(found) == ["more/b, c.flac", "a.wav", "new.wav"]
    assert found["more/b, c.flac"] == before["more/b, c.flac"]
    fresh = open_index(tmp_path / "b.index", tagger, window=1.0)
    fresh.add_folder(tagger, archive)
    assert contents(fresh) == {name: found[name] for name in contents(fresh)}


KILLED = """
import sys
import time

sys.path.insert(0, sys.argv[1])
from test_index import Engine

from speechbrain_fftp.inference import AudioTagger, index


class Slow(Engine):
    def embeddings(self, wavs):
        time.sleep(0.02)
        return super().embeddings(wavs)


index.SAVE_SECONDS = 0
tagger = AudioTagger(Slow())
found = index.open_index(sys.argv[3], tagger, window=1.0)
found.add_folder(tagger, sys.argv[2])
"""


def test_a_killed_run_is_continued(tagger, tmp_path):
    archive = tmp_path / "archive"
    for seed in range(60):
        write(archive / f"{seed}.wav", seconds=3, seed=seed)
    folder = tmp_path / "killed.index"
    counts = []
    for _ in range(2):
        started = len(counts) and counts[-1]
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, Path(__file__).parent]
            + [archive, folder],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        n_files = 0
        deadline = time.monotonic() + 60
        while n_files < started + 5 and time.monotonic() < deadline:
            time.sleep(0.01)
            if (folder / "windows.npz").exists():
                n_files = len(SoundIndex(folder).files)
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(len(SoundIndex(folder).files))
    assert 5 <= counts[0] < counts[1] < 60
    index = open_index(folder, tagger)
    update = index.add_folder(tagger, archive)
    assert update.unchanged == counts[1]
    assert update.added == 60 - counts[1]
    fresh = open_index(tmp_path / "fresh.index", tagger, window=1.0)
    fresh.add_folder(tagger, archive)
    assert contents(index) == contents(fresh)


def test_an_empty_or_missing_archive_drops_nothing(tagger, archive, tmp_path):
    """A disk that is not mounted is an empty folder."""
    index, _ = make_index(tmp_path, tagger, archive)
    before = contents(index)
    os.rename(archive, tmp_path / "elsewhere")
    archive.mkdir()
    with pytest.raises(FileNotFoundError, match="archive"):
        index.add_folder(tagger, archive)
    with pytest.raises(ValueError, match="elsewhere"):
        index.add_folder(tagger, tmp_path / "elsewhere")
    assert contents(index) == before
    archive.rmdir()  # it has moved
    update = index.add_folder(tagger, tmp_path / "elsewhere")
    assert (update.added, update.unchanged) == (0, 3)
    [place] = index.find(np.ones(16), 1)
    assert os.path.isfile(place.file)


def test_another_model_is_refused(tagger, archive, tmp_path):
    index, _ = make_index(tmp_path, tagger, archive, window=1.0, hop=0.5)
    folder = index.folder
    assert open_index(folder, tagger).settings.hop == 0.5
    open_index(folder, tagger, window=1.0, hop=0.5)
    other = AudioTagger(Engine(gain=3.0))
    with pytest.raises(ValueError, match=folder):
        open_index(folder, other)
    with pytest.raises(ValueError, match=folder):
        index.add_folder(other, archive)
