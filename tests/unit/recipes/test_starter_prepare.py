"""Tests of the mixtures of the starter model.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import pytest
import soundfile as sf
from prepared_clips import read_clips, read_rows
from starter_prepare import (
    EXCLUDED,
    MIDS,
    RATE,
    WORDS,
    prepare_starter,
    text_digest,
)

from fftp_tag.errors import InputError

EVERYDAY, INSTRUMENTS = list(MIDS)[:10], list(MIDS)[10:]
SIZES = {"num_train": 20, "num_valid": 20, "num_eval": 20}
# Recordings of a fold are tones of a pitch of their own; noises are silent
# below 4 kHz
PITCH = {fold: 400 + 500 * fold for fold in range(1, 6)}
UNUSED = 3700  # of a recording of fold 1 whose licence does not fit


def tone(pitch, seconds=0.8):
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(seconds * RATE) / RATE)


def fold_of_speaker(speaker):
    return int(text_digest(speaker), 16) % 5 + 1


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with a recording of each class and fold."""
    folder = tmp_path_factory.mktemp("data")

    def write(path, pitch):
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, tone(pitch), RATE)

    rows = [("file", "fold", "label")]
    about = [("file", "freesound_id", "title", "author", "license")]
    for fold, pitch in PITCH.items():
        for number, label in enumerate(EVERYDAY):
            name = f"{fold}-{number}-A.flac"
            write(folder / "esc10" / "audio" / name, pitch)
            rows.append((name, fold, label))
            about.append((name, number, "Title", "Author", "CC0"))
    write(folder / "esc10" / "audio" / EXCLUDED[0], UNUSED)
    rows.append((EXCLUDED[0], 1, "dog_bark"))
    about.append((EXCLUDED[0], 40730, "Title", "Author", "Sampling+"))
    for name, table in (("esc10.csv", rows), ("attribution.csv", about)):
        with open(folder / "esc10" / name, "w", newline="") as file:
            csv.writer(file).writerows(table)

    rows = [("ytid", "source_clip", "source_label", "freesound_id", "license")]
    for label in INSTRUMENTS:
        for fold, pitch in PITCH.items():  # sessions of two clips
            for part in range(2):
                clip = f"{label}{fold}{part}"
                write(
                    folder / "audioset_mini" / "audio" / f"{clip}.flac", pitch
                )
                rows.append((clip, clip, label, 100 * fold + part, "CC BY"))
    with open(folder / "audioset_mini/clips.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)

    for word in (*WORDS, "_unknown_"):
        folds = set()
        for number in range(100):
            speaker = f"{number:08x}"
            fold = fold_of_speaker(speaker)
            if fold not in folds:
                folds.add(fold)
                start = "bed_" if word == "_unknown_" else ""
                name = f"{start}{speaker}_nohash_0.flac"
                write(folder / "speech_commands" / word / name, PITCH[fold])
    noises = folder / "speech_commands" / "_background_noise_"
    noises.mkdir()
    for number in range(6):
        wav = sum(tone(x, 12) for x in (5000, 6000, 7000)) / 100
        sf.write(noises / f"{number}.flac", wav, RATE)
    return folder


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare_starter(data, folder, **SIZES)
    return folder


def power_at(wav, pitch):
    """The share of a pitch, and what is near it, without the noise."""
    spectrum = np.abs(np.fft.rfft(wav)) ** 2
    pitches = np.fft.rfftfreq(len(wav), 1 / RATE)
    near = np.abs(pitches / pitch - 1) < 0.16  # speeds of 0.87 to 1.15
    return spectrum[near].sum() / spectrum[pitches < 4500].sum()


def test_splits_share_no_recordings(prepared):
    """The pitch of a clip is that of its split's fold."""
    clips = read_clips(prepared)
    for split, fold in (("valid", 1), ("eval", 5)):
        rows = [x for x in read_rows(prepared / f"{split}.csv") if x["labels"]]
        assert len(rows) > 10
        for row in rows:
            assert power_at(clips[row["ID"]], PITCH[fold]) > 0.95


def test_labels_are_those_of_the_events(prepared):
    """A word has its own class, and Speech; some clips have noise alone."""
    labels = {}
    with open(prepared / "events.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            of_clip = labels.setdefault(row["filename"], set())
            if row["event_label"]:
                of_clip.add(row["event_label"])
    found = set()
    for split in ("train", "valid", "eval"):
        for row in read_rows(prepared / f"{split}.csv"):
            own = set(filter(None, row["labels"].split(";")))
            assert own == labels[row["ID"]]
            words = {x for x in own if x.startswith("Word: ")}
            assert not words or "Speech" in own
            found |= own
    assert {"Speech", "Dog", "Cello"} <= found


def test_events_are_heard_where_they_are_listed(prepared):
    clips = read_clips(prepared)
    with open(prepared / "events.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    checked = 0
    # The noise of training clips is generated, and has all pitches
    named = {row["filename"] for row in rows if row["onset"]}
    for clip in {x for x in named if not x.startswith("train")}:
        wav = clips[clip] / 2**15
        spectrum = np.fft.rfft(wav)
        spectrum[round(4000 * len(wav) / RATE) :] = 0  # the noise
        level = np.abs(np.fft.irfft(spectrum, len(wav)))
        inside = np.zeros(len(wav), bool)
        for row in rows:
            if row["filename"] == clip and row["onset"]:
                start, end = float(row["onset"]), float(row["offset"])
                middle = slice(
                    round((start + 0.02) * RATE), round((end - 0.02) * RATE)
                )
                inside[round(start * RATE) : round(end * RATE)] = True
                assert level[middle].mean() > 1e-3
                checked += 1
        quiet = level[~np.convolve(inside, np.ones(1601), "same").astype(bool)]
        assert quiet.mean() < 1e-3
    assert checked > 30


def test_two_clips_are_not_used(prepared):
    """Their licence does not fit; the others are attributed."""
    clips = read_clips(prepared)
    rows = [x for x in read_rows(prepared / "valid.csv") if x["labels"]]
    for row in rows:  # of fold 1
        assert power_at(clips[row["ID"]], UNUSED) < 0.01
    with open(prepared / "attribution.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {"CC0", "CC BY", "CC BY 4.0"} == {row["license"] for row in rows}
    assert len(rows) == 1 + 50 + 100


def test_sounds_can_be_left_out(data, tmp_path):
    left_out = ["dog_bark", "Cello", "yes"]
    prepare_starter(data, tmp_path, leave_out=left_out, **SIZES)
    names = {row["display_name"] for row in read_rows(tmp_path / "classes.csv")}
    assert len(names) == 31 - 3
    assert not {"Dog", "Cello", "Word: yes"} & names
    events = (tmp_path / "events.tsv").read_text("utf-8")
    assert "Dog" not in events and "Cello" not in events
    with pytest.raises(InputError, match="cat"):
        prepare_starter(data, tmp_path / "other", leave_out=["cat"], **SIZES)
