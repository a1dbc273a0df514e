"""What an encoder makes of recordings, for classes that are learned from it.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import operator
from typing import Callable

from tqdm import tqdm

from speechbrain_fftp.inference.many_files import tag_many


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording to be encoded.

    Arguments
    ---------
    name : str
        What messages call it: its path, and which part of it is taken.
    read : callable
        Yields its ``Windows``.
    """

    name: str
    read: Callable


class TokenEncoder:
    """Computes the tokens of recordings.

    Arguments
    ---------
    engine : TorchEngine
    num_workers, progress : int, bool
        Threads that read, and whether to show a progress bar.
    """

    def __init__(self, engine, num_workers=4, progress=False):
        self.engine = engine
        self.num_workers = num_workers
        self.progress = progress
        self.errors = {}  # by name, of recordings that cannot be read

    def encode(self, recordings):
        """The tokens ``[N, D]`` of each window of recordings.

        Returns
        -------
        list
            For each recording a list with those of its windows, or None if it
            cannot be read.
        """
        files = tag_many(
            recordings,
            read=lambda recording: recording.read(),
            predict=self.encode_windows,
            num_workers=self.num_workers,
            combine=operator.add,
        )
        tokens = []
        for file in tqdm(
            files,
            total=len(recordings),
            unit="clip",
            disable=not self.progress,
        ):
            tokens.append(file.probs if file.error is None else None)
            if file.error is not None:
                self.errors[file.path.name] = file.error
        return tokens

    def encode_windows(self, wavs, wav_lens):
        """The tokens of each waveform, in a list, so that lists are joined."""
        return [[tokens] for tokens in self.engine.tokens(wavs, wav_lens)]
