"""Tests with hostile folders: data sets to prepare and models to load.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES

HOSTILE_IDS = (
    "../../x",
    "../x",
    "/dev/zero",
    "..",
    "",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1bb",
    "a\\b",
    "$data_root",
    "long" * 70,
    "é" * 125,
)
UNUSUAL_IDS = ("caf\u00e9", "cafe\u0301", "CON", "-rf", " ", "é" * 100, "a;b")


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def snapshot(folder):
    """Kind, time and target of all that is in a folder."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for path in (os.path.join(parent, name) for name in folders + files):
            status = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else None
            found[path] = status.st_mode, status.st_mtime_ns, link
    return found


def tone():
    return 0.3 * np.sin(np.arange(8000) / 9)


def write_classes(folder, names=("Bark, dog", "Siren")):
    folder.mkdir(parents=True)
    path = folder / "class_labels_indices.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows((i, f"/m/{i}", n) for i, n in enumerate(names))


def write_shard(path, ids, audio):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [
        {"video_id": i, "audio": {"bytes": audio}, "labels": ["/m/0"]}
        for i in ids
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def check_report(save, unusable):
    """The report has all clips that were skipped, the manifests the others."""
    report = json.loads((save / "prepare_report.json").read_text("utf-8"))
    skipped = {c["id"]: c["reason"] for c in report["skipped"]}
    assert skipped == unusable
    assert report["splits"]["train"]["skipped"] == len(unusable)
    ids = set()
    for split in ("train", "valid", "eval"):
        with open(save / f"{split}.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                wav = row["wav"].replace("$data_root", str(save))
                assert Path(wav).parent == save / "flac"
                assert sf.info(wav).frames == 8000
                ids.add(row["ID"])
    assert {f"{i}.flac" for i in ids} == set(os.listdir(save / "flac"))
    return ids


def test_hostile_ids_in_shards(prepare, tmp_path):
    data, save = tmp_path / "set" / "data", tmp_path / "set" / "save"
    write_classes(data)
    sf.write(tmp_path / "a.wav", tone(), 16000)
    audio = (tmp_path / "a.wav").read_bytes()
    good = ("-a", "b", "c", "d")
    hostile = (*HOSTILE_IDS, f"{tmp_path}/absolute")
    write_shard(
        data / "train-0.parquet", (*good, *hostile, *UNUSUAL_IDS), audio
    )
    write_shard(data / "eval-0.parquet", ("e",), audio)
    before = snapshot(tmp_path)
    prepare(data, save, num_workers=1)
    after = snapshot(tmp_path)
    del before[str(save.parent)], after[str(save.parent)]
    assert {p: after.get(p) for p in before} == before
    assert all(p.startswith(str(save)) for p in set(after) - set(before))
    unusable = dict.fromkeys(hostile, "id cannot be a file name")
    kept = check_report(save, unusable)
    assert kept == {*good, *UNUSUAL_IDS, "e"}


def test_hostile_files(prepare, tmp_path):
    """Links are read; what is no file or no audio is skipped."""
    data, save = tmp_path / "set" / "data", tmp_path / "set" / "save"
    write_classes(data)
    audio = data / "audio"
    audio.mkdir()
    good = ["-a", "b", "link", "e"]
    for name in good:
        sf.write(audio / f"{name}.flac", tone(), 16000)
    (audio / "link.flac").rename(tmp_path / "outside.flac")
    (audio / "link.flac").symlink_to(tmp_path / "outside.flac")
    (audio / "folder.flac").mkdir()
    os.mkfifo(audio / "fifo.flac")
    (audio / "device.flac").symlink_to("/dev/zero")
    (audio / "loop.flac").symlink_to("loop.flac")
    (audio / "secret.flac").symlink_to("/etc/passwd")
    (audio / "bomb.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    bad = ("folder", "fifo", "device", "loop", "secret", "bomb", "x" * 300)
    hostile = [i for i in HOSTILE_IDS if not set(i) & set("\n\r")]
    ids = [*good[:3], *bad, *hostile]
    rows = "".join(f'"{i}", 0.000, 10.000, "/m/1,/m/9"\n' for i in ids)
    (data / "balanced_train_segments.csv").write_text(rows, "utf-8")
    (data / "eval_segments.csv").write_text('e, 0, 10, "/m/1"', "utf-8")
    before = snapshot(tmp_path)
    prepare(data, save, num_workers=1)
    after = snapshot(tmp_path)
    del before[str(save.parent)], after[str(save.parent)]
    assert {p: after.get(p) for p in before} == before
    assert all(p.startswith(str(save)) for p in set(after) - set(before))
    unreadable = "unreadable or truncated: "
    unusable = {
        **dict.fromkeys(bad[:4], "missing file"),
        "secret": f"{unreadable}Format not recognised.",
        "bomb": f"{unreadable}Error in WAV file. No 'data' chunk marker.",
        "x" * 300: "id cannot be a file name",
        **dict.fromkeys(hostile, "id cannot be a file name"),
    }
    assert check_report(save, unusable) == set(good)


@pytest.mark.parametrize("name", ["a;b", "$HOME", "a => b", "a\nb", "a\rb"])
def test_class_names_that_the_formats_cannot_hold(prepare, tmp_path, name):
    write_classes(tmp_path / "data", ["Siren", name])
    with pytest.raises(ValueError, match="indices.csv: rename '") as error:
        prepare(tmp_path / "data", tmp_path / "save")
    assert repr(name) in str(error.value)
    assert os.listdir(tmp_path) == ["data"]


@pytest.fixture
def model(exported, tmp_path):
    """A copy of a model's folder, without the data that is taken first."""
    shutil.copytree(exported[1], tmp_path / "model")
    for name in FILES:
        (tmp_path / "model" / name).unlink()
    return tmp_path / "model"


@pytest.fixture
def clip(tmp_path):
    sf.write(tmp_path / "clip.wav", tone(), 16000)
    return tmp_path / "clip.wav"


def test_a_model_with_code_is_refused(model, clip, tmp_path):
    made = tmp_path / "made"
    torch.save({"weight": Touch(made)}, model / "embedding_model.ckpt")
    with pytest.raises(ValueError, match="Weights only load failed"):
        AudioTagger.from_hparams(source=str(model)).tag_file(clip)
    assert not made.exists()


@pytest.mark.parametrize("content", ["{", "a: [", "- 1", "", "\0", "a: *b"])
def test_garbled_settings(model, content):
    (model / "hyperparams.yaml").write_text(content, "utf-8")
    with pytest.raises(ValueError) as error:
        AudioTagger.from_hparams(source=str(model))
    assert str(model) in str(error.value)


def test_odd_audio_for_a_model(model, clip, tmp_path):
    tagger = AudioTagger.from_hparams(source=str(model))
    for rate in (1000, 44101, 767999):  # the last have no common divisor
        sf.write(clip, np.zeros(rate), rate)
        assert len(tagger.load_wav(clip)) == 16000
        assert len(tagger.tag_file(clip)) == 5
    sf.write(clip, tone(), 999)
    with pytest.raises(ValueError, match="clip.wav is not.* rate of 999 Hz"):
        tagger.tag_file(clip)
    os.mkfifo(tmp_path / "fifo.wav")
    for path in (tmp_path / "fifo.wav", tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="not readable.* a regular file"):
            tagger.tag_file(path)
