"""Tests of the mixtures of the starter model.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import pytest
import soundfile as sf
from data_folders import write_csv
from prepared_clips import read_clips, read_rows
from starter_prepare import EXCLUDED, MIDS, RATE, prepare_starter, text_digest

EVERYDAY, INSTRUMENTS = list(MIDS)[:10], list(MIDS)[10:]
SIZES = {"num_train": 20, "num_valid": 20, "num_eval": 20}
# Recordings of a fold are tones of a pitch of their own; noises are silent
# below 4 kHz
PITCH = {fold: 400 + 500 * fold for fold in range(1, 6)}
UNUSED = 3700  # of a recording of fold 1 whose licence does not fit
SPEAKERS = {
    int(text_digest(f"{number:08x}"), 16) % 5 + 1: f"{number:08x}"
    for number in range(100)
}


def tone(pitch, seconds=0.8):
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(seconds * RATE) / RATE)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with a recording of each class and fold."""
    folder = tmp_path_factory.mktemp("data")

    def write(path, *pitches, seconds=0.8):
        path = folder / f"{path}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        wav = sum(tone(pitch, seconds) for pitch in pitches)
        sf.write(path, wav / len(pitches) ** 4, RATE)

    sounds = [("file", "fold", "label"), (EXCLUDED[0], 1, "dog_bark")]
    about = [
        ("file", "freesound_id", "title", "author", "license"),
        (EXCLUDED[0], 40730, "Title", "Author", "Sampling+"),
    ]
    notes = [("ytid", "source_clip", "source_label", "freesound_id", "license")]
    write(f"esc10/audio/{EXCLUDED[0].removesuffix('.flac')}", UNUSED)
    for fold, pitch in PITCH.items():
        for number, label in enumerate(EVERYDAY):
            name = f"{fold}-{number}-A"
            write(f"esc10/audio/{name}", pitch)
            sounds.append((f"{name}.flac", fold, label))
            about.append((f"{name}.flac", number, "Title", "Author", "CC0"))
        for label in INSTRUMENTS:
            for part in range(2):  # clips of a session
                clip = f"{label}{fold}{part}"
                write(f"audioset_mini/audio/{clip}", pitch)
                notes.append((clip, clip, label, 100 * fold + part, "CC BY"))
        for word in ("yes", "no"):
            write(f"speech_commands/{word}/{SPEAKERS[fold]}_nohash_0", pitch)
        name = f"bed_{SPEAKERS[fold]}_nohash_0"
        write(f"speech_commands/_unknown_/{name}", pitch)
    for number in range(6):
        path = f"speech_commands/_background_noise_/{number}"
        write(path, 5000, 6000, 7000, seconds=12)
    write_csv(folder / "esc10/esc10.csv", sounds)
    write_csv(folder / "esc10/attribution.csv", about)
    write_csv(folder / "audioset_mini/clips.csv", notes)
    return folder


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare_starter(data, folder, **SIZES)
    return folder


@pytest.fixture(scope="module")
def events(prepared):
    """The listed events of each clip; those of noise alone have none."""
    found = {}
    with open(prepared / "events.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            of_clip = found.setdefault(row["filename"], [])
            if row["onset"]:
                times = float(row["onset"]), float(row["offset"])
                of_clip.append((*times, row["event_label"]))
    return found


def power_at(wav, pitch):
    """The share of a pitch, and what is near it, without the noise."""
    spectrum = np.abs(np.fft.rfft(wav)) ** 2
    pitches = np.fft.rfftfreq(len(wav), 1 / RATE)
    near = np.abs(pitches / pitch - 1) < 0.16  # speeds of 0.87 to 1.15
    return spectrum[near].sum() / spectrum[pitches < 4500].sum()


def test_splits_share_no_recordings(prepared):
    """The pitch of a clip is that of its split's fold.

    Two recordings, whose licence does not fit, are not used; the others are
    attributed.
    """
    clips = read_clips(prepared)
    for split, fold in (("valid", 1), ("eval", 5)):
        rows = [x for x in read_rows(prepared / f"{split}.csv") if x["labels"]]
        assert len(rows) > 10
        for row in rows:
            assert power_at(clips[row["ID"]], PITCH[fold]) > 0.95
            if split == "valid":
                assert power_at(clips[row["ID"]], UNUSED) < 0.01
    rows = read_rows(prepared / "attribution.csv")
    assert {"CC0", "CC BY", "CC BY 4.0"} == {row["license"] for row in rows}
    assert len(rows) == 1 + 50 + 100


def test_labels_are_those_of_the_events(prepared, events):
    """Some clips have noise alone."""
    found = set()
    for split in ("train", "valid", "eval"):
        for row in read_rows(prepared / f"{split}.csv"):
            own = set(filter(None, row["labels"].split(";")))
            assert own == {label for *_, label in events[row["ID"]]}
            found |= own
    assert {"Speech", "Dog", "Cello"} <= found


def test_events_are_heard_where_they_are_listed(prepared, events):
    checked = 0
    for clip, wav in read_clips(prepared).items():
        # The noise of training clips is generated, and has all pitches
        if clip.startswith("train") or not events[clip]:
            continue
        spectrum = np.fft.rfft(wav / 2**15)
        spectrum[round(4000 * len(wav) / RATE) :] = 0  # the noise
        level = np.abs(np.fft.irfft(spectrum, len(wav)))
        inside = np.zeros(len(wav), bool)
        for start, end, _ in events[clip]:
            inside[round(start * RATE) : round(end * RATE)] = True
            middle = round((start + 0.02) * RATE), round((end - 0.02) * RATE)
            assert level[slice(*middle)].mean() > 1e-3
            checked += 1
        quiet = level[~np.convolve(inside, np.ones(1601), "same").astype(bool)]
        assert quiet.mean() < 1e-3
    assert checked > 30
