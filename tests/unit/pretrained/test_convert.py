"""Tests of the labels and options of converted checkpoints.

That their outputs are those of the references is in test_goldens.py.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest

from fftp_tag.data.audioset import read_classes
from fftp_tag.errors import InputError
from speechbrain_fftp.pretrained import convert
from speechbrain_fftp.pretrained.tensors import Checkpoint

KNOWN = list(read_classes().values())


def names(n_classes, id2label=None):
    """The names of the classes of a checkpoint."""
    config = {} if id2label is None else {"id2label": id2label}
    checkpoint = Checkpoint(Path("a"), {}, config)
    return convert.published_names(checkpoint, n_classes)


def test_classes_without_names_are_those_of_audioset(caplog):
    """They are known by their number."""
    assert names(527) == KNOWN
    assert not caplog.text
    assert names(2) == ["class 0", "class 1"]
    assert "--labels" in caplog.text


def test_short_names_of_audioset_are_completed():
    short = {str(n): name.split(",")[0] for n, name in enumerate(KNOWN)}
    assert short["506"] == short["507"] == "Inside"
    assert names(527, short) == KNOWN
    labels = names(527, {**short, "3": "Inside (506)"})
    assert labels[506] == "Inside (506) (506)" and len(set(labels)) == 527


def test_the_user_knows_better(published, tmp_path, monkeypatch):
    def describe(**options):
        """The arguments of ``export_onnx``."""
        return convert.convert_checkpoint(path, "model.onnx", **options)

    monkeypatch.setattr(
        convert,
        "export_onnx",
        lambda path, modules, labels, **options: (
            modules["mean_var_norm"],
            labels,
            options["single_label"],
        ),
    )
    path = published("AST folder", problem_type="single_label_classification")
    norm, _, single_label = describe()
    assert single_label and norm.mean == pytest.approx(-4.2677393)
    labels = [f"sound {number}" for number in range(20)]
    norm, *found = describe(
        labels=labels, mean=-1.0, std=2.0, single_label=False
    )
    assert (norm.mean, norm.std) == (-1.0, 2.0) and found == [labels, False]
    with pytest.raises(InputError, match="20 classes"):
        describe(labels=labels[1:])
