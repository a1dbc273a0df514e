"""Checkpoints that are complete or absent, and do not stop the training.

Authors
 * The speechbrain_fftp authors 2026
"""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils._pytree import tree_map_only

from speechbrain.utils.checkpoints import METAFNAME, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, main_process_only

# Recoverables whose state takes seconds to write: a gigabyte for a base model
LARGE = ("embedding_model", "classifier", "optimizer")


class AtomicCheckpointer(Checkpointer):
    """A ``Checkpointer`` that writes ``CKPT.yaml`` last, and in the background.

    SpeechBrain's ``Checkpointer`` writes it first, and loads any folder that
    has it, even if the process was killed before the other files were complete.

    Training goes on while copies of the large recoverables are written. A
    checkpoint that is being written is not listed yet. An error of writing is
    raised when the next checkpoint is saved, or any is loaded.
    """

    def __init__(self, checkpoints_dir, recoverables=None):
        super().__init__(
            checkpoints_dir,
            recoverables,
            custom_save_hooks=dict.fromkeys(LARGE, self._copy),
        )
        self._copies = []
        self._writer = ThreadPoolExecutor(1)
        self._writing = None

    def _save_checkpoint_metafile(self, fpath, *args, **kwargs):
        unfinished = fpath.with_suffix(".unfinished")
        return super()._save_checkpoint_metafile(unfinished, *args, **kwargs)

    @main_process_only
    def _copy(self, recoverable, path):
        """Copies a state to be written to a path; a hook for saving."""
        state = tree_map_only(
            torch.Tensor,
            lambda tensor: tensor.to("cpu", copy=True),
            recoverable.state_dict(),
        )
        self._copies.append((state, path))

    def save_checkpoint(self, *args, **kwargs):
        """Saves a checkpoint; returns it on the main process."""
        self.wait()
        self._copies = []
        checkpoint = super().save_checkpoint(*args, **kwargs)
        if checkpoint is not None:
            self._writing = self._writer.submit(
                _write, self._copies, checkpoint.path / METAFNAME
            )
        return checkpoint

    def wait(self):
        """Waits until the last checkpoint is written, in all processes."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        ddp_barrier()  # all processes list the same checkpoints

    def recover_if_possible(self, *args, **kwargs):
        """Loads a checkpoint, if there is any; see ``Checkpointer``."""
        self.wait()
        return super().recover_if_possible(*args, **kwargs)


def _write(copies, meta):
    """Writes states to their paths, and last the table of the checkpoint."""
    for state, path in copies:
        torch.save(state, path)
    meta.with_suffix(".unfinished").rename(meta)
