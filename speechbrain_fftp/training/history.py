"""The history of a training: history.csv, train_log.txt and TensorBoard.

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
from speechbrain_fftp.dataio.files import atomic_path, write_csv, write_json
from speechbrain_fftp.training.reports import (
    add_classes,
    add_predictions,
    add_scalars,
)

HISTORY = "history.csv"
EPOCH = re.compile(r"epoch: (\d+)")


@checkpoints.register_checkpoint_hooks
class EpochMeter:
    """Sums over the training steps of an epoch, saved with checkpoints."""

    def start(self, resumed=False):
        """Starts an epoch, or goes on with one."""
        if not resumed:
            self.sums = dict.fromkeys(("clips", "steps", "norm", "seconds"), 0)
        self.time = time.monotonic()

    def add(self, clips, norm=None):
        """Adds a batch and, at a step, the norm of the gradients."""
        now = time.monotonic()
        self.sums["seconds"] += now - self.time
        self.time = now
        self.sums["clips"] += clips
        if norm is not None:
            self.sums["steps"] += 1
            self.sums["norm"] += norm

    def means(self):
        """What history.csv has of the epoch."""
        clips, steps, norm, seconds = self.sums.values()
        return {
            "grad_norm": norm / max(steps, 1),
            "clips_per_second": clips / max(seconds, 1e-9),
            "seconds": seconds,
        }

    @checkpoints.mark_as_saver
    def save(self, path):
        """Writes the sums."""
        write_json(path, self.sums)

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch):
        """Reads what ``save`` wrote."""
        self.sums = json.loads(Path(path).read_text("utf-8"))


class TrainingHistory:
    """Writes the logs of a training; a resumed one repeats no line.

    Arguments
    ---------
    folder : str
        Folder of history.csv, which has the numbers at full precision.
    train_logger : speechbrain.utils.train_logger.TrainLogger
        Logs the losses and the metric that selects checkpoints.
    tensorboard_logger : speechbrain.utils.train_logger.TensorboardLogger
        Logs everything.
    labels : list of str
        Labels of the classes.
    criterion : str
        The metric that selects checkpoints.
    """

    def __init__(
        self, folder, train_logger, tensorboard_logger, labels, criterion
    ):
        self.path = Path(folder) / HISTORY
        self.train_logger, self.tensorboard = train_logger, tensorboard_logger
        self.labels, self.shown = labels, ("loss", criterion)

    @property
    def writer(self):
        """The TensorBoard writer, on the main process."""
        return self.tensorboard.writer

    @main_process_only
    def resume(self, epoch, step):
        """Removes what comes after a completed epoch and an optimizer step."""
        if self.path.is_file():
            header, *rows = self._read()
            rows = [row for row in rows if int(row[0]) <= epoch]
            write_csv(self.path, header, rows)
        self._forget_lines(epoch)
        if step:  # TensorBoard ignores what was written for later steps
            self.writer.close()
            self.tensorboard.writer = type(self.writer)(
                self.tensorboard.save_dir, purge_step=step + 1
            )

    def add_step(self, step, **values):
        """Adds values of an optimizer step."""
        if if_main_process():
            add_scalars(self.writer, values, "step", step)

    @main_process_only
    def add_epoch(self, epoch, train, valid, ids, probs, targets):
        """Adds an epoch: values of training and of validation, and clips."""
        train_loss = {"loss": train.pop("loss")}
        self.train_logger.log_stats(
            {"epoch": epoch},
            train_loss,
            {key: valid[key] for key in self.shown},
        )
        row = {"epoch": epoch, "train_loss": train_loss["loss"]}
        row.update({f"valid_{key}": value for key, value in valid.items()})
        row.update(train)
        rows = self._read()[1:] if self.path.is_file() else []
        write_csv(self.path, row, [*rows, row.values()])
        add_scalars(self.writer, {**train_loss, **train}, "train", epoch)
        add_scalars(self.writer, valid, "valid", epoch)
        shown = ids[:8], probs[:8], targets[:8]
        add_predictions(self.writer, *shown, self.labels, epoch)

    @main_process_only
    def add_test(self, epoch, values, per_class):
        """Adds the results of the test split after the last epoch."""
        self._forget_lines()
        self.train_logger.log_stats(
            {"epoch": epoch},
            test_stats={key: values[key] for key in self.shown},
        )
        add_scalars(self.writer, values, "test", epoch)
        add_classes(self.writer, per_class, self.labels, epoch)

    def _read(self):
        """The lines of history.csv."""
        with open(self.path, encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    def _forget_lines(self, last=None):
        """Removes lines of tests, and of later epochs, from the train log."""
        path = getattr(self.train_logger, "save_file", None)
        if path is None or not Path(path).is_file():
            return
        lines = Path(path).read_text("utf-8").splitlines(keepends=True)
        with atomic_path(path) as temporary_path:
            with open(temporary_path, "w", encoding="utf-8") as file:
                for line in lines:
                    found = EPOCH.match(line)
                    late = last is not None and found and int(found[1]) > last
                    if not late and " - test " not in line:
                        file.write(line)
