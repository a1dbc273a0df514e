"""Records what each step of a training sees; for ``before`` in a yaml file.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import signal
from pathlib import Path

from speechbrain.utils.distributed import get_rank

# For the option ``before`` of a training
RECORD = """
- !name:step_record.record_steps
  folder: !ref <output_folder>"""


def record_steps(brain, datasets, *, folder):
    """Appends each step to FOLDER/steps-RANK.jsonl: its clips, rate and loss.

    Evaluated batches are appended to FOLDER/evaluated-RANK.jsonl.

    Kills the process at the step that FOLDER/kill_at.json names, if any, as
    epoch and step.
    """
    folder = Path(folder)
    kill_at = folder / "kill_at.json"
    rank = get_rank() or 0

    def on_fit_batch_end(batch, outputs, loss, should_step):
        """Called by the Brain after each step."""
        place = [brain.hparams.epoch_counter.current, brain.step]
        row = {
            "place": [*place, rank],
            "ids": batch.id,
            "lr": brain.optimizer.param_groups[0]["lr"],
            "loss": loss.item(),
        }
        with open(folder / f"steps-{rank}.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        if kill_at.is_file() and json.loads(kill_at.read_text()) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluate_batch(batch, stage):
        """Called by the Brain for each batch that is not trained on."""
        with open(folder / f"evaluated-{rank}.jsonl", "a") as file:
            file.write(json.dumps([stage.name, batch.id]) + "\n")
        return evaluate(batch, stage)

    evaluate = brain.evaluate_batch
    brain.evaluate_batch = evaluate_batch
    brain.on_fit_batch_end = on_fit_batch_end


def read_steps(folder):
    """The recorded rows by epoch, step and rank; of repeated steps, the last."""
    rows = {}
    for path in sorted(folder.glob("steps-*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            rows[tuple(row["place"])] = row
    return rows


def read_evaluated(folder):
    """The ids of all test batches."""
    found = []
    for path in folder.glob("evaluated-*.jsonl"):
        rows = map(json.loads, path.read_text().splitlines())
        found += [
            clip for stage, ids in rows if stage == "TEST" for clip in ids
        ]
    return found
