"""Checkpoints that survive kills, damage and a wrong clock.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging
import shutil
import time

from speechbrain.utils import checkpoints
from speechbrain.utils.distributed import (
    ddp_barrier,
    if_main_process,
    run_on_main,
)
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import file_sha256, write_json

logger = get_logger(__name__)

CHECKSUMS = "checksums.json"
UNFINISHED = "unfinished+"
DAMAGED = "damaged+"


class AtomicCheckpointer(checkpoints.Checkpointer):
    """A ``Checkpointer`` whose checkpoints are whole or absent.

    A checkpoint is written to a folder of another name and renamed when it is
    complete, so that a process killed while it writes leaves the checkpoint
    before as the newest. What such a kill leaves behind is removed at the next
    save.

    Each checkpoint has checksums of its files. One that has been damaged since
    is set aside and named before anything is loaded, and the one before takes
    its place. The order of checkpoints is that in which they were saved, even
    if the clock was set back in between.

    Arguments
    ---------
    *args : tuple
        Arguments of ``Checkpointer``.
    **kwargs : dict
        Arguments of ``Checkpointer``.

    Example
    -------
    >>> from torch.nn import Linear
    >>> model = Linear(1, 1)
    >>> tempdir = getfixture("tmpdir")
    >>> checkpointer = AtomicCheckpointer(tempdir, {"model": model})
    >>> checkpoint = checkpointer.save_checkpoint()
    >>> checkpointer.find_checkpoint().path == checkpoint.path
    True
    """

    def save_checkpoint(
        self, meta={}, end_of_epoch=True, name=None, verbosity=logging.INFO
    ):
        """Saves a checkpoint.

        Arguments
        ---------
        meta : dict
            Entries of the checkpoint's meta file.
        end_of_epoch : bool
            Whether the checkpoint is at the end of an epoch.
        name : str, optional
            A name for the checkpoint; by default made from the time.
        verbosity : int
            Logging level.

        Returns
        -------
        Checkpoint or None
            The checkpoint, on the main process.

        Raises
        ------
        OSError
            If it cannot be written, such as on a full disk.
        """
        if if_main_process():
            for left in self.checkpoints_dir.glob(UNFINISHED + "*"):
                shutil.rmtree(left)
            newest = self.find_checkpoint()
            if newest is not None:
                after = newest.meta["unixtime"] + 1e-3
                meta = {"unixtime": max(time.time(), after), **meta}
        finished = None
        try:
            unfinished = super().save_checkpoint(
                meta, end_of_epoch, name, verbosity=logging.DEBUG
            )
            if unfinished is not None:
                finished = self._finish(unfinished)
        except (OSError, RuntimeError) as error:  # the latter from torch.save
            free = shutil.disk_usage(self.checkpoints_dir).free / 2**20
            raise OSError(
                f"A checkpoint cannot be written to {self.checkpoints_dir}, "
                f"where {free:.0f} MiB are free. Make room and start again: "
                f"training goes on from the checkpoint before. ({error})"
            ) from error
        if finished is not None:
            logger.log(verbosity, "Saved the checkpoint %s", finished.path)
        ddp_barrier()  # all processes are to see it under its name
        return finished

    def recover_if_possible(self, *args, **kwargs):
        """Loads a checkpoint after setting aside those that are damaged.

        Arguments
        ---------
        *args : tuple
            Arguments of ``Checkpointer.recover_if_possible``.
        **kwargs : dict
            Arguments of ``Checkpointer.recover_if_possible``.

        Returns
        -------
        Checkpoint or None
            What was loaded, None if there is no checkpoint.
        """
        run_on_main(self._set_aside_damaged)
        return super().recover_if_possible(*args, **kwargs)

    def load_checkpoint(self, checkpoint):
        """Loads a checkpoint, see ``Checkpointer.load_checkpoint``.

        Arguments
        ---------
        checkpoint : Checkpoint
            The checkpoint to load.

        Raises
        ------
        ValueError
            If it was made with other recoverables or sizes.
        """
        # Damaged ones are gone by now, see recover_if_possible.
        try:
            super().load_checkpoint(checkpoint)
        except RuntimeError as error:
            raise ValueError(
                f"The checkpoint {checkpoint.path} does not fit this model. "
                "Use the sizes it was made with, or give another "
                f"--output_folder. ({error})"
            ) from error

    def _set_aside_damaged(self):
        """Renames the checkpoints of which a file is not as it was saved."""
        folders = self.checkpoints_dir.glob(checkpoints.CKPT_PREFIX + "*")
        for folder in sorted(folders):
            damaged = _damaged_files(folder)
            if damaged:
                aside = folder.with_name(DAMAGED + folder.name)
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
                logger.warning(
                    "The checkpoint %s is damaged, or was half deleted (%s), "
                    "and set aside as %s: going back to the one before.",
                    folder,
                    ", ".join(damaged),
                    aside.name,
                )

    def _finish(self, unfinished):
        """Gives a complete checkpoint the name by which it is found."""
        sums = {f.name: file_sha256(f) for f in unfinished.path.iterdir()}
        write_json(unfinished.path / CHECKSUMS, sums)
        path = unfinished.path.with_name(
            unfinished.path.name[len(UNFINISHED) :]
        )
        shutil.rmtree(path, ignore_errors=True)  # another of that name
        unfinished.path.rename(path)
        files = {
            name: path / file.name
            for name, file in unfinished.paramfiles.items()
        }
        return checkpoints.Checkpoint(path, unfinished.meta, files)

    def _new_checkpoint_dirpath(self):
        path = super()._new_checkpoint_dirpath()
        return path.with_name(UNFINISHED + path.name)

    def _custom_checkpoint_dirpath(self, name):
        path = super()._custom_checkpoint_dirpath(name)
        return path.with_name(UNFINISHED + path.name)


def _damaged_files(folder):
    """Names of a checkpoint's files that are not as they were saved."""
    # Deletion may have been killed after any file, so all must be there.
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
