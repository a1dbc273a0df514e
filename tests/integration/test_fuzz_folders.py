"""Hostile data sets to prepare: nothing outside of the folder is touched.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import pytest
import soundfile as sf
from data_folders import write_csv
from prepared_clips import read_clips, read_rows

HOSTILE_IDS = (
    *("../../x", "/dev/zero", "..", "a\0b", "a\nb", "a\\b", "$data_root"),
    *("long" * 70, "cafe\u0301", "CON", "-rf", " ", "é" * 100, "a;b"),
)


def snapshot(folder):
    """Kind, time and target of all that is in a folder."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for path in (os.path.join(parent, name) for name in folders + files):
            status = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else None
            found[path] = status.st_mode, status.st_mtime_ns, link
    return found


def write_tone(path):
    sf.write(path, 0.3 * np.sin(np.arange(8000) / 9), 16000)


def prepare_safely(prepare, data, save):
    """Prepares data; gives the ids of usable clips and of the others."""
    write_csv(
        data / "class_labels_indices.csv",
        [
            ("index", "mid", "display_name"),
            (0, "/m/0", "Dog"),
            (1, "/m/1", "A"),
        ],
    )
    root = data.parent.parent
    before = snapshot(root)
    prepare(data, save, allow_missing=1, num_workers=1)
    after = snapshot(root)
    del before[str(save.parent)], after[str(save.parent)]
    assert {path: after.get(path) for path in before} == before
    assert all(path.startswith(str(save)) for path in set(after) - set(before))
    kept = read_clips(save)
    assert all(len(samples) == 8000 for samples in kept.values())
    skipped = read_rows(save / "skipped.csv")
    return set(kept), {row["ID"] for row in skipped}


def test_hostile_ids_in_shards(prepare, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data, save = tmp_path / "set" / "data", tmp_path / "set" / "save"
    data.mkdir(parents=True)
    write_tone(tmp_path / "a.wav")
    audio = {"bytes": (tmp_path / "a.wav").read_bytes()}
    ids = {"-a", "b", "c", "d", f"{tmp_path}/absolute", *HOSTILE_IDS}
    for name, ids_of_split in (("train", [*ids, ""]), ("eval", ["e"])):
        rows = [
            {"video_id": i, "audio": audio, "labels": ["/m/0"]}
            for i in ids_of_split
        ]
        pq.write_table(pa.Table.from_pylist(rows), data / f"{name}-0.parquet")
    assert prepare_safely(prepare, data, save) == ({*ids, "e"}, {""})


def test_hostile_files(prepare, tmp_path):
    """Links are read; what is no file or no audio is skipped."""
    data, save = tmp_path / "set" / "data", tmp_path / "set" / "save"
    audio = data / "audio"
    audio.mkdir(parents=True)
    for name in ("-a", "b", "v", "e"):
        write_tone(audio / f"{name}.flac")
    write_tone(tmp_path / "outside.flac")
    (audio / "link.flac").symlink_to(tmp_path / "outside.flac")
    (audio / "folder.flac").mkdir()
    os.mkfifo(audio / "fifo.flac")
    (audio / "device.flac").symlink_to("/dev/zero")
    (audio / "loop.flac").symlink_to("loop.flac")
    (audio / "secret.flac").symlink_to("/etc/passwd")
    (audio / "bomb.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    bad = {"folder", "fifo", "device", "loop", "secret", "bomb", "../x", ".."}
    rows = [(i, 0.0, 10.0, "/m/1") for i in ("-a", "b", "link", *bad)]
    write_csv(data / "balanced_train_segments.csv", rows)
    write_csv(data / "valid_segments.csv", [("v", 0, 10, "/m/1")])
    write_csv(data / "eval_segments.csv", [("e", 0, 10, "/m/1")])
    found = prepare_safely(prepare, data, save)
    assert found == ({"-a", "b", "link", "v", "e"}, bad)
