"""Tests of the recipe with custom data, and of frozen encoders.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import readme_checks
import soundfile as sf
import torch
from recipe_runs import ROOT, command, fail, load_script, save_encoder, train
from test_prepare import read_report, read_rows

from speechbrain_fftp.dataio.audio import resample
from speechbrain_fftp.datasets.custom.listing import LAYOUTS, read_clip_list
from speechbrain_fftp.datasets.synthetic.demo_set import CLASSES, SAMPLE_RATE

SPLITS = ("train", "valid", "eval")
NAMES = ("Siren", "Dial tone", "Tick-tock", "Mains hum", "White noise")


def write_sound(path, name, seed, seconds=3.0, rate=SAMPLE_RATE):
    """A clip with one of the sounds that can be synthesised."""
    rng = np.random.default_rng(seed)
    make = next(make for _, label, make in CLASSES if label == name)
    t = np.arange(round(seconds * rng.uniform(0.7, 1.3) * rate)) / rate
    sound = make(rng, t)
    noise = 0.003 * rng.standard_normal(len(t))
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(
        path, rng.uniform(0.1, 0.5) * sound / abs(sound).max() + noise, rate
    )


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """The walk-through's folder: five classes with 20 clips each."""
    folder = tmp_path_factory.mktemp("own") / "my_sounds"
    for place, name in enumerate(NAMES):
        for number in range(20):
            path = folder / name / f"{number}.wav"
            write_sound(path, name, seed=100 * place + number)
    return folder


def splits_of(save):
    """From id to split and labels."""
    return {
        row["ID"]: (split, row["labels"])
        for split in SPLITS
        for row in read_rows(save / f"{split}.csv")
    }


def test_class_folders_are_prepared(prepare, sounds, tmp_path):
    save = tmp_path / "save"
    prepare(sounds, save)
    classes = [row["display_name"] for row in read_rows(save / "classes.csv")]
    assert classes == sorted(NAMES)
    rows = splits_of(save)
    assert rows["Dial_tone_7"][1] == "Dial tone"
    for split, count in (("train", 14), ("valid", 3), ("eval", 3)):
        for name in NAMES:
            assert list(rows.values()).count((split, name)) == count
    report = read_report(save)
    assert report["skipped"] == [] and not report["valid_is_held_out_of_train"]

    # Somewhere else, the same files have the same places.
    moved = shutil.copytree(sounds, tmp_path / "moved")
    prepare(moved, tmp_path / "other")
    assert splits_of(tmp_path / "other") == rows

    # With another clip it is another set: the prepared one is not passed off
    # as that, but it is used when its source is gone.
    write_sound(moved / "Siren" / "new.wav", "Siren", seed=1)
    with pytest.raises(ValueError, match="source files .* delete this one"):
        prepare(moved, tmp_path / "other")
    shutil.rmtree(moved)
    prepare(moved, tmp_path / "other")


def write_list(folder, rows, columns=("path", "labels", "split", "group")):
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def test_awkward_clips_of_a_list(prepare, tmp_path):
    data, save = tmp_path / "data", tmp_path / "save"
    rows = []
    for number in range(12):
        path = f"in/{number % 4}/clip {number}.wav"
        write_sound(data / path, NAMES[number % 2], number)
        label = f"{NAMES[number % 2]}; Sound, any"
        rows.append((path, label, "", f"day {number // 3}"))
    write_sound(data / "long48.wav", "Siren", 1, seconds=20, rate=48000)
    write_sound(data / "48.flac", "Siren", 2, seconds=2, rate=48000)
    for name in ("absent.wav", "empty.wav", "short.wav", "silent"):
        rows.append((name, "Siren", "train", ""))
    (data / "empty.wav").touch()
    (data / "silent").mkdir()
    sf.write(data / "short.wav", np.zeros(100), 16000)
    rows += [("long48.wav", "Siren", "test", ""), ("48.flac", "Siren", "", "")]
    rows += [("unlabelled.wav", ";", "eval", ""), rows[0]]
    write_list(data, rows)

    prepare(data, save, num_workers=1)

    found = splits_of(save)
    assert len(found) == 14
    groups = {}
    for path, _, _, group in rows[:12]:
        name = path[:-4].replace("/", "_").replace(" ", "_")
        groups.setdefault(group, set()).add(found[name][0])
    assert len(groups) == 4
    assert all(len(splits) == 1 for splits in groups.values())
    assert set.union(*groups.values()) == set(SPLITS)
    assert found["in_0_clip_0"][1] == "Siren;Sound, any"
    assert found["long48"] == ("eval", "Siren")
    assert sf.info(save / "flac" / "long48.flac").duration == 10
    assert sf.info(save / "flac" / "48.flac").samplerate == 16000

    report = read_report(save)
    skipped = {(s["id"], s["reason"]) for s in report["skipped"]}
    assert skipped == {
        ("absent", "missing file"),
        ("silent", "missing file"),
        ("empty", "empty file"),
        ("short", "shorter than 25 ms: 100 samples"),
        ("unlabelled", "no known label"),
        ("in_0_clip_0", "duplicate"),
    }
    assert report["skipped_reasons"]["missing file"] == 2
    assert report["splits"]["eval"]["trimmed"] == 1


def test_what_a_list_may_not_hold(prepare, tmp_path):
    data = tmp_path / "data"
    write_sound(tmp_path / "secret.wav", "Siren", 0)
    write_sound(data / "a.wav", "Siren", 0)
    rows = [("a.wav", "Siren"), ("../secret.wav", "Dial tone")]
    for path in ("../secret.wav", str(tmp_path / "secret.wav")):
        write_list(data, [rows[0], (path, "Dial tone")], ("path", "labels"))
        with pytest.raises(ValueError, match="line 3: .* and within it"):
            prepare(data, tmp_path / "save")
    write_list(data, [("a.wav", "Siren;$HOME")], ("path", "labels"))
    with pytest.raises(ValueError, match=r"rename '\$HOME'"):
        prepare(data, tmp_path / "save")
    write_list(data, rows[:1], ("path", "labels"))
    with pytest.raises(ValueError, match="at least two classes are needed"):
        prepare(data, tmp_path / "save")
    (data / "clips.csv").unlink()
    for folder in (data, data / "empty"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError) as error:
            prepare(folder, tmp_path / "save")
        assert LAYOUTS in str(error.value)
    assert not (tmp_path / "save").exists()


def test_what_is_for_audioset_only(prepare, sounds, tmp_path):
    with pytest.raises(ValueError, match="unbalanced is for AudioSet only"):
        prepare(sounds, tmp_path / "save", unbalanced=True)
    with pytest.raises(ValueError, match="valid_fraction is for AudioSet only"):
        prepare(sounds, tmp_path / "save", valid_fraction=0.2)


def test_debug_with_clips_of_one_class(tmp_path):
    """Of equal length, so that the first two batches are of the first class."""
    data = tmp_path / "sounds"
    tone = 0.1 * np.sin(np.arange(16000))
    for name in ("a", "b"):
        (data / name).mkdir(parents=True)
        for number in range(40):
            noise = np.random.default_rng(number).normal(0, 0.01, 16000)
            sf.write(data / name / f"{number}.wav", tone + noise, 16000)
    options = {"data_folder": data, "batch_size": 2, "n_classes": 2}
    options["num_workers"] = 0
    _, metrics = train(tmp_path / "run", "--debug", **options)
    assert metrics["num_classes_scored"] == 0 and metrics["mAP"] is None


def test_folds_of_esc50(prepare, data_folder, tmp_path):
    """A folder prepared for one fold is not that of another one."""
    esc50, rows = tmp_path / "esc50", []
    for number in range(60):
        fold, recording = number // 20 + 1, number // 2
        name = f"{fold}-{recording}-A-{number}.wav"
        label = NAMES[recording % 2].replace(" ", "_")
        write_sound(esc50 / "audio" / name, NAMES[recording % 2], number, 1.0)
        rows.append((name, fold, recording % 2, label, "True", recording, "A"))
    header = ["filename", "fold", "target", "category", "esc10"]
    (esc50 / "meta").mkdir()
    with open(esc50 / "meta" / "esc50.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*header, "src_file", "take"], *rows])
    save = tmp_path / "save"
    with pytest.raises(ValueError, match="the folds 1, 2, 3: .* --test_fold"):
        prepare(esc50, save)
    assert not save.exists()
    prepare(esc50, save, test_fold=2)
    found = {name: split for name, (split, _) in splits_of(save).items()}
    recordings = {}
    for name, split in found.items():
        fold, recording = name.split("_")[1].split("-")[:2]
        recordings.setdefault(recording, set()).add(split)
        assert (split == "eval") == (fold == "2")
    assert all(len(splits) == 1 for splits in recordings.values())
    assert set.union(*recordings.values()) == set(SPLITS)
    with pytest.raises(ValueError, match="with test_fold='2', not '3'"):
        prepare(esc50, save, test_fold=3)
    prepare(esc50, save, test_fold="2")
    (esc50 / "meta" / "esc50.csv").touch()
    with pytest.raises(ValueError, match="source files have changed"):
        prepare(esc50, save, test_fold="2")
    with pytest.raises(ValueError, match="is for custom data with folds"):
        prepare(data_folder, tmp_path / "other", test_fold=1)


def test_copies_do_not_leak(prepare, tmp_path, caplog):
    """Identical clips share a split; a re-encoded one is reported."""
    data, save = tmp_path / "data", tmp_path / "save"
    for name in NAMES[:2]:
        for number in range(12):
            path = data / name / f"{number}.wav"
            write_sound(path, name, seed=100 * len(name) + number)
            if number % 2:  # half of them are copies
                shutil.copy(path.with_name(f"{number - 1}.wav"), path)
    prepare(data, save)
    rows = splits_of(save)
    for name in ("Siren", "Dial_tone"):
        for number in range(0, 12, 2):
            same = [rows[f"{name}_{number + i}"] for i in (0, 1)]
            assert same[0] == same[1]
    report = read_report(save)
    assert len(report["identical_clips"]) == 12
    assert report["near_duplicates"] == []
    assert "12 clips are copies of others" in caplog.text

    eval_id = next(i for i, row in rows.items() if row == ("eval", "Siren"))
    samples, rate = sf.read(data / "Siren" / f"{eval_id.split('_')[1]}.wav")
    other = resample(samples, rate, 44100)
    sf.write(data / "Siren" / "other.ogg", 0.1 * other, 44100)
    list_rows = [
        (f"{row[1]}/{i.split('_')[-1]}.wav", row[1], row[0])
        for i, row in rows.items()
    ]
    list_rows.append(("Siren/other.ogg", "Siren", "train"))
    write_list(data, list_rows, ("path", "labels", "split"))
    caplog.clear()
    prepare(data, tmp_path / "again")
    pairs = read_report(tmp_path / "again")["near_duplicates"]
    assert {pair["ids"][1] for pair in pairs} == {"Siren_other"}
    assert eval_id in {pair["ids"][0] for pair in pairs}
    assert pairs[0]["splits"] == ["eval", "train"]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno > 20]
    assert "sound the same" in warning and "Siren_other" in warning


def test_folders_of_splits_are_no_classes(tmp_path):
    for split in ("bal_train", "eval"):
        for number in range(4):
            path = tmp_path / "audios" / split / f"{number}.wav"
            write_sound(path, "Siren", number, seconds=0.2)
    script = ROOT / "recipes" / "AudioSet" / "audioset_prepare.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path / "audios", tmp_path / "save"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "'bal_train', 'eval' are names of splits" in done.stderr
    assert not (tmp_path / "save").exists()


@pytest.mark.slow
def test_cross_validation(tmp_path):
    data, rows = tmp_path / "data", []
    for number in range(16):
        path, name = f"{number}.wav", NAMES[number % 2]
        write_sound(data / path, name, number, seconds=1.0)
        rows.append((path, name, f"0{number // 8 + 1}"))  # no numbers
    write_list(data, rows, ("path", "labels", "fold"))
    out = tmp_path / "out"
    python, _, *words = command(
        out, n_classes=None, data_folder=data, number_of_epochs=1
    )
    script = ROOT / "recipes" / "AudioSet" / "cross_validate.py"

    def cross_validate(*more):
        done = subprocess.run(
            [python, script, *words, *more], capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    status, output = cross_validate()
    assert status == 0, output
    metrics = [
        json.loads((out / f"fold_{fold}" / "metrics.json").read_text())
        for fold in ("01", "02")
    ]
    table = {row["fold"]: row for row in read_rows(out / "folds.csv")}
    for name in ("mAP", "AUC"):
        values = [fold[name] for fold in metrics]
        assert [float(table[k][name]) for k in ("01", "02")] == [
            round(value, 4) for value in values
        ]
        # Student's t for two values: 12.706 times the standard error
        half = 12.7062 * abs(values[0] - values[1]) / 2
        for key, value in (("95 % from", -half), ("95 % to", half)):
            expected = np.mean(values) + value
            assert float(table[key][name]) == pytest.approx(expected, abs=2e-4)
    for fold, ids in (("01", range(8)), ("02", range(8, 16))):
        predictions = read_rows(out / f"fold_{fold}" / "predictions.csv")
        assert {row["ID"] for row in predictions} == set(map(str, ids))
        right = [row["tag_1"] == row["labels"] for row in predictions]
        assert float(table[fold]["accuracy"]) == sum(right) / 8

    # Finished folds are kept, an unfinished one is done again.
    (out / "fold_02" / "done.json").unlink()
    before = (out / "fold_01" / "train_log.txt").stat().st_mtime_ns
    status, output = cross_validate()
    assert status == 0 and "fold_01/prepared" not in output, output
    assert (out / "fold_01" / "train_log.txt").stat().st_mtime_ns == before
    assert {r["fold"]: r for r in read_rows(out / "folds.csv")} == table


@pytest.fixture
def folds(tmp_path, monkeypatch):
    """Cross-validates with other hparams, data or options; trains no model."""
    script, trained = load_script("AudioSet/cross_validate.py"), []
    yaml, data = tmp_path / "hparams.yaml", tmp_path / "data"
    yaml.write_text("seed: 1\n", "utf-8")
    data.mkdir()
    rows = [(f"{i}.wav", NAMES[i % 2], f"0{i // 2 + 1}") for i in range(4)]
    write_list(data, rows, ("path", "labels", "fold"))
    for path, *_ in rows:
        (data / path).write_bytes(b"sound")

    def run(words):
        given = dict(w[2:].split("=") for w in map(str, words) if "=" in w)
        trained.append(given["test_fold"])
        folder = Path(given["output_folder"])
        folder.mkdir()
        text = "ID,labels,tag_1\n1,Siren,Siren\n"
        (folder / "predictions.csv").write_text(text, "utf-8")
        (folder / "metrics.json").write_text('{"mAP": 0.5, "AUC": 0.6}')
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(script.subprocess, "run", run)

    def cross_validate(*options):
        script.cross_validate(yaml, data, tmp_path / "out", list(options))
        return trained

    return SimpleNamespace(run=cross_validate, yaml=yaml, data=data)


def test_folds_are_of_the_same_data_and_settings(folds, tmp_path):
    assert folds.run("--seed=2") == ["01", "02"]
    assert folds.run("--seed=2") == ["01", "02"]  # both are finished
    assert read_rows(tmp_path / "out" / "folds.csv")[2]["mAP"] == "0.5000"
    with pytest.raises(ValueError, match="folds of other options .* another"):
        folds.run("--seed=3")
    (folds.data / "1.wav").write_bytes(b"another sound")
    with pytest.raises(ValueError, match="folds of other data .* another"):
        folds.run("--seed=2")
    folds.yaml.write_text("seed: 3\n", "utf-8")
    with pytest.raises(ValueError, match="folds of other hparams and data .*"):
        folds.run("--seed=2")


def test_cross_validation_refuses_a_debug_run(folds, tmp_path):
    with pytest.raises(ValueError, match="--debug leaves no metrics"):
        folds.run("--debug")
    assert not (tmp_path / "out").exists()


def test_cross_validation_of_an_earlier_version_continues(folds, tmp_path):
    """It recorded only its options."""
    folds.run("--seed=2")
    record = tmp_path / "out" / "command.json"
    words = [str(folds.yaml), "--seed=2", f"--data_folder={folds.data}"]
    record.write_text(json.dumps(words), "utf-8")
    folds.run("--seed=2")
    assert set(json.loads(record.read_text())) == {"options", "hparams", "data"}


def test_tar_shards(prepare, sounds, tmp_path):
    save = tmp_path / "save"
    options = {"format": "webdataset", "clips_per_shard": 30}
    prepare(sounds, save, **options)
    index = json.loads((save / "train.json").read_text("utf-8"))
    assert [shard["clips"] for shard in index["shards"]] == [30, 30, 10]
    before = (save / "shards" / "train-000001.tar").read_bytes()
    (save / "shards" / "train-000001.tar").write_bytes(b"damaged")
    prepare(sounds, save, **options, verify=True)
    assert (save / "shards" / "train-000001.tar").read_bytes() == before


def test_a_list_trains_without_the_number_of_classes(sounds, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "sounds").symlink_to(sounds)
    rows = [
        (f"sounds/{name}/{number}.wav", name)
        for name in NAMES[:3]
        for number in range(8)
    ]
    write_list(data, rows, ("path", "labels"))
    options = {"data_folder": data, "n_classes": None, "number_of_epochs": 1}
    output, metrics = train(tmp_path / "run", **options)
    assert metrics["num_classes_scored"] == 3
    settings = (tmp_path / "run" / "hyperparams.yaml").read_text("utf-8")
    assert "n_classes: 3" in settings
    options["n_classes"] = 5
    message = fail(tmp_path / "other", **options)
    assert "has 3 classes, but n_classes is 5" in message
    (data / "clips.csv").write_text("file,labels\n", "utf-8")
    options["n_classes"] = None
    assert "no column 'path'" in fail(tmp_path / "other", **options)


def newest(folder):
    """The checkpoint saved last."""
    return max(
        folder.glob("save/CKPT+*"),
        key=lambda path: re.findall(
            r"unixtime: (\S+)", (path / "CKPT.yaml").read_text()
        ),
    )


@pytest.mark.parametrize(
    "precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)]
)
def test_a_frozen_encoder_keeps_every_bit(data_folder, tmp_path, precision):
    """And gets no state of the optimiser; it is not frozen afterwards."""
    options = {
        "data_folder": data_folder,
        "prepared_folder": tmp_path / "prepared",
        "pretrained": save_encoder(tmp_path),
        "weight_decay": 0.5,
        "dropout": 0.2,
        "grad_accumulation_factor": 2,
        "precision": precision,
    }
    start = torch.load(options["pretrained"])
    for frozen_epochs in (2, 1):
        folder = tmp_path / f"frozen_{frozen_epochs}"
        train(folder, frozen_epochs=frozen_epochs, **options)
        end = torch.load(newest(folder) / "embedding_model.ckpt")
        kept = [torch.equal(start[name], end[name]) for name in start]
        assert all(kept) if frozen_epochs == 2 else not any(kept)
        state = torch.load(newest(folder) / "optimizer.ckpt")["state"]
        head = 4  # weights and biases of its two layers
        assert len(state) == head + (0 if frozen_epochs == 2 else len(start))
        head = torch.load(newest(folder) / "classifier.ckpt")
        assert not torch.equal(head["0.weight"], torch.ones(64))


def test_freezing_what_is_not_pretrained(data_folder, tmp_path):
    options = {"data_folder": data_folder, "frozen_epochs": 1}
    message = fail(tmp_path / "run", **options)
    assert "needs a --pretrained source" in message
    options.update(pretrained=save_encoder(tmp_path), patch_frames=25)
    message = fail(tmp_path / "run", **options)
    assert "lacks embedding.proj.bias, embedding.proj.weight, pos" in message


def shown(document, heading, language=""):
    """Blocks of a section of the documentation."""
    text = (ROOT / document).read_text("utf-8") + "## "
    section = re.search(rf"(?ms)^## {heading}\n(.*?)^## ", text)[1]
    blocks = readme_checks.blocks(section)
    return [code for kind, code in blocks if kind == language]


def walk_through():
    """The commands that train, tag, and train from starting weights."""
    codes = shown("README.md", "Train on your own clips")
    codes += shown("docs/training.md", "Starting from trained weights")
    return [w for code in codes for w in readme_checks.commands(code) if w]


def test_the_table_shown_is_one(tmp_path):
    (table,) = shown("docs/data.md", "Custom data", "csv")
    (tmp_path / "clips.csv").write_text(table, "utf-8")
    clips = read_clip_list(tmp_path / "clips.csv")
    assert clips[0].labels == ("Siren", "Speech")
    assert [clip.group for clip in clips] == ["monday", "monday", ""]


def follow(words, folder):
    """Runs a command of README.md as if the project were in a folder."""
    for name in ("recipes", "hparams"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    programs = {
        "python": [sys.executable],
        ".venv/bin/fftp-tag": [
            sys.executable,
            "-m",
            "speechbrain_fftp.cli.main",
        ],
    }
    done = subprocess.run(
        [*programs[words[0]], *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, shlex.join(words) + done.stdout + done.stderr
    return done.stdout


def scored(folder, words):
    """metrics.json of a command's output folder."""
    output = folder / words[words.index("--output_folder") + 1]
    return json.loads((output / "metrics.json").read_text("utf-8"))


@pytest.fixture
def place(sounds, tmp_path):
    """A folder with what the walk-through takes to be there."""
    (tmp_path / "my_sounds").symlink_to(sounds)
    write_sound(tmp_path / "clip.wav", "Siren", seed=4321)
    return tmp_path


@pytest.mark.slow
def test_the_walk_through_makes_a_useful_tagger(place):
    training, tagging, tuning = walk_through()
    follow(training, place)
    metrics = scored(place, training)
    assert metrics["num_clips"] == 15 and metrics["num_classes_scored"] == 5
    assert metrics["mAP"] >= 0.9
    tags = follow(tagging, place).splitlines()
    assert tags[0] == "clip.wav" and tags[1].endswith("  Siren")
    assert {line.split(maxsplit=1)[1] for line in tags[1:]} == set(NAMES)

    # In the place of the demo's model, which has the same sizes
    (place / "results" / "demo").symlink_to(place / "results" / "my_sounds")
    few = {"--number_of_epochs": "2", "--frozen_epochs": "1"}
    few["recipes/AudioSet/train.py"] = "hparams/ast_fftp.yaml"
    before = [None, *tuning]
    follow([few.get(b, word) for b, word in zip(before, tuning)], place)
    assert scored(place, tuning)["mAP"] >= 0.6
