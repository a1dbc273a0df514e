"""Tests of the recipe for AudioSet that goes to SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import shutil

import pytest
from recipe_runs import load_script
from test_prepare import write_audio, write_list, write_set

stock = load_script("stock/AudioSet/Tagging/audioset_prepare.py")
SPLITS = ("train", "valid", "test")


def run(data, save, audio=None, **options):
    """Prepares a folder; returns the rows of each split by id."""
    paths = [save / f"{split}.csv" for split in SPLITS]
    stock.prepare_audioset(
        data,
        audio or data / "audio",
        *paths,
        **{"valid_fraction": 0.3, **options},
    )
    return {path.stem: read_rows(path) for path in paths}


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["ID"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def lists(data_folder, tmp_path_factory):
    """The demo set, without its validation list."""
    folder = tmp_path_factory.mktemp("stock") / "lists"
    shutil.copytree(
        data_folder, folder, ignore=shutil.ignore_patterns("valid*", "audio")
    )
    (folder / "audio").symlink_to(data_folder / "audio")
    return folder


@pytest.fixture(scope="module")
def rows(lists, tmp_path_factory):
    return run(lists, tmp_path_factory.mktemp("stock") / "save")


def test_same_clips_and_labels_as_the_other_recipe(
    lists, rows, prepare, tmp_path
):
    prepare(lists, tmp_path, num_workers=1)
    own = {x: read_rows(tmp_path / f"{x}.csv") for x in ("train", "valid")}
    own = {**own["train"], **own["valid"]}, read_rows(tmp_path / "eval.csv")
    assert not rows["train"].keys() & rows["valid"].keys()
    names = stock.read_classes(lists)
    stocks = {**rows["train"], **rows["valid"]}, rows["test"]
    for found, expected in zip(stocks, own):
        assert found.keys() == expected.keys()
        for clip, row in found.items():
            mids = row["labels"].split(";")
            assert ";".join(names[x] for x in mids) == expected[clip]["labels"]
            assert float(row["duration"]) == float(expected[clip]["duration"])
            assert row["wav"] == str(lists / "audio" / f"{clip}.flac")
    assert len(stocks[0]) == 24 and len(stocks[1]) == 8


def test_parquet_files_give_the_same_as_lists(lists, rows, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow
    from pyarrow import parquet

    data, audio = tmp_path / "data", tmp_path / "audio"
    data.mkdir()
    shutil.copy(lists / "class_labels_indices.csv", data)
    splits = {"eval": [*rows["test"].values()]}
    train = [*rows["train"].values(), *rows["valid"].values()]
    splits["bal_train"], more = train[::2], train[1::2]
    for name, part in (*splits.items(), ("bal_train", more)):
        table = {
            "video_id": [row["ID"] for row in part],
            "audio": [
                {
                    "bytes": (
                        lists / "audio" / f"{row['ID']}.flac"
                    ).read_bytes(),
                    "path": f"audio/{name}/{row['ID']}.flac",
                }
                for row in part
            ],
            "labels": [row["labels"].split(";") for row in part],
            "human_labels": [["not", "used"] for _ in part],
        }
        folder = data / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.iterdir()))
        path = folder / f"{number:02d}.parquet"
        parquet.write_table(pyarrow.table(table), path)
    found = run(data, tmp_path, audio)
    for split in SPLITS:
        assert found[split].keys() == rows[split].keys()
        for clip, row in found[split].items():
            expected = rows[split][clip]
            with open(row["wav"], "rb") as a, open(expected["wav"], "rb") as b:
                assert a.read() == b.read()
            assert {**row, "wav": expected["wav"]} == expected
    before = {p: p.stat().st_mtime_ns for p in audio.iterdir()}
    assert len(before) == 32
    assert run(data, tmp_path, audio) == found
    assert {p: p.stat().st_mtime_ns for p in audio.iterdir()} == before


def test_names_of_files_and_clips_without_audio(tmp_path):
    data = write_set(tmp_path / "data", num_train=30)
    complete = run(data, tmp_path)
    audio = data / "audio"
    (audio / "-t0.flac").unlink()
    (audio / "-t1.flac").write_bytes(b"not audio")
    (audio / "more").mkdir()
    (audio / "-t2.flac").rename(audio / "more" / "Y-t2.flac")
    (audio / "-t3.flac").unlink()
    write_audio(audio / "-t3.wav", 2.5, 44100, 2)
    (audio / "-t4.txt").write_text("-t4", "utf-8")
    rows = run(data, tmp_path / "again")
    both = {**rows["train"], **rows["valid"]}
    assert both["-t2"]["wav"] == str(audio / "more" / "Y-t2.flac")
    assert both["-t3"]["wav"] == str(audio / "-t3.wav")
    assert float(both["-t3"]["duration"]) == 2.5
    assert both["-t4"]["wav"] == str(audio / "-t4.flac")
    # Those that are there stay in their splits
    for split in SPLITS:
        assert rows[split].keys() == complete[split].keys() - {"-t0", "-t1"}
    expected = [("-t2", "/m/a;/m/b;/m/c"), ("-t3", "/m/a")]
    assert [(clip, both[clip]["labels"]) for clip, _ in expected] == expected


def test_splits_to_train_on(tmp_path):
    data = write_set(tmp_path / "data", num_train=8)
    write_list(data, "unbalanced_train", [(f"u{i}", "/m/c") for i in range(8)])
    for i in range(8):
        write_audio(data / "audio" / f"u{i}.flac")
    sizes = {("balanced",): 8, ("unbalanced",): 8}
    sizes["balanced", "unbalanced"] = 16
    for splits, size in sizes.items():
        rows = run(data, tmp_path, splits=splits)
        assert len(rows["train"]) + len(rows["valid"]) == size
        assert len(rows["test"]) == 2
    before = (tmp_path / "train.csv").read_bytes()
    run(data, tmp_path, skip_prep=True)
    assert (tmp_path / "train.csv").read_bytes() == before


def test_what_is_done_is_not_done_again(tmp_path):
    data = write_set(tmp_path / "data", num_train=8)
    run(data, tmp_path)
    manifest = tmp_path / "train.csv"
    kept = manifest.read_bytes()
    manifest.write_bytes(kept + b"more,1.0,more.wav,/m/a\n")
    assert "more" in run(data, tmp_path)["train"]  # with the same settings
    rows = run(data, tmp_path, valid_fraction=0.5)
    assert "more" not in rows["train"] and rows["valid"]
    run(data, tmp_path)
    assert manifest.read_bytes() == kept
    (tmp_path / "test.csv").unlink()
    assert len(run(data, tmp_path)["test"]) == 2


def remove(name):
    return lambda data: (data / name).unlink()


def remove_audio(data):
    for i in range(2):
        (data / "audio" / f"-t{i}.flac").unlink()


@pytest.mark.parametrize(
    "change, options, error, message",
    [
        (
            remove("balanced_train_segments.csv"),
            {},
            FileNotFoundError,
            "balanced_train_segments.csv is missing, and .* bal_train: downl",
        ),
        (
            remove("class_labels_indices.csv"),
            {},
            FileNotFoundError,
            "class_labels_indices.csv is missing: .* --data_folder",
        ),
        (
            lambda data: (data / "class_labels_indices.csv").write_text(
                "a,b\n1,2"
            ),
            {},
            ValueError,
            "class_labels_indices.csv needs the columns mid and display_name",
        ),
        (
            lambda data: write_list(data, "eval", [("e0", "/m/z")]),
            {},
            ValueError,
            r"the eval split has the labels \['/m/z'\], which class_.* release",
        ),
        (
            lambda data: (data / "eval_segments.csv").write_text("e0, 0, 10"),
            {},
            ValueError,
            r"eval_segments.csv: expected id, start, end, .* not \['e0', '0'",
        ),
        (
            remove_audio,
            {},
            FileNotFoundError,
            "2 of 6 clips of the balanced split .* --audio_folder right",
        ),
        (
            lambda data: None,
            {"valid_fraction": 0.0},
            ValueError,
            "valid.csv would be empty: .*valid_fraction is too small",
        ),
        (
            lambda data: None,
            {"valid_fraction": 1.0},
            ValueError,
            "train.csv would be empty: .*valid_fraction is .* too large",
        ),
        (
            lambda data: write_list(data, "eval", [("-t1", "/m/b")]),
            {},
            ValueError,
            "1 clips are for training and evaluation, such as -t1: remove",
        ),
    ],
)
def test_errors_name_what_to_do(tmp_path, change, options, error, message):
    data = write_set(tmp_path / "data")
    change(data)
    with pytest.raises(error, match=message) as raised:
        run(data, tmp_path, **options)
    assert str(tmp_path) in str(raised.value) or "--" in str(raised.value)
