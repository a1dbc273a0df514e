"""Tests of the starter's recipe, with a teacher of three tones.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import shutil
import sys

import numpy as np
import pytest
import soundfile as sf
import soxr
from recipe_runs import ROOT, run_as_user, run_words
from tiny_onnx import PITCHES, write_model

from fftp_tag import AudioTagger

RATE = 16000
FASTER = 8  # the teacher's rate, and so the pitches that it hears, are higher


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Folders of tones with noise, of ten recordings each, and a teacher."""
    folder = tmp_path_factory.mktemp("starter")
    write_model(folder / "teacher.onnx", sample_rate=FASTER * 1000)
    rng = np.random.default_rng(0)
    for place in ("a", "b"):
        (folder / place).mkdir()
        for number in range(20):
            # Around a pitch, since the recipe changes speeds
            pitch = FASTER * list(PITCHES.values())[number % 3]
            pitch = pitch * (1 + 0.1 * np.sin(np.arange(RATE) / 1000))
            tone = np.cos(2 * np.pi * np.cumsum(pitch) / RATE)
            wav = 0.2 * tone + 0.001 * rng.standard_normal(RATE)
            wav = np.pad(wav, 100)  # with silence at its ends
            # Two parts of each recording of Freesound
            name = f"{number % 2}-{1000 + number // 2}-{place}.wav"
            sf.write(folder / place / name, wav, RATE)
    rows = ["file,author,licence,audioset", "0-1000-a.wav,Someone,CC0,"]
    rows += [f"0-1001-a.wav,Other,CC0,{list(PITCHES)[2]}", ""]
    (folder / "a" / "clips.csv").write_text("\n".join(rows))
    return folder


def words_of(folder, output, **options):
    """The command of a small training."""
    given = {
        "audio_folders": f"[{folder / 'a'}, {folder / 'b'}]",
        "teacher": folder / "teacher.onnx",
        "exclude": "['*/1-1000-a.wav']",
        "valid_fraction": 0.3,
        "output_folder": output,
        "n_classes": 3,
        "embedding_size": 3,
        "embed_dim": 16,
        "depth": 1,
        "look_ahead": 4,
        "clip_seconds": 1.5,
        "part_seconds": 0.5,
        "clips_per_epoch": 320,
        "number_of_epochs": 6,
        "batch_size": 8,
        "lr": 0.02,
        "warmup_steps": 2,
        "num_workers": 0,
        **options,
    }
    recipe = ROOT / "recipes" / "Starter" / "train.py"
    hparams = ROOT / "hparams" / "starter.yaml"
    words = [f"--{name}={value}" for name, value in given.items()]
    return [str(recipe), str(hparams), *words]


def read_log(output):
    """The lines of a training's log."""
    return (output / "train_log.txt").read_text().splitlines()


def test_the_answers_of_a_teacher_are_learnt(sounds, tmp_path):
    output = tmp_path / "trained"
    # Beside other tests, threads of this and of them wait for each other
    run_as_user([sys.executable, *words_of(sounds, output)], limit=900)
    splits = {}
    for split in ("train", "valid"):
        with open(output / "prepared" / f"{split}.csv") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            is_named = "0-1001-a" in row["ID"]
            assert row["labels"] == (list(PITCHES)[2] if is_named else "")
        assert {row["stop"] for row in rows} <= {str(RATE)}  # no silence
        splits[split] = {row["ID"].split("-")[-2] for row in rows}
        assert not any(row["ID"].endswith("1-1000-a.wav") for row in rows)
    assert not splits["train"] & splits["valid"]
    credits = (output / "prepared" / "attribution.csv").read_text()
    assert "a,author: Someone; licence: CC0,1\n" in credits
    assert "b,,20\n" in credits
    # Recordings that were not trained on have the teacher's best class
    last = read_log(output)[-1]
    assert float(last.split("same best class: ")[1]) > 0.9
    teacher = AudioTagger.from_pretrained(sounds / "teacher.onnx")
    student = AudioTagger.from_pretrained(output / "inference")
    assert student.labels == list(PITCHES)
    for pitch in PITCHES.values():
        tone = 0.2 * np.cos(2 * np.pi * FASTER * pitch * np.arange(RATE) / RATE)
        tone = tone.astype(np.float32)
        [expected] = teacher.tag_file(tone, RATE, top_k=1)
        [found] = student.tag_file(tone, RATE, top_k=1)
        assert found.label == expected.label


@pytest.mark.parametrize(
    "options, named",
    [
        ({"embedding_size": 4}, "give --embedding_size 3"),
        ({"folder_weights": "{c: 2}"}, "c is none of the folders a, b"),
        ({}, "clips.csv: the teacher has no class 'Gong'"),
    ],
)
def test_what_does_not_fit_is_named(sounds, tmp_path, options, named):
    folder = sounds
    if not options:
        folder = shutil.copytree(sounds, tmp_path / "named")
        with open(folder / "a" / "clips.csv", "a") as table:
            table.write("0-1002-a.wav,Other,CC0,Gong\n")
    words = words_of(folder, tmp_path / "trained", **options)
    status, text = run_words(words, tmp_path)
    assert status == 1 and named in text


def rows_of(sounds, **labels):
    """Recordings by id, and the class of some folders."""
    return {
        f"{path.parent.name}--{path.name}": {
            "wav": str(path),
            "start": "0",
            "stop": str(RATE),
            "labels": labels.get(path.parent.name, ""),
        }
        for path in sorted(sounds.rglob("*.wav"))
    }


def test_true_classes_are_targets(sounds, monkeypatch):
    """And folders are drawn from by their weights."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "Starter"))
    from mixtures import SOUNDS, TRUE, Mixtures

    name = list(PITCHES)[1]
    data = rows_of(sounds, a=name)
    options = {"size": 400, "seed": 1, "sample_rate": RATE}
    teacher = str(sounds / "teacher.onnx")
    share = {}
    for weight in (0, 1, 9):
        clips = Mixtures(data, teacher, weights={"a": weight}, **options)
        rng = np.random.default_rng(0)
        names = [clips.mix(rng)[1] for _ in range(400)]
        share[weight] = np.mean([bool(found) for found in names])
    assert share[0] == 0 < share[1] < share[9]
    expected = sum(p * (1 - 0.1**n) for n, p in enumerate(SOUNDS, 1))
    assert share[9] <= expected + 0.04  # fewer, where they are quieter
    clips = Mixtures(data, teacher, weights={"b": 0}, **options)
    plain = Mixtures(rows_of(sounds), teacher, weights={"b": 0}, **options)
    for number in range(5):
        found, answer = clips[number]["targets"], plain[number]["targets"]
        place = list(PITCHES).index(name)
        assert found[place] == max(TRUE, answer[place])
        np.testing.assert_array_equal(
            np.delete(found, place), np.delete(answer, place)
        )


def test_a_mixture_depends_on_its_number(sounds, tmp_path, monkeypatch):
    """And parts have the teacher's answers to them."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "Starter"))
    from mixtures import Mixtures, Numbers

    data = rows_of(sounds)
    teacher = str(sounds / "teacher.onnx")
    first, again = (
        Mixtures(data, teacher, size=4, seed=1, sample_rate=RATE)
        for _ in range(2)
    )
    clip, same, other = first[7], again[7], again[8]
    assert (clip["sig"] == same["sig"]).all()
    assert not (clip["sig"] == other["sig"]).all()
    wav = clip["sig"].numpy().astype(np.float32) / 2**15
    model = AudioTagger.from_pretrained(teacher).model
    for (start, end), expected in zip(clip["parts"], clip["part_targets"]):
        part = wav[round(float(start) * RATE) : round(float(end) * RATE)]
        part = soxr.resample(part, RATE, model.sample_rate)
        found = model.probabilities(part[None])[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for uses, expected in (
        (1, [*range(12)]),
        (2, [*range(4)] * 2 + [4, 5, 6, 7]),
    ):
        numbers, drawn = Numbers(first, uses), []
        for epoch in (1, 2, 3):
            numbers.set_epoch(epoch)
            drawn += numbers
        assert drawn == expected


def test_folders_have_what_the_starter_learnt_from(shared, monkeypatch):
    """As many recordings as its attribution tells."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "Starter"))
    import make_folders

    told = {}
    table = ROOT / "fftp_tag" / "starter" / "attribution.csv"
    with open(table, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            count = told.get(row["folder"], 0) + int(row["recordings"])
            told[row["folder"]] = count
    data = shared / "data"
    clips = {
        "everyday": [*make_folders.everyday_sounds(data, "everyday")],
        "esc10": [*make_folders.everyday_sounds(data, "esc10")],
        "instruments": [*make_folders.instruments(data)],
    }
    for name, own in clips.items():
        assert len(own) == told[name]
        assert all(path.is_file() for path, _ in own)
    assert len(make_folders.words(data)) == told["speech_commands"]


def test_what_a_teacher_hears_is_asked_once(sounds, tmp_path, monkeypatch):
    """And the bank has sounds of each class whose authors are known."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "Starter"))
    from starter_prepare import prepare_starter

    prepared, recipe = tmp_path / "prepared", ROOT / "recipes" / "Starter"
    folders = [str(sounds / "a"), str(sounds / "b")]
    teacher = str(sounds / "teacher.onnx")
    prepare_starter(folders, prepared, teacher=teacher, valid_fraction=0.3)
    words = [str(recipe / "hear.py"), str(prepared), "--teacher", teacher]
    words += ["--folders", "a", "b"]
    status, text = run_words(words, tmp_path)
    assert status == 0 and "40 recordings, 3 classes" in text, text
    with open(prepared / "heard.csv") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        number = 2 * (int(row["ID"].split("-")[-2]) - 1000)
        number += int(row["ID"].split("-")[2])
        assert row["best"] == list(PITCHES)[number % 3]
    [block] = (prepared / "heard").iterdir()
    np.save(block, np.load(block)[:, ::-1])  # it is not asked for again
    status, text = run_words(words, tmp_path)
    assert status == 0, text
    with open(prepared / "heard.csv") as file:
        again = list(csv.DictReader(file))
    turned = dict(zip(PITCHES, list(PITCHES)[::-1]))
    assert [turned[x["best"]] for x in rows] == [x["best"] for x in again]
    words = [str(recipe / "make_bank.py"), *folders, "--heard"]
    words += [str(prepared / "heard.csv"), "--output", str(tmp_path)]
    words += ["--least", "0.04"]
    status, text = run_words(words, tmp_path)
    assert status == 0 and "2 sounds" in text, text
    with open(tmp_path / "bank.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["author"] for row in rows) == ["Other", "Someone"]
    wav, rate = sf.read(tmp_path / "bank.ogg")
    for row in rows:
        part = slice(*(int(float(row[x]) * rate) for x in ("start", "end")))
        assert wav[part].std() > 0.05


def test_thresholds_are_learnt_on_scenes(sounds, tmp_path):
    """Of recordings that are not trained on."""
    prepared, scenes = tmp_path / "prepared", tmp_path / "scenes"
    recipe = ROOT / "recipes" / "Starter"
    teacher = sounds / "teacher.onnx"
    prepared.mkdir()
    rows = rows_of(sounds)
    for number, row in enumerate(rows.values()):
        row["labels"] = list(PITCHES)[number % 3]
    with open(prepared / "valid.csv", "w", newline="") as file:
        table = csv.DictWriter(
            file, ("ID", "duration", *rows["a--0-1000-a.wav"])
        )
        table.writeheader()
        table.writerows({"ID": x, "duration": 1, **rows[x]} for x in rows)
    words = [recipe / "make_scenes.py", prepared, scenes, "--teacher", teacher]
    words += ["--scenes", "20", "--weights", '{"b": 0}']
    status, text = run_words([*map(str, words)], tmp_path)
    assert status == 0 and "20 scenes" in text, text
    with open(scenes / "clips.csv") as file:
        rows = list(csv.DictReader(file))
    tagger = AudioTagger.from_pretrained(teacher)
    for row in rows:
        probs = tagger.clip_probabilities(scenes / row["path"])
        heard = {x for x, p in zip(tagger.labels, probs) if p >= 0.3}
        assert row["labels"] and heard <= set(row["labels"].split(";"))
    output = tmp_path / "rules.onnx"
    words = [ROOT / "studies" / "learn_rules.py", teacher, scenes, output]
    status, text = run_words([*map(str, words)], tmp_path)
    assert status == 0 and "learnt" in text, text
    rules = AudioTagger.from_pretrained(output).model.rules
    assert rules.is_learnt and (rules.threshold >= np.float32(0.2)).all()
