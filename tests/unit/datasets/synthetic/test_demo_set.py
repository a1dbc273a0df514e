"""Tests of the demo set.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy import signal

from speechbrain_fftp.datasets.audioset.lists import (
    read_class_list,
    read_segments,
)
from speechbrain_fftp.datasets.synthetic import demo_set
from speechbrain_fftp.datasets.synthetic.demo_set import make_demo_set

LISTS = (
    "balanced_train_segments.csv",
    "valid_segments.csv",
    "eval_segments.csv",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "set"
    make_demo_set(folder, num_train=60, num_valid=12, num_eval=12, seed=3)
    return folder


def render(name, seed=0, seconds=6.0):
    make = {label: make for _, label, make in demo_set.CLASSES}[name]
    t = np.arange(round(seconds * 16000)) / 16000
    return make(np.random.default_rng(seed), t)


def power_spectrum(samples):
    frequency, power = signal.welch(samples, 16000, nperseg=4096)
    return frequency, power / power.sum()


def test_shape_of_the_set(demo):
    lists = [read_segments(demo / name) for name in LISTS]
    assert [len(clips) for clips in lists] == [60, 12, 12]
    clips = sum(lists, [])
    ids = [clip.id for clip in clips]
    assert len(set(ids)) == 84
    assert all(len(clip_id) == 11 for clip_id in ids)
    assert sum(clip_id.startswith("-") for clip_id in ids) >= 3
    assert {p.stem for p in (demo / "audio").iterdir()} == set(ids)
    assert {(clip.start, clip.end) for clip in clips} == {(0.0, 10.0)}
    assert {len(clip.mids) for clip in clips} == {1, 2, 3}
    for clip in clips[::10]:
        info = sf.info(demo / "audio" / f"{clip.id}.flac")
        assert (info.samplerate, info.channels) == (16000, 1)
        assert (info.frames, info.subtype) == (160000, "PCM_16")


def test_classes_come_equally_often(demo):
    classes = read_class_list(demo / "class_labels_indices.csv")
    assert len(classes) == 14
    counts = Counter(
        mid for clip in read_segments(demo / LISTS[0]) for mid in clip.mids
    )
    assert set(counts) == set(classes)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_classes_are_audiosets_in_its_order():
    shared = Path(__file__).resolve().parents[4].parent / "shared"
    path = shared / "data" / "audioset_mini" / "class_labels_indices.csv"
    if not path.is_file():
        pytest.skip("needs AudioSet's class list in ../shared")
    audioset = list(read_class_list(path).items())
    indices = [audioset.index(entry[:2]) for entry in demo_set.CLASSES]
    assert indices == sorted(indices)


def test_same_settings_give_the_same_bytes(digest, demo, tmp_path):
    sizes = {"num_train": 60, "num_valid": 12, "num_eval": 12}
    make_demo_set(tmp_path / "same", seed=3, **sizes)
    make_demo_set(tmp_path / "other", seed=4, **sizes)
    assert digest(tmp_path / "same") == digest(demo)
    assert digest(tmp_path / "other") != digest(demo)


def test_the_set_stays_as_it_was(digest, demo):
    """Recorded values; machines may round a sample differently."""
    events = (demo / "events.csv").read_bytes()
    assert hashlib.sha256(events).hexdigest()[:16] == "55a452f70f4440d5"
    path = demo / "audio" / "-52lbRzASmU.flac"
    samples, _ = sf.read(path, dtype="int16")
    expected = [12, 5, -2, -58, -3562, -329, -4473, 428, -2869, -37]
    np.testing.assert_allclose(samples[::16000], expected, rtol=0, atol=2)


def test_events_agree_with_labels_and_audio(demo):
    with open(demo / "events.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    events = defaultdict(list)
    for row in rows:
        span = float(row["onset"]), float(row["offset"])
        assert 0 <= span[0] and span[1] <= 10
        assert 1.5 <= round(span[1] - span[0], 3) <= 8
        events[row["id"]].append((*span, row["mid"]))
    checked = 0
    for clip in sum((read_segments(demo / name) for name in LISTS), []):
        spans = events[clip.id]
        assert sorted(mid for *_, mid in spans) == sorted(clip.mids)
        samples, _ = sf.read(demo / "audio" / f"{clip.id}.flac")
        assert np.abs(samples).max() < 0.95
        loud = np.zeros(160000, dtype=bool)
        for onset, offset, _ in spans:
            start, end = round(onset * 16000), round(offset * 16000)
            # the noise floor has a standard deviation of 0.3 at -50 dB
            first = np.abs(samples[start : start + 480]).max()
            assert first > 0.005
            loud[start:end] = True
        quiet = samples[~loud]
        if len(quiet) > 8000:
            assert quiet.std() == pytest.approx(9.5e-4, rel=0.15)
            assert np.abs(quiet).max() < 0.006
            checked += 1
    assert checked > 40


def test_event_has_its_energy_in_its_band(demo):
    found = 0
    with open(demo / "events.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["label"] != "Smoke detector, smoke alarm":
                continue
            path = demo / "audio" / f"{row['id']}.flac"
            samples, _ = sf.read(path)
            band = signal.butter(
                4, (2800, 3500), "band", fs=16000, output="sos"
            )
            samples = signal.sosfilt(band, samples)
            start = round(float(row["onset"]) * 16000)
            before = samples[max(start - 4000, 0) : start]
            during = samples[start + 800 : start + 4800]
            if len(before) == 4000 and during.std() > 10 * before.std():
                found += 1
    assert found >= 4


def test_steady_tones_have_their_lines():
    for name, lines in (("Dial tone", (350, 440)), ("Busy signal", (480, 620))):
        frequency, power = power_spectrum(render(name))
        near = np.min([np.abs(frequency - line) for line in lines], axis=0) < 20
        assert power[near].sum() > 0.95
    _, power = power_spectrum(render("Sine wave"))
    assert np.sort(power)[-4:].sum() > 0.99
    frequency, power = power_spectrum(render("Mains hum"))
    assert frequency[power.argmax()] == pytest.approx(110, abs=12)


def test_noises_have_their_slopes():
    for name, slope in (("White noise", 0.0), ("Pink noise", -1.0)):
        frequency, power = power_spectrum(render(name, seconds=8))
        band = (frequency > 100) & (frequency < 6000)
        log_f, log_p = np.log(frequency[band]), np.log(power[band])
        assert np.polyfit(log_f, log_p, 1)[0] == pytest.approx(slope, abs=0.1)


def test_knocks_are_steady_and_clicks_are_not():
    spread = {}
    for name in ("Tick-tock", "Clicking"):
        loud = np.abs(render(name))
        peaks, _ = signal.find_peaks(loud, 0.3 * loud.max(), distance=160)
        gaps = np.diff(peaks)
        spread[name] = gaps.std() / gaps.mean()
    assert spread["Tick-tock"] < 0.02
    assert spread["Clicking"] > 0.3


def test_existing_folder(demo, tmp_path):
    sizes = {"num_train": 60, "num_valid": 12, "num_eval": 12}
    before = {p: p.stat().st_mtime_ns for p in demo.rglob("*")}
    make_demo_set(demo, seed=3, **sizes)
    assert {p: p.stat().st_mtime_ns for p in demo.rglob("*")} == before
    with pytest.raises(ValueError, match="seed=3, not 4 .* delete this one"):
        make_demo_set(demo, seed=4, **sizes)
    foreign = tmp_path / "mine"
    foreign.mkdir()
    make_demo_set(foreign, 1, 1, 1)  # an empty folder may be filled
    (foreign / "prepared.json").unlink()
    with pytest.raises(ValueError, match="holds something else"):
        make_demo_set(foreign, 1, 1, 1)
    with pytest.raises(ValueError, match="at least one clip"):
        make_demo_set(tmp_path / "none", num_valid=0)


def test_interrupted_writing_leaves_no_set(digest, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(sf, "write", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_demo_set(folder, 2, 1, 1)
    assert not (folder / "prepared.json").exists()
    make_demo_set(folder, 2, 1, 1)
    make_demo_set(tmp_path / "whole", 2, 1, 1)
    assert digest(folder) == digest(tmp_path / "whole")
