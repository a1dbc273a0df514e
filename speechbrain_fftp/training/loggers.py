"""Logs of a training run: train_log.txt, history.csv and TensorBoard.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import logging
import re
from pathlib import Path

from speechbrain.utils.distributed import main_process_only
from speechbrain_fftp.dataio.files import atomic_path

EPOCH = re.compile(r"(?:epoch: )?(\d+)")  # how the lines of an epoch begin


class TrainingLogger:
    """Logs each epoch once, also in a training that was resumed.

    It is called as SpeechBrain's loggers are.

    Arguments
    ---------
    train_log : str
        A text file with a line for each epoch, and one for the test.
    history : str
        A CSV file with a row for each epoch.
    tensorboard_logs : str
        Folder of TensorBoard's files.
    """

    def __init__(self, train_log, history, tensorboard_logs):
        # Importing it warns if there is no torchvision, which only figures need
        logging.getLogger("speechbrain.utils.train_logger").addFilter(
            lambda record: "torchvision" not in record.getMessage()
        )
        from speechbrain.utils.train_logger import FileTrainLogger

        self.text_logger = FileTrainLogger(save_file=train_log)
        self.train_log = Path(train_log)
        self.history = Path(history)
        self.tensorboard_logs = tensorboard_logs
        self.writer = None

    @main_process_only
    def log_stats(
        self, stats_meta, train_stats=None, valid_stats=None, test_stats=None
    ):
        """Logs the statistics of an epoch, whose meta has ``epoch``, or a test."""
        epoch = stats_meta.get("epoch")
        remove_lines(self.train_log, epoch)
        self.text_logger.log_stats(
            stats_meta, train_stats, valid_stats, test_stats
        )
        splits = {"train": train_stats, "valid": valid_stats}
        if epoch is None:
            splits = {"test": test_stats}
        else:
            remove_lines(self.history, epoch)
            row = dict(stats_meta)
            for split, stats in splits.items():
                for name, value in (stats or {}).items():
                    row[f"{split}_{name}"] = value
            self._add_row(row)
        self._add_scalars(splits, epoch)

    def _add_row(self, row):
        """Adds a row to history.csv."""
        is_new = not self.history.is_file()
        with open(self.history, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)

    def _add_scalars(self, splits, epoch):
        """Writes statistics as ``loss/valid`` and so on to TensorBoard."""
        from torch.utils.tensorboard import SummaryWriter

        if self.writer is None:  # what it has of this epoch and later goes
            self.writer = SummaryWriter(self.tensorboard_logs, purge_step=epoch)
        for split, stats in splits.items():
            for name, value in (stats or {}).items():
                self.writer.add_scalar(f"{name}/{split}", value, epoch)
        self.writer.flush()


def remove_lines(path, epoch=None):
    """Removes a test's line of a log, and those from an epoch on, if given."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        match = EPOCH.match(line)
        is_later = match and epoch is not None and int(match[1]) >= epoch
        if " - test " not in line and not is_later:
            kept.append(line)
    with atomic_path(path) as temporary:
        Path(temporary).write_text("".join(kept), "utf-8")
