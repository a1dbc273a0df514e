"""Checkpoints that are complete or absent, even after a kill.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import shutil

from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

UNFINISHED = "unfinished"


class AtomicCheckpointer(Checkpointer):
    """A ``Checkpointer`` that writes beside, then renames.

    A checkpoint of which a kill has deleted some files is ignored.
    """

    def save_checkpoint(
        self, meta={}, end_of_epoch=True, name=None, verbosity=logging.INFO
    ):
        """Saves a checkpoint; returns it on the main process."""
        folder = self.checkpoints_dir
        if if_main_process():
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
            if name is None:  # one that is free in the folder
                new = self._new_checkpoint_dirpath().name
                name = new.removeprefix(f"{CKPT_PREFIX}+")
        meta = {"files": len(self.recoverables), **meta}
        self.checkpoints_dir = folder / UNFINISHED
        try:
            checkpoint = super().save_checkpoint(
                meta, end_of_epoch, name, verbosity=logging.DEBUG
            )
        finally:
            self.checkpoints_dir = folder
        if checkpoint is not None:
            path = folder / checkpoint.path.name
            shutil.rmtree(path, ignore_errors=True)  # one of the same name
            checkpoint.path.rename(path)
            files = {k: path / v.name for k, v in checkpoint.paramfiles.items()}
            checkpoint = checkpoint._replace(path=path, paramfiles=files)
            logger.log(verbosity, "Saved the checkpoint %s", path)
        ddp_barrier()  # all processes see it under its final name
        return checkpoint

    def list_checkpoints(self):
        """Lists the checkpoints, without those of which files are missing."""
        return [
            checkpoint
            for checkpoint in super().list_checkpoints()
            if len(checkpoint.paramfiles) >= checkpoint.meta.get("files", 0)
        ]
