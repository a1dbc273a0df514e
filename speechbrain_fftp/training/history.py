"""Logs of a training run: history.csv, train_log.txt and TensorBoard.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import re
import time
from pathlib import Path

from speechbrain.utils import checkpoints
from speechbrain.utils.distributed import if_main_process, main_process_only
from speechbrain_fftp.dataio.files import atomic_path, write_json
from speechbrain_fftp.training.reports import (
    add_classes,
    add_predictions,
    add_scalars,
)

EPOCH = re.compile(r"(?:epoch: )?(\d+)")  # how lines of an epoch begin


@checkpoints.register_checkpoint_hooks
class TrainingHistory:
    """Writes the logs of a training; a resumed one repeats no line.

    ``train_logger`` gets the losses and the ``criterion``, which selects
    checkpoints; history.csv and TensorBoard get all numbers. What is summed up
    over an epoch is saved with checkpoints.
    """

    def __init__(self, folder, train_logger, tensorboard, labels, criterion):
        self.path = Path(folder) / "history.csv"
        self.train_logger, self.tensorboard = train_logger, tensorboard
        self.writer = tensorboard.writer  # None except on the main process
        self.labels, self.shown = labels, ("loss", criterion)

    @main_process_only
    def resume(self, epoch, step):
        """Removes what comes after a completed epoch and an optimizer step."""
        self._forget_lines(self.path, epoch)
        self._forget_lines(getattr(self.train_logger, "save_file", None), epoch)
        if step:  # TensorBoard ignores what was written for later steps
            self.writer.close()
            kind, folder = type(self.writer), self.tensorboard.save_dir
            self.writer = kind(folder, purge_step=step + 1)
            self.tensorboard.writer = self.writer

    def start_epoch(self, resumed):
        """Starts to sum up an epoch, or goes on."""
        if not resumed:
            self.sums = dict.fromkeys(("clips", "steps", "norm", "seconds"), 0)
        self.time = time.monotonic()

    def add_batch(self, clips):
        """Counts the clips of a batch, and the time."""
        now = time.monotonic()
        self.sums["seconds"] += now - self.time
        self.sums["clips"] += clips
        self.time = now

    def add_step(self, step, loss, lr, grad_norm):
        """Adds values of an optimizer step."""
        self.sums["steps"] += 1
        self.sums["norm"] += grad_norm
        if if_main_process():
            values = {"loss": loss, "lr": lr, "grad_norm": grad_norm}
            add_scalars(self.writer, values, "step", step)

    @main_process_only
    def add_epoch(self, epoch, lr, loss, valid, ids, probs, targets):
        """Adds an epoch: training loss, values of validation, and clips."""
        self.train_logger.log_stats(
            {"epoch": epoch}, {"loss": loss}, {k: valid[k] for k in self.shown}
        )
        clips, steps, norm, seconds = self.sums.values()
        speed = {"clips_per_second": clips / max(seconds, 1e-9)}
        train = {"loss": loss, "grad_norm": norm / max(steps, 1), **speed}
        row = {"epoch": epoch, "lr": lr, "seconds": seconds}
        row.update({f"train_{key}": value for key, value in train.items()})
        row.update({f"valid_{key}": value for key, value in valid.items()})
        is_new = not self.path.is_file()
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([row, row.values()] if is_new else [row.values()])
        add_scalars(self.writer, train, "train", epoch)
        add_scalars(self.writer, valid, "valid", epoch)
        shown = ids[:8], probs[:8], targets[:8]
        add_predictions(self.writer, *shown, self.labels, epoch)

    @main_process_only
    def add_test(self, epoch, values, per_class):
        """Adds the results of the test split after the last epoch."""
        self._forget_lines(getattr(self.train_logger, "save_file", None), epoch)
        test = {key: values[key] for key in self.shown}
        self.train_logger.log_stats({"epoch": epoch}, test_stats=test)
        add_scalars(self.writer, values, "test", epoch)
        add_classes(self.writer, per_class, self.labels, epoch)

    def _forget_lines(self, path, last):
        """Removes lines of tests, and of epochs after the last one, if any."""
        if path is None or not Path(path).is_file():
            return
        kept = ""
        for line in Path(path).read_text("utf-8").splitlines(True):
            found = EPOCH.match(line)
            later = found is not None and int(found[1]) > last
            if " - test " not in line and not later:
                kept += line
        with atomic_path(path) as temporary_path:
            Path(temporary_path).write_text(kept, "utf-8")

    @checkpoints.mark_as_saver
    def save(self, path):
        """Writes the sums."""
        write_json(path, self.sums)

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch):
        """Reads what ``save`` wrote."""
        self.sums = json.loads(Path(path).read_text("utf-8"))
