"""Trainings with a teacher beside the labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import pytest
from prepared_clips import read_rows
from recipe_runs import fail, train
from step_record import RECORD, read_steps
from taught_clips import GIVEN, TEACHER
from tiny_onnx import write_clips, write_model

from fftp_tag.cli.main import main

WEIGHT = 0.3


def test_a_teacher_is_a_part_of_the_targets(tmp_path):
    """Training with it equals training on targets that are mixed before.

    Clips are mixed with others as well. The answers are those of the command
    in docs/training.md.
    """
    clips, prepared = write_clips(tmp_path / "clips"), tmp_path / "prepared"
    answers = tmp_path / "answers" / "probabilities.npz"

    def steps(name, before="", **options):
        """The losses of a training by epoch, step and rank."""
        train(tmp_path / name, **(common | options), before=RECORD + before)
        return {
            place: (row["ids"], row["loss"])
            for place, row in read_steps(tmp_path / name).items()
        }

    common = {
        "data_folder": clips,
        "prepared_folder": prepared,
        "mixup_prob": 0.5,
        "set_mixup_prob": 0.5,
    }
    alone = steps("alone")
    command = ["evaluate", "--split", "train", "--data-folder", str(prepared)]
    model = write_model(tmp_path / "teacher.onnx")
    command += ["--model", str(model), "--output", str(answers.parent)]
    assert main(command) == 0
    found = np.load(answers)
    classes = [
        row["display_name"] for row in read_rows(prepared / "classes.csv")
    ]
    labels = found["labels"].tolist()
    assert sorted(labels) == sorted(classes)
    probs = dict(zip(found["ids"], found["probs"]))
    rows = read_rows(prepared / "train.csv")
    assert max(np.ptp(list(probs.values()), axis=0)) > 0.1
    targets = {
        row["ID"]: [
            (1 - WEIGHT) * (name == row["labels"])
            + WEIGHT * float(probs[row["ID"]][labels.index(name)])
            for name in classes
        ]
        for row in rows
    }
    table = tmp_path / "targets.json"
    table.write_text(json.dumps(targets))

    taught = {"teacher_answers": answers, "teacher_weight": WEIGHT}
    with_teacher = steps("teacher", TEACHER, **taught)
    given = steps("given", GIVEN.format(table))
    assert with_teacher.keys() == given.keys()
    for place, (ids, loss) in with_teacher.items():
        assert ids == given[place][0]
        assert loss == pytest.approx(given[place][1], rel=1e-5)
    assert with_teacher != alone
    assert steps("none", TEACHER, **taught | {"teacher_weight": 0}) == alone

    # Other answers in the same file: not in this training, but a test needs none
    table = dict(np.load(answers))
    with open(answers, "wb") as file:
        np.savez(file, **table | {"probs": 1 - table["probs"]})
    options = {**common, **taught, "before": RECORD + TEACHER}
    assert "answers of a teacher" in fail(tmp_path / "teacher", **options)
    train(tmp_path / "teacher", "--test_only", **common)
