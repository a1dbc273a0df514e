"""How many CPU threads a call of a torch model uses.

Torch's own threads wait for each other after every operation. While another
process needs a core, that takes far longer than the operations of a small model.
Threads that compute a clip each do not wait.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

# Multiply-accumulates of a batch for each thread that computes a part of it, and
# those from which torch's own threads compute a clip: an AST of 12 layers of 192
# has 2**30 for 10 s at 200 tokens, one of 768 has 2**34
MIN_PART = 2**29
MIN_CLIP = 2**34
PROCESS = os.getpid()  # that of the parent in one that was forked since


class CallThreads:
    """Chooses the number of CPU threads for each call of a model.

    Work is estimated as parameters times tokens. A process that was forked
    after loading always uses one thread, because more would wait forever. A
    copy that was pickled may use more in any other process.

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
        weights = list(encoder.parameters())
        embedding = getattr(encoder, "embedding", None)
        tokens = max_frames
        if embedding is not None:
            tokens = embedding.num_patches(max_frames)
        macs = sum(weight.numel() for weight in weights) * tokens
        self.macs_per_sample = macs / max_samples
        self.on_cpu = all(weight.device.type == "cpu" for weight in weights)
        self.start(os.getpid())

    def start(self, process):
        """Makes what a process cannot pass on to another one."""
        self.process = process
        # More calls at a time would mostly wait for Python's lock
        self.cores = threading.Semaphore(os.cpu_count())
        self.pool = ThreadPoolExecutor(os.cpu_count())

    def __getstate__(self):
        of_process = ("process", "cores", "pool")
        items = self.__dict__.items()
        return {name: item for name, item in items if name not in of_process}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.start(PROCESS)

    @property
    def is_forked(self):
        """Whether this process was forked after the model was loaded."""
        return os.getpid() != self.process

    def macs(self, wavs):
        """The multiply-accumulates for waveforms, estimated."""
        return wavs.numel() * self.macs_per_sample

    def torch_threads(self, wavs):
        """The number of torch's own threads for waveforms."""
        if self.is_forked:
            return 1
        if self.threads is not None:
            return self.threads
        if self.on_cpu and self.macs(wavs) < MIN_CLIP:
            return 1
        return torch.get_num_threads()

    def number_of_parts(self, wavs):
        """The number of parts of a batch that are computed at a time."""
        if self.is_forked or not self.on_cpu:
            return 1
        number = self.threads
        if number is None:
            number = math.ceil(self.macs(wavs) / MIN_PART)
            number = min(number, torch.get_num_threads())
        return max(min(number, len(wavs)), 1)

    def run(self, function, wavs, wav_lens=None):
        """Calls a function of waveforms and their lengths, or None.

        On a CPU, a batch is cut into parts, each of which is computed by a
        thread of its own.

        Returns
        -------
        list
            The result of each part.
        """
        wavs = torch.atleast_2d(wavs)
        n_parts = self.number_of_parts(wavs)
        if n_parts == 1:
            with self.turn(), use_threads(self.torch_threads(wavs)):
                return [function(wavs, wav_lens)]

        def run_part(wavs, wav_lens):
            """Computes a part of the batch."""
            with use_threads(1):
                return function(wavs, wav_lens)

        parts = wavs.tensor_split(n_parts)
        lens = [None] * n_parts
        if wav_lens is not None:
            lens = wav_lens.split([len(part) for part in parts])
        return list(self.pool.map(run_part, parts, lens))

    def turn(self):
        """Waits for a core, except in a process that cannot."""
        return contextlib.nullcontext() if self.is_forked else self.cores


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
