"""Checkpoints that are complete or absent.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
from pickle import UnpicklingError

from fftp_tag.errors import InputError
from speechbrain.utils.checkpoints import METAFNAME, Checkpointer
from speechbrain.utils.distributed import ddp_barrier


def with_free_space(error, folder):
    """The first line of an error, with the free space of a folder's disk.

    The error of ``torch.save`` does not tell of a full disk.
    """
    free = shutil.disk_usage(folder).free / 1e9
    cause, *_ = str(error).splitlines() or [repr(error)]
    return f"{cause}; {free:.1f} GB are free"


class AtomicCheckpointer(Checkpointer):
    """A ``Checkpointer`` that writes ``CKPT.yaml`` last.

    SpeechBrain's ``Checkpointer`` writes it first, and loads any folder that
    has it, even if the process was killed before the other files were complete.
    A SpeechBrain in which this is repaired works as well.
    """

    def _save_checkpoint_metafile(self, fpath, *args, **kwargs):
        unfinished = fpath.with_suffix(".unfinished")
        return super()._save_checkpoint_metafile(unfinished, *args, **kwargs)

    def save_checkpoint(self, *args, **kwargs):
        """Saves a checkpoint; returns it on the main process."""
        try:
            checkpoint = super().save_checkpoint(*args, **kwargs)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch.save
            folder = self.checkpoints_dir
            raise InputError(
                f"{folder}: a checkpoint could not be saved "
                f"({with_free_space(error, folder)}). If the disk is full, free "
                "space and repeat the command: it resumes from the last checkpoint."
            ) from error
        if checkpoint is not None:
            meta = checkpoint.path / METAFNAME
            if not meta.exists():  # a repaired SpeechBrain has renamed it
                meta.with_suffix(".unfinished").rename(meta)
        # Until all processes list the same checkpoints: with different ones to
        # delete, they would wait for each other forever
        ddp_barrier()
        return checkpoint

    def load_checkpoint(self, checkpoint):
        """Loads a checkpoint; raises an InputError if it cannot be."""
        try:
            super().load_checkpoint(checkpoint)
        except (EOFError, RuntimeError, UnpicklingError) as error:
            raise InputError(
                f"{checkpoint.path} cannot be loaded: if it is damaged, delete "
                "it, and the training resumes from the checkpoint before."
            ) from error
