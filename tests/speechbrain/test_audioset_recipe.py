"""Tests of the preparation of AudioSet, from lists and recordings to clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import pytest
import torch

RECIPE = Path("recipes/AudioSet/Tagging")
CLASSES = {"/m/09x0r": "Speech", "/m/096m7z": "Noise, static"}
BOTH = ",".join(CLASSES)


@pytest.fixture
def audioset(tmp_path):
    """A folder in AudioSet's format, with clips of noise."""
    from speechbrain.dataio import audio_io

    folder = tmp_path / "AudioSet"
    (folder / "audio" / "part").mkdir(parents=True)
    with open(folder / "class_labels_indices.csv", "w") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows([n, *row] for n, row in enumerate(CLASSES.items()))
    torch.manual_seed(0)
    lists = {"balanced_train": [], "eval": []}
    for number in range(48):
        wav = 0.1 * torch.randn(1, 16000 - 1000 * (number % 5))
        clip = f"-clip{number:06d}"
        mids = ("/m/096m7z", "/m/09x0r", BOTH)[number % 3]
        name = f"Y{clip}.wav" if number % 5 else f"part/{clip}.flac"
        audio_io.save(folder / "audio" / name, wav, 16000, subtype="PCM_16")
        split = "eval" if number % 4 == 3 else "balanced_train"
        lists[split].append(f'{clip}, 0.000, 1.000, "{mids}"\n')
    for split, lines in lists.items():
        (folder / f"{split}_segments.csv").write_text("".join(lines))
    return folder


def test_clips_are_listed_and_converted(audioset, tmp_path, monkeypatch):
    """But for those without audio, which are counted."""
    monkeypatch.syspath_prepend(str(RECIPE))
    from audioset_prepare import prepare_audioset

    from speechbrain.dataio import audio_io

    lost, broken, *_ = sorted(audioset.rglob("*.wav"))  # of training clips
    lost.unlink()
    broken.write_bytes(b"no audio")
    prepared = tmp_path / "prepared"
    prepare_audioset(str(audioset), str(prepared), valid_fraction=0.3)
    rows = {}
    for name in ("train", "valid", "eval"):
        with open(prepared / f"{name}.csv", encoding="utf-8") as file:
            rows.update((row["ID"], row) for row in csv.DictReader(file))
    assert len(rows) == 46
    row = rows["-clip000011"]
    assert row["labels"] == "Speech;Noise, static"
    assert float(row["duration"]) == 15000 / 16000
    assert row["wav"] == "$data_root/audio/-clip000011.wav"
    found, rate = audio_io.load(prepared / row["wav"][11:])
    expected = audio_io.load(audioset / "audio" / "Y-clip000011.wav")[0]
    assert rate == 16000 and torch.equal(found, expected)
    skipped = (prepared / "skipped.csv").read_text(encoding="utf-8")
    assert len(skipped.splitlines()) == 3


def test_recordings_are_cut_and_resampled(tmp_path, monkeypatch):
    """A whole video in stereo at another rate, and a clip on its own."""
    monkeypatch.syspath_prepend(str(RECIPE))
    from audioset_prepare import Segment, convert_segment

    from speechbrain.dataio import audio_io

    time = torch.arange(40 * 8000) / 8000  # s
    ramp = torch.stack([time / 80, time / 40])  # of mean 3 / 160 a second
    (tmp_path / "audio").mkdir()

    def convert(seconds):
        """Converts 20 to 30 s of a recording, or a clip of these alone."""
        path = str(tmp_path / f"{seconds}.wav")
        audio_io.save(path, ramp[:, : seconds * 8000], 8000, subtype="PCM_16")
        segment = Segment(f"of {seconds}", "train", 20.0, 30.0, (), path)
        return convert_segment(segment, str(tmp_path), 16000, 10.0)

    for seconds, first in ((40, 20), (12, 0)):
        assert convert(seconds) == (160000, "")
        wav, rate = audio_io.load(tmp_path / "audio" / f"of {seconds}.wav")
        assert rate == 16000 and wav.shape == (1, 160000)
        expected = (first + torch.arange(160000) / 16000) * 3 / 160
        error = (wav[0] - expected)[1000:-1000].abs().max()
        assert error < 0.002  # of the resampling
    assert "ends" in convert(25)[1]
    missing = Segment("none", "train", 0.0, 10.0, ())
    assert convert_segment(missing, str(tmp_path), 16000, 10.0)[1]
