"""Tests of AudioSet as different tools leave it on disk.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import tarfile

import numpy as np
import pytest
import soundfile as sf

MUSIC, SPEECH = "/m/04rlf", "/m/09x0r"
# Ids that could be taken for others: with a Y, _, - and digits at the ends
TRAIN = ("Yabcdefghij", "abcdefgh_30", "-_bcdefghij", "0123456789_")
EVAL = ("_Ycdefghi_0", "zbcdefghi-9")
SHARDS = {"format": "webdataset", "clips_per_shard": 3, "num_workers": 1}


def tone(clip_id, seconds=0.5):
    """Samples that tell a clip, by its amplitude."""
    level = (1 + (*TRAIN, *EVAL).index(clip_id)) / 10
    return np.full(round(16000 * seconds), level)


def write_lists(folder, start=30):
    folder.mkdir(parents=True, exist_ok=True)
    for name, ids in (("balanced_train", TRAIN), ("eval", EVAL)):
        mids = (MUSIC, f"{SPEECH},{MUSIC}")
        lines = [
            f'{clip_id}, {start}.000, {start + 10}.000, "{mids[i % 2]}"'
            for i, clip_id in enumerate(ids)
        ]
        text = "\n".join(["# YTID, start_seconds, ...", *lines])
        (folder / f"{name}_segments.csv").write_text(text, "utf-8")


def write_files(folder, names):
    """Writes the clip of each id to a file."""
    for clip_id, name in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        form = {".wav": "WAV", ".ogg": "OGG"}.get(path.suffix.lower(), "FLAC")
        sf.write(path, tone(clip_id), 16000, format=form)


def every(pattern, split_names=("train", "eval")):
    """A file name for each clip."""
    return {
        clip_id: pattern.format(id=clip_id, split=split)
        for split, ids in zip(split_names, (TRAIN, EVAL))
        for clip_id in ids
    }


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["ID"]: row for row in csv.DictReader(file)}


def read_report(folder):
    return json.loads((folder / "prepare_report.json").read_text("utf-8"))


def check(save, skipped=()):
    """Each clip is in its split, and its audio is its own."""
    rows = {s: read_rows(save / f"{s}.csv") for s in ("train", "valid", "eval")}
    assert {*rows["train"], *rows["valid"]} == set(TRAIN) - set(skipped)
    assert set(rows["eval"]) == set(EVAL)
    for clip_id in {*TRAIN, *EVAL} - set(skipped):
        found, _ = sf.read(save / "flac" / f"{clip_id}.flac")
        np.testing.assert_allclose(found, tone(clip_id), atol=0.03)
    labels = [rows["eval"][clip_id]["labels"] for clip_id in EVAL]
    assert labels == ["Music", "Speech;Music"]
    return read_report(save).get("audio")


BALANCED = ("balanced_train_segments", "eval_segments")
PANNS_2M = "unbalanced_train_segments/unbalanced_train_segments_part00"


@pytest.mark.parametrize(
    "names",
    [
        every("audio/{id}.FLAC"),
        every("audios/{split}/Y{id}.wav", BALANCED),
        every("audios/{split}/Y{id}.wav", (PANNS_2M, "eval")),
        every("{split}/Speech/{id}_30.ogg"),
    ],
)
def test_names_of_files(prepare, tmp_path, names):
    data = tmp_path / "data"
    write_lists(data)
    write_files(data, names)
    prepare(data, tmp_path / "save")
    assert check(tmp_path / "save") == {
        "files": 6,
        "not_listed": 0,
        "of_another_segment": 0,
    }
    prepare(data, tmp_path / "shards", **SHARDS)
    rows = read_rows(tmp_path / "shards/train.csv")
    assert set(TRAIN) == {*rows, *read_rows(tmp_path / "shards/valid.csv")}


def test_best_of_several_files(prepare, tmp_path):
    data = tmp_path / "data"
    write_lists(data / "metadata")
    write_files(data, every("{split}/{id}.flac"))
    first, others = TRAIN[0], {}
    for clip_id, name in every("{split}/{id}.flac", ("test", "x")).items():
        others[name] = clip_id
    others[f"train/{first}.ogg"] = others[f"train/Y{first}.ogg"] = first
    others[f"train/{first}_70_80.flac"] = others["notes/a.flac"] = first
    others[f".hidden/{first}.flac"] = first
    others[f"__MACOSX/{first}.flac"] = first
    others[f"results/other/prepared/flac/{first}.flac"] = first
    for name, clip_id in others.items():  # with the sound of another clip
        write_files(data, {EVAL[clip_id == EVAL[0]]: name})
    (data / "results/other/prepared/prepared.json").write_text("{}")
    (data / "loop").symlink_to(data)
    save = data / "results" / "save"
    prepare(data, save)
    expected = {
        "files": 16,
        "not_listed": 1,
        "of_another_segment": 1,
    }
    assert check(save) == expected
    for name in ("train.csv", "prepare_report.json"):  # resume
        (save / name).unlink()
    prepare(data, save)
    assert check(save) == expected


def write_tars(data, members, size=2):
    """Writes members, (name, content) of each clip, of some clips per tar."""
    data.mkdir(parents=True, exist_ok=True)
    for split, ids in (("train", TRAIN), ("eval", EVAL)):
        for i in range(0, len(ids), size):
            name = f"bal_train{i:02d}.tar" if split == "train" else "eval00.tar"
            with tarfile.open(data / name, "w") as tar:
                for clip_id in ids[i : i + size]:
                    for name, content in members(clip_id):
                        member = tarfile.TarInfo(name)
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))


def encoded(clip_id, form):
    content = io.BytesIO()
    sf.write(content, tone(clip_id), 16000, format=form)
    return content.getvalue()


def test_shards_of_listed_clips(prepare, tmp_path):
    data, save = tmp_path / "data", tmp_path / "save"
    write_lists(data)

    def members(clip_id):
        yield f"audio/Y{clip_id}.wav", encoded(clip_id, "WAV")
        yield f"audio/Y{clip_id}.cls", b"3"  # the lists count

    write_tars(data, members)
    (data / "bal_train02.tar").rename(data / "part-1.tar")
    prepare(data, save, allow_missing=0.5)
    check(save, skipped=TRAIN[2:])
    with pytest.raises(ValueError, match="2 of 4 train"):
        prepare(data, tmp_path / "other")
    (data / "part-1.tar").rename(data / "bal_train02.tar")
    with pytest.raises(ValueError, match="source files have changed"):
        prepare(data, save, allow_missing=0.5)
    prepare(data, tmp_path / "all", **SHARDS)
    with open(data / "bal_train00.tar", "r+b") as file:
        file.truncate(2000)
    with pytest.raises(ValueError, match="bal_train00.tar is damaged"):
        prepare(data, tmp_path / "damaged")


@pytest.mark.parametrize("form", ["webdataset", "flac"])
def test_whole_recordings(prepare, tmp_path, form):
    data, save = tmp_path / "data", tmp_path / "save"
    write_lists(data, start=4)
    first, short, named, clip = TRAIN
    ramp = np.arange(20 * 16000) / 16000 / 32  # tells the time
    samples = {i: (f"audio/{i}.flac", ramp) for i in EVAL}
    samples[first] = f"audio/{first}.wav", ramp
    samples[short] = f"audio/{short}.flac", ramp[: 8 * 16000]
    samples[named] = f"clips/{named}_4.flac", ramp
    samples[clip] = f"clips/{clip}.flac", ramp[: 10 * 16000]
    for name, content in samples.values():
        (data / name).parent.mkdir(exist_ok=True)
        sf.write(data / name, content, 16000)
    options = {**SHARDS, "format": form}
    prepare(data, save, valid_fraction=1e-9, **options)
    starts = dict.fromkeys((first, *EVAL), 4)
    starts.update(dict.fromkeys((named, short, clip), 0))
    found = {p.stem: sf.read(p)[0] for p in save.glob("flac/*")}
    for path in save.glob("shards/*.tar"):
        with tarfile.open(path) as tar:
            for name in tar.getnames()[::2]:
                row = json.load(tar.extractfile(name.replace("flac", "json")))
                content = io.BytesIO(tar.extractfile(name).read())
                found[row["id"]] = sf.read(content)[0]
    assert {i: round(32 * x[0], 2) for i, x in found.items()} == starts
    assert {len(x) for i, x in found.items() if i != short} == {160000}
    report = read_report(save)
    assert not report["skipped"]


@pytest.mark.parametrize(
    "name, hint",
    [
        ("audio/clip-{id}.wav", "clip-"),
        ("audio/{id}_70.wav", "another segment"),
        ("audio/song.wav", "song.wav"),
    ],
)
def test_missing_clips(prepare, tmp_path, name, hint):
    data, save = tmp_path / "data", tmp_path / "save"
    write_lists(data)
    write_files(data, every(name))
    with pytest.raises(FileNotFoundError, match=hint) as error:
        prepare(data, save)
    assert not save.exists() and "\n" not in str(error.value)
    write_files(data, {i: f"audio/{i}.flac" for i in (*EVAL, *TRAIN[:3])})
    with pytest.raises(ValueError, match=hint) as error:
        prepare(data, save)
    assert "--allow_missing 0.25" in str(error.value)
    assert not list(save.glob("flac/*"))
    with pytest.raises(ValueError, match="allow_missing"):
        prepare(data, save, allow_missing=2)
    prepare(data, save, allow_missing=0.25)
    check(save, skipped=TRAIN[3:])
    prepare(data, save)  # it is complete


@pytest.mark.parametrize("form", ["flac", "webdataset"])
def test_the_unbalanced_set(prepare, tmp_path, form):
    data, save = tmp_path / "data", tmp_path / "save"
    write_lists(data)
    write_files(data, every("audio/{id}.flac"))
    with pytest.raises(FileNotFoundError, match="unbalanced_train_segments"):
        prepare(data, save, unbalanced=True)
    lines = (data / "balanced_train_segments.csv").read_text().splitlines()
    for name, part in (("balanced", lines[:3]), ("unbalanced", lines[3:])):
        path = data / f"{name}_train_segments.csv"
        path.write_text("\n".join(part), "utf-8")
    prepare(data, save, unbalanced=True, format=form)
    rows = {**read_rows(save / "train.csv"), **read_rows(save / "valid.csv")}
    assert set(rows) == set(TRAIN)
    with pytest.raises(ValueError, match="unbalanced=True, not False"):
        prepare(data, save, format=form)
