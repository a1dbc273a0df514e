"""Tests of the readers for AudioSet's formats.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import sys
from pathlib import Path

import pytest

from speechbrain_fftp.datasets.audioset.lists import read_classes, read_segments
from speechbrain_fftp.datasets.audioset.search import find_shards
from speechbrain_fftp.datasets.audioset.shard_files import (
    iter_parquet_audio,
    read_parquet_clips,
)
from speechbrain_fftp.datasets.manifests import Clip, read_class_list
from speechbrain_fftp.datasets.names import clip_ids
from speechbrain_fftp.datasets.strong_labels import (
    STRONG_COLUMNS,
    read_strong_labels,
)

ROOT = Path(__file__).resolve().parents[4]
HEADER = "index,mid,display_name\n"


def write_shard(path, rows, row_group_size=None):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(rows), path, row_group_size=row_group_size
    )
    return str(path)


def test_class_list_keeps_order_and_commas(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text(
        HEADER
        + '0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n',
        "utf-8-sig",
    )
    assert list(read_class_list(path).items()) == [
        ("/m/09x0r", "Speech"),
        ("/m/05zppz", "Male speech, man speaking"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "index,mid\n0,/m/1\n",
        HEADER,
        HEADER + "0,/m/1,a\n1,/m/1,b\n",
        HEADER + "0,/m/1,a\n1,/m/2,a\n",
        HEADER + "0,/m/1\n",
    ],
)
def test_class_list_errors(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError) as error:
        read_class_list(path)
    assert str(path) in str(error.value)


def test_class_list_of_the_package(tmp_path, caplog):
    """It is AudioSet's; one in the data folder wins."""
    caplog.set_level(logging.INFO)
    classes = read_classes(tmp_path / "none.csv")
    names, mids = list(classes.values()), list(classes)
    assert len(mids) == 527
    for index, mid, name in (
        (0, "/m/09x0r", "Speech"),
        (137, "/m/04rlf", "Music"),
        (300, "/m/07yv9", "Vehicle"),
        (526, "/m/07hvw1", "Field recording"),
    ):
        assert (mids[index], names[index]) == (mid, name)
    assert not caplog.text
    path = tmp_path / "classes.csv"
    path.write_text(HEADER + "0,/m/04rlf,Music\n1,/m/09x0r,Talk\n", "utf-8")
    assert read_classes(path) == {"/m/04rlf": "Music", "/m/09x0r": "Talk"}
    assert f"Using the 2 classes of {path}" in caplog.text


def test_segments_in_audiosets_own_form(tmp_path):
    path = tmp_path / "eval_segments.csv"
    path.write_text(
        "# Segments csv created Sun Mar  5 10:54:25 2017\n"
        "# num_ytids=3, num_segs=3\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_,/m/0bt9lr"\n'
        '-0xzrMun0Rs, 30.000, 37.500, "/m/04rlf"\r\n'
        "\n"
        'with space , 1, 2.5, " /m/2, /m/1 ,/m/2,"\n',
        "utf-8",
    )
    assert read_segments(path) == [
        Clip("--4gqARaEJE", 0, 10, ("/m/068hy", "/m/07q6cd_", "/m/0bt9lr")),
        Clip("-0xzrMun0Rs", 30, 37.5, ("/m/04rlf",)),
        Clip("with space", 1, 2.5, ("/m/2", "/m/1")),
    ]


@pytest.mark.parametrize(
    "row",
    [
        'a, 0, "/m/1"',
        'a, zero, 10, "/m/1"',
        'a, 10, 10, "/m/1"',
        'a, nan, 10, "/m/1"',
    ],
)
def test_segment_errors_name_file_and_line(tmp_path, row):
    path = tmp_path / "train.csv"
    path.write_text(f'# comment\nb, 0, 10, "/m/1"\n{row}\n', "utf-8")
    with pytest.raises(ValueError) as error:
        read_segments(path)
    assert f"{path}, line 3" in str(error.value)


def strong_clips(path, columns, names, clips):
    """The clips of events 0 to 1 s, 1 to 2 s, ... of these names."""
    lines = ["\t".join(columns)]
    lines += (f"{x}\t{i}\t{i + 1}\tDog" for i, x in enumerate(names))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    found = read_strong_labels(path, clips, {"/m/1": "Dog"}, "train")
    return {c: [int(start) for start, *_ in x] for c, x in found.items()}


def test_only_segment_ids_of_youtube_have_a_start(tmp_path):
    path, (audioset, dcase) = tmp_path / "strong.tsv", STRONG_COLUMNS
    clips = {"-_4gqARaEJE", "rec0", "abcdefghijk", "abcdefghijk_30"}
    names = ["-_4gqARaEJE_30000", "rec0_2", "rec0", "abcdefghijk_30"]
    names += ["abcdefghijk_31_2", "abcdefghijk_", "babcdefghijk_30"]
    expected = {"-_4gqARaEJE": [0], "rec0": [2], "abcdefghijk_30": [3]}
    assert strong_clips(path, audioset, names, clips) == expected
    del expected["-_4gqARaEJE"]
    assert strong_clips(path, dcase, names, clips) == expected


def test_clips_are_named_by_paths_as_well(tmp_path):
    paths = ["a/0.wav", "b/it barks!.flac", "c/1.wav", "c_1.wav", "d/v.1.wav"]
    ids = clip_ids([*paths, "d/v.wav"])
    names = ["a/0.wav", "a\\0.wav", "./a/0.WAV", "a_0.wav", "a_0", "a/0"]
    names += [*paths[1:], "d/v.1", "-x.mp3", "elsewhere.wav"]
    found = strong_clips(
        tmp_path / "strong.tsv",
        STRONG_COLUMNS[1],
        names,
        clips={*ids.values(), "-x"},
    )
    assert found == {
        "a_0": [0, 1, 2, 3, 4, 5],
        "b_it_barks_": [6],
        ids["c/1.wav"]: [7],
        ids["c_1.wav"]: [8],
        "d_v_1": [9, 10],
        "-x": [11],
    }


def test_shards_are_found_by_split(tmp_path):
    wanted = {
        "train": [
            "balanced/train/0000.parquet",
            "balanced_train-0.parquet",
            "data/bal_train-00000-of-00021.parquet",
            "data/bal_train/00.parquet",
            "data/bal_train/01.parquet",
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
            "unbal_train0.parquet",
            "unbalanced/train/0000.parquet",
            "unbalanced_train/00.parquet",
        ],
        None: ["others/0.parquet"],
    }
    for name in sum(wanted.values(), ["eval.csv", ".cache/train-0.parquet"]):
        path = tmp_path / "[set]" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shards = find_shards(tmp_path / "[set]", ".parquet")
    root = f"{tmp_path / '[set]'}/"
    found = {s: [p.replace(root, "") for p in shards[s]] for s in shards}
    assert {s: sorted(paths) for s, paths in found.items()} == wanted


def test_parquet_segments_and_audio(tmp_path):
    rows = [
        {
            "video_id": f"-{i}",
            "audio": {"bytes": bytes([i]), "path": f"audio/{i}.flac"},
            "labels": ["/m/1", f"/m/{i}"],
            "human_labels": ["a", "b"],
        }
        for i in range(20)
    ]
    rows[3]["labels"] = None
    rows[4]["audio"] = None
    rows[5]["video_id"] = "-6"
    first = write_shard(tmp_path / "train-0.parquet", rows[:10], 4)
    second = write_shard(tmp_path / "train-1.parquet", rows[8:], 4)

    segments = read_parquet_clips([first, second])
    assert len(segments) == 22
    assert segments[0] == Clip("-0", 0.0, 10.0, ("/m/1", "/m/0"))
    assert segments[1].mids == ("/m/1",)
    assert segments[3].mids == ()

    wanted = ["-19", "-8", "-6", "-4", "absent"]
    assert list(iter_parquet_audio([first, second], wanted)) == [
        ("-4", None),
        ("-6", bytes([5])),
        ("-8", bytes([8])),
        ("-19", bytes([19])),
    ]


def test_parquet_audio_is_streamed(tmp_path):
    pa = pytest.importorskip("pyarrow")
    rows = [
        {"video_id": str(i), "audio": {"bytes": os.urandom(2**18)}}
        for i in range(128)
    ]
    path = write_shard(tmp_path / "eval.parquet", rows, row_group_size=4)
    del rows
    before, most = pa.total_allocated_bytes(), 0
    for _ in iter_parquet_audio([path], map(str, range(128))):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 * 2**20  # of 32 MiB


def test_parquet_errors(tmp_path, monkeypatch):
    damaged = tmp_path / "eval.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="eval.parquet is damaged"):
        read_parquet_clips([str(damaged)])
    path = write_shard(tmp_path / "a.parquet", [{"video_id": "a"}])
    with pytest.raises(ValueError, match="a.parquet has no column 'labels'"):
        read_parquet_clips([path])
    with pytest.raises(ValueError, match="no column 'audio.bytes'"):
        list(iter_parquet_audio([path], ["a"]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        read_parquet_clips([path])
