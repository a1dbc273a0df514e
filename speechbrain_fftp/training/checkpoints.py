"""Checkpoints that survive kills, damage and a wrong clock; their average.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging
import shutil
import time

from speechbrain.utils import distributed
from speechbrain.utils.checkpoints import (
    CKPT_PREFIX,
    METAFNAME,
    Checkpointer,
    average_checkpoints,
)
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import file_sha256, write_json

logger = get_logger(__name__)

CHECKSUMS = "checksums.json"
UNFINISHED = "unfinished"
DAMAGED = "damaged+"


class AtomicCheckpointer(Checkpointer):
    """A ``Checkpointer`` whose checkpoints are complete or absent.

    They are written to the subfolder ``unfinished`` and moved when complete.
    Those that do not fit the checksums of their files are renamed and logged
    before anything is loaded; those without, which SpeechBrain's
    ``Checkpointer`` saved, are not verified. They are ordered as they were
    saved, even if the clock was set back in between.
    """

    def save_checkpoint(
        self, meta={}, end_of_epoch=True, name=None, verbosity=logging.INFO
    ):
        """Saves a checkpoint, or raises an OSError that names the remedy.

        Returns the ``Checkpoint`` on the main process, None on the others.
        """
        folder = self.checkpoints_dir
        if distributed.if_main_process():
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
            now, newest = time.time(), self.find_checkpoint()
            if newest is not None:
                now = max(now, newest.meta["unixtime"] + 1e-3)
            # "checksums" tells it from checkpoints that never had checksums.
            meta = {"unixtime": now, "checksums": CHECKSUMS, **meta}
            unused = self._new_checkpoint_dirpath().name  # in this folder
            name = name or unused.removeprefix(f"{CKPT_PREFIX}+")
        try:
            self.checkpoints_dir = folder / UNFINISHED
            unfinished = super().save_checkpoint(
                meta, end_of_epoch, name, verbosity=logging.DEBUG
            )
            finished = unfinished and _finish(unfinished, folder)
        except (OSError, RuntimeError) as error:  # the latter from torch.save
            free = shutil.disk_usage(folder).free / 2**20
            raise OSError(
                f"A checkpoint cannot be written to {folder}, where "
                f"{free:.0f} MiB are free. Make room and start again: training "
                f"resumes from the previous checkpoint. ({error})"
            ) from error
        finally:
            self.checkpoints_dir = folder
        if finished:
            logger.log(verbosity, "Saved the checkpoint %s", finished.path)
        distributed.ddp_barrier()  # all processes see it under its final name
        return finished

    def recover_if_possible(self, *args, **kwargs):
        """Loads a checkpoint, if any, after renaming those that are damaged."""
        distributed.run_on_main(self._set_aside_damaged)
        return super().recover_if_possible(*args, **kwargs)

    def load_checkpoint(self, checkpoint):
        """Loads a checkpoint, or raises a ValueError if it does not fit."""
        try:
            super().load_checkpoint(checkpoint)
        except RuntimeError as error:
            raise ValueError(
                f"The checkpoint {checkpoint.path} does not fit this model. "
                "Use the sizes it was saved with, or give another "
                f"--output_folder. ({error})"
            ) from error

    def _set_aside_damaged(self):
        """Renames the checkpoints of which a file is missing or has changed."""
        for folder in sorted(self.checkpoints_dir.glob(f"{CKPT_PREFIX}*")):
            if damaged := _damaged_files(folder):
                aside = folder.with_name(DAMAGED + folder.name)
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
                logger.warning(
                    "The checkpoint %s is damaged or incomplete (%s). It is "
                    "renamed to %s, and training resumes from the previous.",
                    folder,
                    ", ".join(damaged),
                    aside.name,
                )


def _finish(unfinished, folder):
    """Adds checksums to a checkpoint and moves it to a folder."""
    sums = {file.name: file_sha256(file) for file in unfinished.path.iterdir()}
    write_json(unfinished.path / CHECKSUMS, sums)
    path = folder / unfinished.path.name
    shutil.rmtree(path, ignore_errors=True)  # another of the same name
    unfinished.path.rename(path)
    unfinished.path.parent.rmdir()
    files = {k: path / v.name for k, v in unfinished.paramfiles.items()}
    return unfinished._replace(path=path, paramfiles=files)


def _damaged_files(folder):
    """Names of a checkpoint's files that are missing or have changed."""
    # A kill may have interrupted the deletion of a checkpoint after any file.
    try:
        meta = (folder / METAFNAME).read_text("utf-8", "replace")
    except OSError:
        return [METAFNAME]
    if not (folder / CHECKSUMS).is_file():
        if CHECKSUMS in meta:
            return [CHECKSUMS]
        logger.warning_once(
            "Checkpoints in %s without %s, as SpeechBrain's Checkpointer saves "
            "them, cannot be verified.",
            folder.parent,
            CHECKSUMS,
        )
        return []
    try:
        sums = json.loads((folder / CHECKSUMS).read_text("utf-8"))
        return [
            name
            for name, checksum in sums.items()
            if not (folder / name).is_file()
            or file_sha256(folder / name) != checksum
        ]
    except (OSError, ValueError, AttributeError):
        return [CHECKSUMS]


def average_best(checkpointer, names, max_key, max_num):
    """Loads modules, by name, as averages of the best ``max_num`` checkpoints.

    Returns these, the one with the highest ``max_key`` first.
    """
    found = checkpointer.find_checkpoints(
        max_key=max_key, max_num_checkpoints=max_num
    )
    if not found:
        raise FileNotFoundError(
            f"No checkpoint in {checkpointer.checkpoints_dir} has a validation "
            f"{max_key}: train first, without --test_only."
        )
    for name in names:
        average = average_checkpoints(found, name)
        checkpointer.recoverables[name].load_state_dict(average)
    return found
