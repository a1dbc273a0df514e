"""Tests that names of classes pass every writer, read back by other readers.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_onnx
import torch

import fftp_tag
from fftp_tag import Event, Tag
from fftp_tag.cli.formats import FORMATS, Context, Result
from fftp_tag.cli.page import write_page
from fftp_tag.data.class_lists import read_classes_csv, write_classes
from fftp_tag.data.class_names import class_name
from fftp_tag.data.strong_labels import read_strong_labels
from fftp_tag.model.card import write_card
from fftp_tag.model.info import default_rules
from fftp_tag.model.session import Model
from fftp_tag.score.calibrate import write_rules
from fftp_tag.score.results import write_predictions
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference.tagging import Tagger
from speechbrain_fftp.utils.inference_folder import write_folder

AUDIOSET = Path(fftp_tag.__file__).parent / "data"
HARD = [
    "Cat, dog, and bird",
    "Time: 12:30",
    "{a: b, c: d}",
    "[a] (b) <b>c</b>",
    "It's",
    "'single'",
    '"double"',
    '"a", "b"',
    "# hash",
    "a # b",
    "Rock & roll",
    "R&B &copy",
    "- dash",
    "-leading",
    "=1+1",
    "+a",
    "@home",
    "* star",
    "*x* _y_ `z` ~~w~~",
    "a | b",
    "back\\slash \\n",
    "a=>b",
    "a =>b",
    "% percent %s {0}",
    "!new:torch.nn.Linear",
    "&anchor",
    "null",
    "12",
    "1e-4",
    "~",
    "? question",
    "a/b",
    "Tür 音 é",
    "x" * 60,
    'Vehicle horn, car horn, honking: "it\'s" [a] & #1 {very} long',
    class_name("Door\r\n bell"),
]


@pytest.fixture(params=["AudioSet", "hard"])
def labels(request):
    if request.param == "hard":
        return HARD
    names = read_column(AUDIOSET / "class_labels_indices.csv", "display_name")
    assert len(names) == 527
    return names


@pytest.fixture
def model(labels, tmp_path):
    """A model of these classes, whose thresholds are learnt."""
    pitches = dict.fromkeys(labels, 100.0)
    path = tiny_onnx.write_model(tmp_path / "model.onnx", pitches=pitches)
    (tmp_path / "hyperparams.yaml").write_text("a: 1")  # of a training
    limits = np.linspace(0.1, 0.9, len(labels))
    rules = default_rules(len(labels)).replace(limits)
    write_rules(Model(path), path, dataclasses.replace(rules, is_learnt=True))
    return Model(path)


def test_model_thresholds_and_page(model, labels, tmp_path):
    metadata = model.session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"]) == labels
    assert json.loads(metadata["classes"]) == labels
    thresholds = json.loads((tmp_path / "thresholds.json").read_text("utf-8"))
    limits = json.loads(metadata["rules"])["threshold"]
    assert list(thresholds.items()) == list(zip(labels, limits))
    (tmp_path / "page").mkdir()
    write_page(tmp_path / "page", model, None, None)
    found = json.loads((tmp_path / "page" / "model.json").read_text("utf-8"))
    assert found["labels"] == labels


def test_card(model, labels, tmp_path):
    """By GitHub's rules: cells end at a bar, escaped punctuation is itself."""
    write_card(tmp_path, model, "me/sounds", "cc-by-4.0")
    text = (tmp_path / "README.md").read_text("utf-8")
    _, header, _, *rows = text.rpartition("## Labels")[2].split("\n")[1:-1]
    cells = [re.split(r"(?<!\\) \| ", row[2:-2])[0] for row in rows]
    special = r"(?<!\\)(?:\\\\)*[`*_<>|\[\]~&]"
    assert header == "| label | threshold |"
    assert not any(re.search(special, cell) for cell in cells)
    assert [re.sub(r"\\([!-/:-@[-`{-~])", r"\1", x) for x in cells] == labels


def test_folder_for_speechbrain(labels, tmp_path):
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    n_classes = len(labels)
    training = f"""
sample_rate: 16000
features: &features !new:speechbrain.lobes.features.Fbank
same: &same !new:torch.nn.Identity
encoder: &encoder !new:speechbrain.nnet.linear.Linear
    n_neurons: 4
    input_size: 40
classifier: &classifier !new:torch.nn.Linear [4, {n_classes}]
modules:
    compute_features: *features
    mean_var_norm: *same
    embedding_model: *encoder
    classifier: *classifier
checkpointer:
    recoverables:
        classifier: *classifier
"""
    weights = {"classifier": torch.nn.Linear(4, n_classes)}
    write_folder(tmp_path, training, weights, encoder, single_label=False)
    thresholds = {label: i / n_classes for i, label in enumerate(labels)}
    (tmp_path / "thresholds.json").write_text(json.dumps(thresholds))
    lines = (tmp_path / "label_encoder.txt").read_text("utf-8").splitlines()
    pairs = [line.rsplit(" => ", 1) for line in lines[:n_classes]]
    assert [ast.literal_eval(name) for name, _ in pairs] == labels
    assert [int(number) for _, number in pairs] == list(range(n_classes))
    loaded = Tagger.from_hparams(source=tmp_path)
    assert loaded.hparams.label_encoder.ind2lab == dict(enumerate(labels))
    assert loaded.hparams.thresholds == thresholds


def read_column(path, column):
    with open(path, newline="", encoding="utf-8") as file:
        return [row[column] for row in csv.DictReader(file)]


def test_tables_of_a_training(labels, tmp_path):
    write_classes(tmp_path, {f"/m/{n}": x for n, x in enumerate(labels)})
    assert read_column(tmp_path / "classes.csv", "display_name") == labels
    assert list(read_classes_csv(tmp_path).values()) == labels
    ids, probs = [f"{n:03}" for n in range(len(labels))], np.eye(len(labels))
    write_predictions(tmp_path, ids, probs, probs, labels)
    path = tmp_path / "predictions.csv"
    found = {x: read_column(path, x) for x in ("ID", "labels", "tag_1")}
    assert sorted(zip(*found.values())) == list(zip(ids, labels, labels))


@pytest.mark.parametrize("name", list(FORMATS))
def test_output_formats(labels, name, tmp_path):
    """Audacity's label tracks have no quotes."""
    is_track = FORMATS[name].events_of_one_file
    if is_track:
        items = [Event(n, n + 1, x, 0.5) for n, x in enumerate(labels)]
    else:
        items = [Tag(x, 0.5) for x in labels]
    context = Context(is_track, dict.fromkeys(labels, 0.5), True, 16000)
    stream = io.StringIO()
    FORMATS[name].write([Result("clip.wav", items)], stream, context)
    text = stream.getvalue()
    lines = text.splitlines()
    if name == "table":
        found = [re.findall(r"0\.500  (.*)  \(th", x)[0] for x in lines[1:]]
    elif name == "json":
        found = [tag["label"] for tag in json.loads(text)[0]["tags"]]
    elif name == "csv":  # see ``cells``
        rows = csv.DictReader(io.StringIO(text))
        found = [re.sub("^'(?=[=+@])", "", row["label"]) for row in rows]
    elif name == "audacity":
        found = [line.split("\t")[2] for line in lines]
    else:
        rows = csv.DictReader(io.StringIO(text), delimiter="\t")
        found = [row["Label"] for row in rows]
    assert found == labels
    if is_track:
        path = tmp_path / f"clip{FORMATS[name].extension}"
        path.write_text(text, "utf-8")
        events = read_strong_labels(path, ["clip"], None, "the clips")
        assert [label for *_, label in events["clip"]] == labels
