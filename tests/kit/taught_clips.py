"""Answers of a teacher, and trainings on targets that are given.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

import numpy as np
import torch

# Options of a training
TEACHER = """
- !name:speechbrain_fftp.training.teacher.add_teacher
  answers: !ref <teacher_answers>
  weight: !ref <teacher_weight>"""
GIVEN = """
- !name:taught_clips.give_targets
  path: {}"""


def write_answers(path, ids, labels, seed=0):
    """Random answers, as ``fftp-tag evaluate`` writes them; returns their path."""
    probs = np.random.default_rng(seed).random((len(ids), len(labels)))
    with open(path, "wb") as file:
        np.savez(file, ids=ids, labels=labels, probs=probs.astype(np.float32))
    return path


def give_targets(brain, datasets, *, path):
    """Takes the targets of training clips from a JSON file, by id."""
    given = json.loads(Path(path).read_text())
    train = datasets["train"]
    train.add_dynamic_item(lambda x: torch.tensor(given[x]), ["id"], "given")
    train.set_output_keys({"id": "id", "sig": "sig", "targets": "given"})
