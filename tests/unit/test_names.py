"""Tests that names of classes pass every writer, read back by other readers.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from format_readers import READERS
from tiny_onnx import RATE

import fftp_tag
from fftp_tag import Event, Tag
from fftp_tag.cli.formats import FORMATS, Context, Result
from fftp_tag.data.class_lists import read_classes_csv, write_classes
from fftp_tag.data.class_names import class_name
from fftp_tag.data.strong_labels import read_strong_labels
from fftp_tag.score.results import write_predictions
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference.tagging import Tagger
from speechbrain_fftp.utils.inference_folder import write_folder

AUDIOSET = Path(fftp_tag.__file__).parent / "data"
HARD = [
    "Cat, dog, and bird",
    "Time: 12:30",
    "{a: b, c: d}",
    "'single'",
    '"a", "b"',
    "a # b",
    "R&B &copy",
    "- dash",
    "=1+1",
    "*x* _y_ `z` ~~w~~",
    "a | b",
    "back\\slash \\n",
    "a=>b",
    "% percent %s {0}",
    "!new:torch.nn.Linear",
    "null",
    "1e-4",
    "~",
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


@pytest.mark.parametrize("name", FORMATS)
def test_output_formats(labels, name, tmp_path):
    """Label tracks are also read by ``evaluate`` and ``learn``."""
    is_track = FORMATS[name].events_of_one_file
    items = [
        Event(n, n + 1, x, 0.5) if is_track else Tag(x, 0.5)
        for n, x in enumerate(labels)
    ]
    context = Context(is_track, dict.fromkeys(labels, 0.5), True, RATE)
    path = tmp_path / f"clip{FORMATS[name].extension}"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        FORMATS[name].write([Result("clip.wav", items)], stream, context)
    rows = READERS[name](path.read_text("utf-8"))
    assert [row["label"] for row in rows] == labels
    if is_track:
        events = read_strong_labels(path, ["clip"], None, "the clips")
        assert [label for *_, label in events["clip"]] == labels
