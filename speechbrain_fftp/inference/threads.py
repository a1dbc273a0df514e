"""The number of CPU threads for each call of a model.

PyTorch's threads wait for each other after every operation. While another
process needs a core, that takes far longer than the operations of a small
model themselves.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os

import torch

# Multiply-accumulates of a call from which more threads than one are used: an
# AST of 12 layers of 192 has a thousand million for 10 s at 200 tokens
MIN_WORK = 2**29
PROCESS = os.getpid()  # that of the parent in one that was forked since


class _CallThreads:
    """Chooses the number of torch's CPU threads for each call of a model.

    Work is estimated as parameters times tokens; for less than ``MIN_WORK`` on a
    CPU it is one, or else torch's own number. A process that was forked after
    loading always uses one thread, because more would wait forever. A copy that
    was pickled may use more in any other process.
    """

    def __init__(self, threads, encoder, max_frames, sample_rate):
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads} must be positive.")
        self.threads, self.process = threads, os.getpid()
        weights = list(encoder.parameters())
        embedding = getattr(encoder, "embedding", None)
        tokens = getattr(embedding, "num_patches", int)(max_frames)
        macs = sum(map(torch.numel, weights)) * tokens
        self.work = macs / (max_frames * sample_rate / 100)  # of one sample
        self.on_cpu = all(weight.device.type == "cpu" for weight in weights)

    def __setstate__(self, state):
        self.__dict__.update(state, process=PROCESS)

    @contextlib.contextmanager
    def set(self, wavs):
        """Sets the calling thread's number in a ``with`` block, for its waveforms.

        Threads that use torch for the first time meanwhile start with it, too.
        """
        before = torch.get_num_threads()
        small = self.on_cpu and wavs.numel() * self.work < MIN_WORK
        number = self.threads or (1 if small else before)
        if os.getpid() != self.process:
            number = 1
        if number == before:
            yield
            return
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
