"""Tests of the readers for AudioSet's formats.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.datasets.audioset.clips import (
    add_audio,
    find_shards,
    list_clips,
    read_name,
    read_shard,
)
from speechbrain_fftp.datasets.audioset.lists import read_classes, read_segments
from speechbrain_fftp.datasets.convert import read_parquet_audio
from speechbrain_fftp.datasets.manifests import Clip, read_class_list
from speechbrain_fftp.datasets.names import clip_ids
from speechbrain_fftp.datasets.prepare import prepare_data
from speechbrain_fftp.datasets.strong_labels import (
    STRONG_COLUMNS,
    read_strong_labels,
)

HEADER = "index,mid,display_name\n"
CLASSES = {"/m/1": "Speech", "/m/2": "Music"}


@pytest.mark.parametrize(
    "text",
    [
        "index,mid\n0,/m/1\n",
        HEADER,
        HEADER + "0,/m/1,a\n1,/m/1,b\n",
        HEADER + "0,/m/1,a\n1,/m/2,a\n",
        HEADER + "0,/m/1\n",
        HEADER + "0,/m/1,a;b\n",
    ],
)
def test_class_list_errors(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=str(path)):
        read_class_list(path)


def test_class_list_of_the_package():
    classes = read_classes()
    mids = list(classes)
    assert len(mids) == 527
    for index, mid, name in (
        (0, "/m/09x0r", "Speech"),
        (137, "/m/04rlf", "Music"),
        (300, "/m/07yv9", "Vehicle"),
        (526, "/m/07hvw1", "Field recording"),
    ):
        assert (mids[index], classes[mid]) == (mid, name)


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
        'a, nan, 10, "/m/1"',
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
        ("YYabcdefghij", "Yabcdefghij", None),
        ("Yabcdefghij_30", "Yabcdefghij", "30"),
        ("abcdefgh_30", "abcdefgh_30", None),
        ("abcdefgh_30_40_50", "abcdefgh_30", "40"),
        ("abcdefghijk_30.5-40", "abcdefghijk", "30.5"),
        ("short", "short", None),  # any id of a list, as it is
        ("Title [abcdefghijk]", None, None),
        ("abcdefghijkl", None, None),
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
    found = [read_parquet_audio(clip.audio) for clip in reversed(clips)]
    expected = [bytes([i]) for i in range(10)]
    expected[4] = b""
    assert found == expected[::-1]


def test_damaged_shards(tmp_path):
    pytest.importorskip("pyarrow")
    path = str(tmp_path / "eval.parquet")
    for content in (b"PAR1 and no more", None):
        if content is None:
            write_shard(path, [{"video_id": "a"}])  # without other columns
        else:
            (tmp_path / "eval.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=path):
            read_shard(path, "eval", CLASSES)


def test_missing_lists_are_named(tmp_path):
    (tmp_path / "balanced_train_segments.csv").write_text('a, 0, 9, "/m/04rlf"')
    with pytest.raises(FileNotFoundError, match="eval_segments.csv"):
        list_clips(str(tmp_path))
    (tmp_path / "eval_segments.csv").write_text('b, 0, 9, "/m/04rlf"')
    assert len(list_clips(str(tmp_path)).clips) == 2
    with pytest.raises(FileNotFoundError, match="unbalanced_train"):
        list_clips(str(tmp_path), unbalanced=True)


def test_audio_without_lists_is_not_custom_data(tmp_path):
    """The names of AudioSet's folders are not classes."""
    for name in ("balanced_train_segments", "eval_segments"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Y--PJHxphWEs.wav").touch()
    with pytest.raises(FileNotFoundError, match="balanced.*eval.*https"):
        prepare_data(str(tmp_path), str(tmp_path / "prepared"))


def strong_clips(path, columns, names, clips):
    """The clips of events 0 to 1 s, 1 to 2 s, ... of these names."""
    lines = ["\t".join(columns)]
    lines += (f"{x}\t{i}\t{i + 1}\tDog" for i, x in enumerate(names))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    found = read_strong_labels(path, clips, {"/m/1": "Dog"}, "train")
    return {c: [int(start) for start, *_ in x] for c, x in found.items()}


def test_strong_labels_name_clips_by_segments(tmp_path):
    path, (audioset, dcase) = tmp_path / "strong.tsv", STRONG_COLUMNS
    clips = {"-_4gqARaEJE", "rec0", "abcdefghijk", "abcdefghijk_30"}
    names = ["-_4gqARaEJE_30000", "rec0_2", "rec0", "abcdefghijk_30"]
    names += ["abcdefghijk_31_2", "abcdefghijk_", "babcdefghijk_30"]
    expected = {"-_4gqARaEJE": [0], "rec0": [2], "abcdefghijk_30": [3]}
    assert strong_clips(path, audioset, names, clips) == expected
    del expected["-_4gqARaEJE"]
    assert strong_clips(path, dcase, names, clips) == expected


def test_strong_labels_name_clips_by_paths(tmp_path):
    paths = ["a/0.wav", "b/it barks!.flac", "c/1.wav", "c_1.wav"]
    ids = clip_ids(paths)
    names = ["a/0.wav", "a\\0.wav", "a_0.wav", "a_0", *paths[1:], "x.wav"]
    assert strong_clips(
        tmp_path / "strong.tsv", STRONG_COLUMNS[1], names, set(ids.values())
    ) == {
        "a_0": [0, 1, 2, 3],
        "b_it_barks_": [4],
        ids["c/1.wav"]: [5],
        ids["c_1.wav"]: [6],
    }
