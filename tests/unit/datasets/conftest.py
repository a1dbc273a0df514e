"""What several tests of data share.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
from speechbrain_fftp.datasets.audioset.lists import Segment
from speechbrain_fftp.datasets.audioset.shards import make_index, write_shards


@pytest.fixture
def make_shards(tmp_path):
    """Function that writes clips of noise as shards; gives their index."""

    def make(labels, clips_per_shard, samples=800):
        """Takes the label of each clip, whose names are 0, 1 and so on."""
        rng = np.random.default_rng(0)
        names = sorted(set(labels))
        (tmp_path / "audio").mkdir()
        clips = []
        for i, label in enumerate(labels):
            noise = rng.uniform(-0.5, 0.5, samples)
            sf.write(tmp_path / "audio" / f"{i}.flac", noise, 16000)
            clips.append(Segment(str(i), 0.0, 10.0, (f"/m/{label}",)))
        files = {c.id: f"{tmp_path}/audio/{c.id}.flac" for c in clips}
        jobs = cut_jobs(clips, files, clips_per_shard)
        classes = {f"/m/{name}": name for name in names}
        records = write_shards(jobs, tmp_path, classes, 16000, 1)
        write_json(tmp_path / "train.json", make_index(records))
        return tmp_path / "train.json"

    return make


@pytest.fixture(scope="session")
def digest():
    """Function that gives a checksum of the names and contents of a folder."""

    def compute(folder):
        paths = sorted(p for p in folder.rglob("*") if p.is_file())
        content = [
            (p.relative_to(folder).as_posix(), p.read_bytes()) for p in paths
        ]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    return compute
