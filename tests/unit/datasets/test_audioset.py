"""Tests of the recipe's preparation of AudioSet.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from audioset_prepare import (
    add_audio,
    find_shards,
    hold_out,
    list_clips,
    prepare_audioset,
    read_name,
    read_segments,
    read_shard,
)

from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.datasets.audioset import is_audioset, read_classes

CLASSES = {"/m/1": "Speech", "/m/2": "Music"}


def test_segments_in_audiosets_own_form(tmp_path):
    path = tmp_path / "eval_segments.csv"
    path.write_text(
        "# Segments csv created Sun Mar  5 10:54:25 2017\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--4gqARaEJE, 0.000, 10.000, "/m/2,/m/1"\n'
        '-0xzrMun0Rs, 30.000, 37.500, "/m/2"\r\n'
        "\n"
        'with space , 1, 2.5, " /m/2, /m/1 ,/m/2,"\n',
        "utf-8",
    )
    clips = read_segments(path, "eval", CLASSES)
    assert [(c.id, c.start, c.end, c.labels) for c in clips] == [
        ("--4gqARaEJE", 0, 10, ("/m/2", "/m/1")),
        ("-0xzrMun0Rs", 30, 37.5, ("/m/2",)),
        ("with space", 1, 2.5, ("/m/2", "/m/1")),
    ]


@pytest.mark.parametrize(
    "row",
    [
        'a, 0, "/m/1"',
        'a, zero, 10, "/m/1"',
        'a, 10, 10, "/m/1"',
        'a, 0, 10, "/m/1,/m/3"',  # a class that is not listed
    ],
)
def test_segment_errors_name_file_and_line(tmp_path, row):
    path = tmp_path / "train.csv"
    path.write_text(f'# comment\nb, 0, 10, "/m/1"\n{row}\n', "utf-8")
    with pytest.raises(ValueError, match=f"{path}, line 3"):
        read_segments(path, "train", CLASSES)


@pytest.mark.parametrize(
    "stem, clip_id, start",
    [
        ("abcdefghijk", "abcdefghijk", None),
        ("Yabcdefghijk", "abcdefghijk", None),
        ("Yabcdefghij", "Yabcdefghij", None),
        ("Yabcdefghij_30", "Yabcdefghij", "30"),
        ("abcdefgh_30_40_50", "abcdefgh_30", "40"),
        ("short", "short", None),  # any id of a list, as it is
        ("Title [abcdefghijk]", None, None),
        ("abcdefghijK", None, None),
    ],
)
def test_names_of_files(stem, clip_id, start):
    ids = {"abcdefghijk", "Yabcdefghij", "abcdefgh_30", "short"}
    assert read_name(stem, ids) == (clip_id, start)


@pytest.mark.parametrize(
    "start, names, found",
    [
        (30.5, ["30", "31", "30.5", "30500", "30500_40500"], True),
        (0, ["0", "0.000_10.000"], True),
        (30, ["0", "40", "29", "3000", "31000"], False),
    ],
)
def test_times_in_names(tmp_path, start, names, found):
    """The file of another segment of the same video is not used."""
    clip = Clip("abcdefghijk", None, start=start, end=start + 10)
    for name in names:
        path = tmp_path / "a" / "b" / f"abcdefghijk_{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        (clip_found,) = add_audio(tmp_path, [clip])
        assert clip_found.audio == (str(path) if found else None)
        assert clip_found.start == (0 if found else start)
        path.unlink()


def test_shards_are_found_by_split(tmp_path):
    wanted = {
        "train": [
            "balanced/train/0000.parquet",
            "balanced_train-0.parquet",
            "data/bal_train/00.parquet",
            "data/train-00000-of-00002.parquet",
        ],
        "valid": ["data/validation-00000-of-00001.parquet"],
        "eval": [
            "balanced/test/0.parquet",
            "data/test-00000-of-00001.parquet",
            "eval/00.parquet",
        ],
        "unbalanced": [
            "data/unbal_train/00.parquet",
            "unbalanced/train/0000.parquet",
        ],
    }
    others = ["eval.csv", ".cache/train-0.parquet", "x/0.parquet"]
    for name in sum(wanted.values(), others):
        path = tmp_path / "[set]" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    root = f"{tmp_path / '[set]'}/"
    found = find_shards(tmp_path / "[set]")
    assert {
        split: sorted(path.replace(root, "") for path in paths)
        for split, paths in found.items()
    } == wanted


def write_shard(path, rows):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=4)


def test_parquet_shards(tmp_path):
    rows = [
        {
            "video_id": f"-{i}",
            "audio": {"bytes": bytes([i]), "path": f"audio/{i}.flac"},
            "labels": ["/m/1", "/m/2"][: 1 + i % 2],
            "human_labels": ["a", "b"],
        }
        for i in range(10)
    ]
    rows[3]["labels"] = None
    rows[4]["audio"] = None
    path = str(tmp_path / "train.parquet")
    write_shard(path, rows)
    clips = read_shard(path, "train", CLASSES)
    assert [clip.id for clip in clips] == [row["video_id"] for row in rows]
    assert [clip.labels for clip in clips[1:4]] == [
        ("/m/1", "/m/2"),
        ("/m/1",),
        (),
    ]
    found = [clip.audio.read() for clip in reversed(clips)]
    expected = [bytes([i]) for i in range(10)]
    expected[4] = b""
    assert found == expected[::-1]


def test_damaged_shards(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "eval.parquet"
    write_shard(path, [{"video_id": "a"}])  # without other columns
    with pytest.raises(ValueError, match=f"{path} has no column"):
        read_shard(str(path), "eval", CLASSES)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        read_shard(str(path), "eval", CLASSES)


def test_missing_lists_are_named(tmp_path):
    classes = read_classes()
    train, test = "balanced_train_segments", "eval_segments"
    for name in (train, test):  # folders of audio alone
        (tmp_path / name).mkdir()
        (tmp_path / name / "Y--PJHxphWEs.wav").touch()
    assert is_audioset(tmp_path)
    with pytest.raises(FileNotFoundError, match="balanced.*eval.*https"):
        list_clips(str(tmp_path), classes)
    (tmp_path / f"{train}.csv").write_text('a, 0, 9, "/m/04rlf"')
    (tmp_path / f"{test}.csv").write_text('b, 0, 9, "/m/04rlf"')
    assert len(list_clips(str(tmp_path), classes)) == 2
    with pytest.raises(FileNotFoundError, match="unbalanced_train"):
        list_clips(str(tmp_path), classes, unbalanced=True)
    with pytest.raises(FileNotFoundError, match="class_labels_indices.csv"):
        prepare_audioset(str(tmp_path), str(tmp_path / "prepared"))


def test_clips_are_held_out_by_their_ids():
    audio = __file__
    clips = [Clip(f"{i}", audio, split="train") for i in range(2000)]
    clips.append(Clip("x", audio, split="eval"))
    found = {clip.id: clip.split for clip in hold_out(clips, 0.05)}
    splits = list(found.values())
    assert 60 < splits.count("valid") < 140 and splits.count("eval") == 1
    half = {clip.id: clip.split for clip in hold_out(clips[::2], 0.05)}
    assert half.items() <= found.items()
    few = hold_out(clips[:3], 1e-9)
    assert [clip.split for clip in few].count("valid") == 1
    assert hold_out(clips, 0.0) == clips
