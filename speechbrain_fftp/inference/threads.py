"""How many of torch's CPU threads a call of a model uses.

Torch's threads wait for each other after every operation. While another process
needs a core, that takes far longer than the operations of a small model.

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


class CallThreads:
    """Chooses the number of torch's CPU threads for each call of a model.

    Work is estimated as parameters times tokens; for less than ``MIN_WORK`` on
    a CPU it is one, or else torch's own number. A process that was forked after
    loading always uses one thread, because more would wait forever. A copy that
    was pickled may use more in any other process.

    Arguments
    ---------
    threads : int, optional
        The number for all calls.
    encoder : torch.nn.Module
        The encoder of the model.
    max_frames, max_samples : int
        The maximum clip length in frames and samples.
    """

    def __init__(self, threads, encoder, max_frames, max_samples):
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads} must be positive.")
        self.threads = threads
        self.process = os.getpid()
        weights = list(encoder.parameters())
        embedding = getattr(encoder, "embedding", None)
        tokens = max_frames
        if embedding is not None:
            tokens = embedding.num_patches(max_frames)
        macs = sum(weight.numel() for weight in weights) * tokens
        self.macs_per_sample = macs / max_samples
        self.on_cpu = all(weight.device.type == "cpu" for weight in weights)

    def __setstate__(self, state):
        self.__dict__.update(state, process=PROCESS)

    @contextlib.contextmanager
    def set(self, wavs):
        """Sets the calling thread's number for its waveforms, in a block.

        Threads that use torch for the first time meanwhile start with it, too.
        """
        before = torch.get_num_threads()
        macs = wavs.numel() * self.macs_per_sample
        number = self.threads or before
        if self.threads is None and self.on_cpu and macs < MIN_WORK:
            number = 1
        if os.getpid() != self.process:
            number = 1
        with use_threads(number):
            yield


@contextlib.contextmanager
def use_threads(number):
    """Sets the number of torch's CPU threads in a block."""
    before = torch.get_num_threads()
    if number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
