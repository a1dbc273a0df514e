"""Tests of the recipe's preparation of AudioSet.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from audioset_prepare import Segment, add_audio, read_segments
from data_prepare import find_shards, read_shard

CLASSES = {"/m/1": "Speech", "/m/2": "Music"}


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
