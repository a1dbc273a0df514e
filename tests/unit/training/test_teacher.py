"""Tests of targets that are mixed with a teacher's answers.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from taught_clips import write_answers

from fftp_tag.errors import InputError
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.training.mixing import MixedClips, Pair
from speechbrain_fftp.training.rows import store_in_arrays
from speechbrain_fftp.training.teacher import add_teacher

IDS, LABELS = ("b", "a", "c10"), ("Dog", "Cat, loud", "Rain")
LABEL_ENCODER = SimpleNamespace(lab2ind=dict(zip(LABELS, range(3))))
BRAIN = SimpleNamespace(hparams=SimpleNamespace(label_encoder=LABEL_ENCODER))


def make_clips():
    """A clip of each class, with an item that only some recipes have."""
    clips = DynamicItemDataset(
        {x: {"number": n} for n, x in enumerate(IDS)},
        output_keys=["id", "targets", "known", "sig"],
    )
    clips.add_dynamic_item(lambda n: torch.eye(3)[n], "number", "targets")
    clips.add_dynamic_item(lambda n: n, "number", "known")
    clips.add_dynamic_item(
        lambda n: torch.full((4,), n, dtype=torch.int16), "number", "sig"
    )
    return clips


def add(path, weight):
    clips = make_clips()
    add_teacher(BRAIN, {"train": clips}, answers=path, weight=weight)
    return clips


@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_targets_are_mixed_by_the_names_of_clips_and_classes(weight, tmp_path):
    """Whatever their order in the file, and with answers to spare."""
    ids, labels = ["c10", "z", "b", "c1", "a"], ["Rain", "Owl", *LABELS[:2]]
    path = write_answers(tmp_path / "answers.npz", ids, labels)
    probs, clips = np.load(path)["probs"], add(path, weight)
    for n, clip in enumerate(IDS):
        for c, label in enumerate(LABELS):
            answer = probs[ids.index(clip), labels.index(label)]
            expected = (1 - weight) * (n == c) + weight * answer
            found = clips[n]["targets"][c].item()
            assert found == pytest.approx(expected, abs=1e-6)
        assert clips[n]["id"] == clip and clips[n]["known"] == n
    targets = [clips[n]["targets"] for n in range(3)]
    store_in_arrays(clips)  # as a training does
    mixture = MixedClips(clips)[Pair(2, 0, 0.75)]
    expected = 0.75 * targets[2] + 0.25 * targets[0]
    torch.testing.assert_close(mixture["targets"], expected)


def test_what_cannot_be_learnt_from_is_refused(tmp_path):
    def refuse(named, path, weight=0.5):
        with pytest.raises(InputError) as error:
            add(path, weight)
        assert str(named) in str(error.value)
        assert "\n" not in str(error.value)

    path = write_answers(tmp_path / "whole.npz", IDS, LABELS)
    add(path, 0.5)
    for weight in (-0.1, 1.5, float("nan")):
        refuse("teacher_weight", path, weight)
    refuse("a (1 of 3", write_answers(tmp_path / "x.npz", ["b", "c10"], LABELS))
    refuse("Rain (1 of 3", write_answers(tmp_path / "y.npz", IDS, LABELS[:2]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuse(path, path)
    refuse("none.npz", tmp_path / "none.npz")


def test_without_answers_nothing_changes():
    clips = add(None, 0.5)
    assert clips[1]["targets"].tolist() == [0, 1, 0]
    assert set(clips.pipeline.output_mapping) == {
        *("id", "targets", "known", "sig")
    }
