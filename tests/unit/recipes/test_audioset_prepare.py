"""Tests of the recipe's preparation of AudioSet.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import pytest
import torch
from audioset_prepare import (
    Segment,
    add_audio,
    convert_segment,
    prepare_audioset,
    read_segments,
)
from data_prepare import find_shards, read_shard

from speechbrain.dataio import audio_io

CLASSES = {"/m/1": "Speech", "/m/2": "Music"}
NAMES = {"/m/09x0r": "Speech", "/m/096m7z": "Noise, static"}
BOTH = ",".join(NAMES)


def test_segments_in_audiosets_own_form(tmp_path):
    """Errors name file and line."""
    path = tmp_path / "eval_segments.csv"
    lines = [
        "# Segments csv created Sun Mar  5 10:54:25 2017",
        '--4gqARaEJE, 0.000, 10.000, "/m/2,/m/1"',
        '-0xzrMun0Rs, 30.000, 37.500, "/m/2"\r',
        "",
        'with space , 1, 2.5, " /m/2, /m/1 ,/m/2,"',
    ]
    path.write_text("\n".join(lines), "utf-8")
    clips = read_segments(path, "eval", CLASSES)
    assert [(c.id, c.start, c.stop, c.mids) for c in clips] == [
        ("--4gqARaEJE", 0, 10, ("/m/2", "/m/1")),
        ("-0xzrMun0Rs", 30, 37.5, ("/m/2",)),
        ("with space", 1, 2.5, ("/m/2", "/m/1")),
    ]
    for row in ('a, zero, 10, "/m/1"', 'a, 0, 10, "/m/1,/m/3"'):
        path.write_text("\n".join([*lines, row]), "utf-8")
        with pytest.raises(ValueError, match=f"{path}, line 6"):
            read_segments(path, "train", CLASSES)


@pytest.mark.parametrize(
    "stem, clip_id, is_cut",
    [
        ("abcdefghijk", "abcdefghijk", False),
        ("Yabcdefghijk", "abcdefghijk", False),
        ("abcdefgh_30_30", "abcdefgh_30", True),
        ("abcdefghijK", None, None),
        # The start of the segment, in seconds or milliseconds
        *((f"abcdefghijk_{x}", "abcdefghijk", True) for x in (30.5, 30500)),
        ("abcdefghijk_30.500-40.500", "abcdefghijk", True),
        # Another segment of the same video
        *((f"abcdefghijk_{x}", None, None) for x in (0, 40, 3000)),
    ],
)
def test_names_of_files(tmp_path, stem, clip_id, is_cut):
    """A file with a start in its name is the clip itself."""
    path = tmp_path / "a" / "b" / f"{stem}.wav"
    path.parent.mkdir(parents=True)
    path.touch()
    ids = ("abcdefghijk", "abcdefgh_30")
    clips = [Segment(x, "train", 30.5, 40.5, ("/m/1",)) for x in ids]
    found = [clip for clip in add_audio(tmp_path, clips) if clip.audio]
    assert [clip.id for clip in found] == ([clip_id] if clip_id else [])
    for clip in found:
        assert clip.audio == str(path)
        assert clip.start == (0 if is_cut else 30.5)


@pytest.mark.parametrize(
    "name, split",
    [
        ("data/bal_train/00.parquet", "train"),
        ("balanced/test/0.parquet", "eval"),
        ("unbalanced/train/0000.parquet", "unbalanced"),
    ],
)
def test_shards_are_found_by_split(tmp_path, name, split):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_shards(tmp_path) == {split: [str(path)]}


def test_parquet_shards(tmp_path):
    """Rows of several groups, some without audio or labels."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    audio = [{"bytes": bytes([i])} for i in range(9)] + [None]
    labels = [["/m/1", "/m/2"], None, *[["/m/2"]] * 8]
    ids = [f"-{i}" for i in range(10)]
    table = pa.table({"video_id": ids, "audio": audio, "labels": labels})
    path = str(tmp_path / "train.parquet")
    pq.write_table(table, path, row_group_size=4)
    clips = read_shard(path, "train", CLASSES)
    assert [clip.id for clip in clips] == ids
    assert [clip.labels for clip in clips[:2]] == [("/m/1", "/m/2"), ()]
    found = [clip.audio.read() for clip in reversed(clips)]
    assert found[::-1] == [*(bytes([i]) for i in range(9)), b""]

    with pytest.raises(ValueError, match="does not list /m/2"):
        read_shard(path, "train", {"/m/1": "Speech"})
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        read_shard(path, "train", CLASSES)


@pytest.fixture
def audioset(tmp_path):
    """A folder in AudioSet's format, with clips of noise."""
    folder = tmp_path / "AudioSet"
    (folder / "audio" / "part").mkdir(parents=True)
    with open(folder / "class_labels_indices.csv", "w") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows([n, *row] for n, row in enumerate(NAMES.items()))
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


def test_clips_are_listed_and_converted(audioset, tmp_path):
    """But for those without audio, which are counted."""
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


def test_recordings_are_cut_and_resampled(tmp_path):
    """A whole video in stereo at another rate, and a clip on its own."""
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
