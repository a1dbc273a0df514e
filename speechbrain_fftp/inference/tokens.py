"""What an encoder makes of recordings, computed once and kept in a file.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import hashlib
import json
import operator
import os
import zipfile
from typing import Callable

import numpy as np
from tqdm import tqdm

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.inference.config import describe_module
from speechbrain_fftp.inference.many_files import tag_many

CACHE = "tokens.npz"


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording to be encoded.

    Arguments
    ---------
    path, part : str
        The file, and what is taken of it: "" for all.
    read : callable
        Yields its ``Windows``.
    """

    path: str
    part: str
    read: Callable

    @property
    def name(self):
        """What messages call it."""
        return f"{self.path} {self.part}".rstrip()

    @property
    def key(self):
        """What the tokens depend on, besides the encoder."""
        state = os.stat(self.path)
        path = os.path.abspath(self.path)
        return f"{path}|{self.part}|{state.st_size}|{state.st_mtime_ns}"


class TokenEncoder:
    """Computes the tokens of recordings, each of them once.

    Arguments
    ---------
    engine : TorchEngine
    folder : str
        Where an earlier run has saved tokens, if it did.
    num_workers, progress : int, bool
        Threads that read, and whether to show a progress bar.
    """

    def __init__(self, engine, folder, num_workers=4, progress=False):
        self.engine = engine
        self.num_workers = num_workers
        self.progress = progress
        self.digest = encoder_digest(engine)
        self.known = read_tokens(folder, self.digest)
        self.tokens = {}  # by key, of the recordings that were asked for
        self.errors = {}  # by path, of those that cannot be read

    def encode(self, recordings):
        """The tokens ``[N, D]`` of each window of recordings.

        Returns
        -------
        list
            For each recording a list with those of its windows, or None if it
            cannot be read.
        """
        keys = []
        new = []
        for recording in recordings:
            if not os.path.isfile(recording.path):
                self.errors[recording.name] = "there is no such file"
                keys.append(None)
                continue
            key = recording.key
            keys.append(key)
            if key in self.known:
                self.tokens[key] = self.known[key]
            else:
                new.append(recording)
        files = tag_many(
            new,
            read=lambda recording: recording.read(),
            predict=self.encode_windows,
            num_workers=self.num_workers,
            combine=operator.add,
        )
        is_quiet = not self.progress
        for file in tqdm(files, total=len(new), unit="clip", disable=is_quiet):
            if file.error is not None:
                self.errors[file.path.name] = file.error
            else:
                self.tokens[file.path.key] = file.probs
        return [self.tokens.get(key) for key in keys]

    def encode_windows(self, wavs, wav_lens):
        """The tokens of each waveform, in a list, so that lists are joined."""
        return [[tokens] for tokens in self.engine.tokens(wavs, wav_lens)]

    def save(self, folder):
        """Writes the tokens of this run, and of which encoder they are."""
        windows = [x for clip in self.tokens.values() for x in clip]
        path = os.path.join(folder, CACHE)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                digest=self.digest,
                keys=json.dumps(list(self.tokens)),
                windows=[len(clip) for clip in self.tokens.values()],
                sizes=[len(x) for x in windows],
                tokens=np.concatenate(windows),
            )


def encoder_digest(engine):
    """A checksum of everything that tokens depend on besides the recording."""
    names = ("compute_features", "mean_var_norm", "embedding_model")
    config = [describe_module(engine.mods[name]) for name in names]
    digest = hashlib.sha256(json.dumps([config, engine.max_samples]).encode())
    for name, tensor in engine.mods.embedding_model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_tokens(folder, digest):
    """Reads what ``TokenEncoder.save`` wrote.

    Nothing of another encoder, or of a damaged file: it is computed again.
    """
    path = os.path.join(folder, CACHE)
    try:
        with np.load(path, allow_pickle=False) as found:
            if str(found["digest"]) != digest:
                return {}
            ends = np.cumsum(found["sizes"])[:-1]
            windows = iter(np.split(found["tokens"], ends))
            counts = found["windows"].tolist()
            keys = json.loads(str(found["keys"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    return {
        key: [next(windows) for _ in range(count)]
        for key, count in zip(keys, counts)
    }
