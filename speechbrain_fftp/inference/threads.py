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


class CallThreads:
    """Chooses the number of torch's CPU threads for each call of a model.

    Work is estimated as parameters times tokens. A process that was forked
    after loading always uses one thread, because more would wait forever. A copy
    that was pickled may use more in any other process.

    Arguments
    ---------
    threads : int, optional
        Number of threads. By default, one on a CPU for less work than
        ``MIN_WORK``, else torch's own number.
    encoder, max_frames, sample_rate : torch.nn.Module, int, int
        The encoder, its maximum clip length in frames of about 10 ms, and the
        sampling rate in Hz.

    Raises
    ------
    ValueError
        If ``threads`` is not positive.

    Example
    -------
    >>> threads = CallThreads(1, torch.nn.Identity(), 1024, 16000)
    >>> with threads.set(torch.zeros(1, 16000)):
    ...     torch.get_num_threads()
    1
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
        """Sets the number of threads in a ``with`` block.

        It is a setting of the calling thread. Other threads keep theirs; those
        that use torch for the first time meanwhile start with this number.

        Arguments
        ---------
        wavs : torch.Tensor
            The waveforms of the call.
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
