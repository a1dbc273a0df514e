"""Checkpoints that survive a kill, and with them the random draws.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import random
import shutil

import numpy as np
import torch

from speechbrain.utils import checkpoints
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


class AtomicCheckpointer(checkpoints.Checkpointer):
    """A ``Checkpointer`` whose checkpoints are whole or absent.

    A checkpoint is written to a folder of another name and renamed when it is
    complete, so that a process killed while it writes leaves the checkpoint
    before as the newest. What such a kill leaves behind is removed at the next
    save.

    Arguments
    ---------
    *args : tuple
        Arguments of ``Checkpointer``.
    **kwargs : dict
        Arguments of ``Checkpointer``.

    Example
    -------
    >>> model = torch.nn.Linear(1, 1)
    >>> tempdir = getfixture("tmpdir")
    >>> checkpointer = AtomicCheckpointer(tempdir, {"model": model})
    >>> checkpoint = checkpointer.save_checkpoint()
    >>> checkpointer.find_checkpoint().path == checkpoint.path
    True
    """

    UNFINISHED = "unfinished+"

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
        """
        if if_main_process():
            for left in self.checkpoints_dir.glob(self.UNFINISHED + "*"):
                shutil.rmtree(left)
        unfinished = super().save_checkpoint(
            meta, end_of_epoch, name, verbosity=logging.DEBUG
        )
        finished = None
        if unfinished is not None:
            finished = self._finish(unfinished)
            logger.log(verbosity, "Saved the checkpoint %s", finished.path)
        ddp_barrier()  # all processes are to see it under its name
        return finished

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
        try:
            super().load_checkpoint(checkpoint)
        except RuntimeError as error:
            raise ValueError(
                f"The checkpoint {checkpoint.path} does not fit this model. "
                "Use the sizes it was made with, or give another "
                f"--output_folder. ({error})"
            ) from error

    def _finish(self, unfinished):
        """Gives a complete checkpoint the name by which it is found."""
        path = unfinished.path.with_name(
            unfinished.path.name[len(self.UNFINISHED) :]
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
        return path.with_name(self.UNFINISHED + path.name)

    def _custom_checkpoint_dirpath(self, name):
        path = super()._custom_checkpoint_dirpath(name)
        return path.with_name(self.UNFINISHED + path.name)


@checkpoints.register_checkpoint_hooks
class RandomState:
    """The states of all random generators, as a recoverable.

    With it in the checkpointer, a resumed training draws the same masks,
    mixtures and dropout as one that was never interrupted. (The order of the
    clips is kept by SpeechBrain's sampler and data loader.)

    Example
    -------
    >>> tempdir = getfixture("tmpdir")
    >>> state = {"random_state": RandomState()}
    >>> checkpointer = checkpoints.Checkpointer(tempdir, state)
    >>> checkpoint = checkpointer.save_checkpoint()
    >>> drawn = torch.rand(3)
    >>> checkpoint = checkpointer.recover_if_possible()
    >>> bool((drawn == torch.rand(3)).all())
    True
    """

    @checkpoints.mark_as_saver
    def save(self, path):
        """Saves the states of Python's, NumPy's and torch's generators.

        Arguments
        ---------
        path : str
            Where to save them.
        """
        name, keys, position, has_gauss, gauss = np.random.get_state()
        version, internal, next_gauss = random.getstate()
        state = {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "numpy": (name, keys.tolist(), position, has_gauss, gauss),
            "python": (version, internal, next_gauss),
        }
        torch.save(state, path)

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch=False):
        """Sets the generators to the states saved.

        Arguments
        ---------
        path : str
            Where they were saved.
        end_of_epoch : bool
            Not used: the states hold at any point.
        """
        del end_of_epoch
        state = torch.load(path, weights_only=True)
        torch.set_rng_state(state["torch"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        np.random.set_state(state["numpy"])
        random.setstate(state["python"])
