"""Checkpoints that are complete or absent.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain.utils.checkpoints import METAFNAME, Checkpointer
from speechbrain.utils.distributed import ddp_barrier


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
        checkpoint = super().save_checkpoint(*args, **kwargs)
        if checkpoint is not None:
            meta = checkpoint.path / METAFNAME
            if not meta.exists():  # a repaired SpeechBrain has renamed it
                meta.with_suffix(".unfinished").rename(meta)
        # Until all processes list the same checkpoints: with different ones to
        # delete, they would wait for each other forever
        ddp_barrier()
        return checkpoint
