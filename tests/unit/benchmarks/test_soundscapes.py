"""Tests of the soundscapes that are mixed from clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
RATE = 16000
# The pitch of a clip says of which class and split it is.
PITCHES = {"yes": 500, "no": 1100, "Cello": 1700, "Snare drum": 2300}
SHIFTS = {"train": 0, "valid": 150, "eval": 300}
COUNTS = {"train": 6, "valid": 3, "eval": 3}


def tone(label, split):
    """Half a second of silence, then of a tone."""
    time = np.arange(RATE // 2) / RATE
    pitch = PITCHES[label] + SHIFTS[split]
    wav = 0.5 * np.sin(2 * np.pi * pitch * time)
    return np.concatenate([np.zeros(RATE // 2), wav])


@pytest.fixture(scope="module")
def scapes(tmp_path_factory):
    """The folder that the script writes."""
    folder = tmp_path_factory.mktemp("scapes")
    words, instruments = folder / "words", folder / "instruments"
    (instruments / "audio").mkdir(parents=True)
    (words / "_background_noise_").mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(12 * RATE)
    soundfile.write(words / "_background_noise_" / "hum.wav", noise, RATE)
    lists, rows = defaultdict(list), ["ytid,source_label,split"]
    for number, split in enumerate(SHIFTS):
        for label in ("yes", "no"):
            (words / label).mkdir(exist_ok=True)
            name = f"{label}/{number:08x}_nohash_0.wav"
            soundfile.write(words / name, tone(label, split), RATE)
            lists[split].append(name)
        for label in ("Cello", "Snare_drum"):
            clip = f"{label[:5]}{number}"
            wav = tone(label.replace("_", " "), split)
            soundfile.write(instruments / "audio" / f"{clip}.wav", wav, RATE)
            rows.append(f"{clip},{label},{split}")
    for name, split in (("validation", "valid"), ("testing", "eval")):
        path = words / f"{name}_list.txt"
        path.write_text("\n".join(lists[split]) + "\n", "utf-8")
    (instruments / "clips.csv").write_text("\n".join(rows) + "\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import soundscapes

        sizes = [f"--{split}={size}" for split, size in COUNTS.items()]
        arguments = [str(words), str(instruments), str(folder / "out"), *sizes]
        soundscapes.main(arguments)
        with pytest.raises(SystemExit, match="exists"):
            soundscapes.main(arguments)
    return folder / "out"


def read(path, **options):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, **options))


@pytest.mark.parametrize("split", list(COUNTS))
def test_each_event_sounds_when_and_as_the_table_says(scapes, split):
    classes = read(scapes / "class_labels_indices.csv")
    labels = {row["mid"]: row["display_name"] for row in classes}
    assert sorted(labels.values()) == sorted(PITCHES)
    events = defaultdict(list)
    for row in read(scapes / f"strong_{split}.tsv", delimiter="\t"):
        start, end = (float(row[f"{x}_time_seconds"]) for x in ("start", "end"))
        clip = row["segment_id"]
        events[clip].append((start, end, labels[row["label"]]))
    assert len(events) == COUNTS[split]
    for clip, found in events.items():
        wav, rate = soundfile.read(scapes / "audio" / f"{clip}.flac")
        assert rate == RATE and len(wav) == 10 * RATE
        for start, end, label in found:
            assert end - start == pytest.approx(0.5, abs=0.02)  # trimmed
            same = [x for x in found if x[2] == label]
            assert sum(a < end and start < b for a, b, _ in same) == 1

            def level(seconds):
                part = wav[int(seconds * RATE) :][: RATE // 10]
                spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
                return spectrum[(PITCHES[label] + SHIFTS[split]) // 10]

            inside = level(start + 0.2)
            others = [x for x in same if x[0] != start]
            for outside in (start - 0.15, end + 0.05):
                busy = any(a - 0.1 < outside < b for a, b, _ in others)
                if 0 <= outside < 9.8 and not busy:
                    assert inside > 2 * level(outside)


def test_segments_list_the_labels_of_the_events(scapes):
    strong = defaultdict(set)
    for row in read(scapes / "strong_train.tsv", delimiter="\t"):
        strong[row["segment_id"]].add(row["label"])
    path = scapes / "balanced_train_segments.csv"
    lines = path.read_text("utf-8").splitlines()[1:]
    for clip, start, end, mids in csv.reader(lines, skipinitialspace=True):
        assert (float(start), float(end)) == (0.0, 10.0)
        assert set(mids.split(",")) == strong[clip]
