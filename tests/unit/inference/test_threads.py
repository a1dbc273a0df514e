"""Tests of the number of torch's threads, and of processes and threads.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys

import pytest
import torch

from speechbrain_fftp.inference import AudioTagger, threads

WAVS = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def seen(tagger, method="tag_batch"):
    """The number of threads within a call of the encoder."""
    found = []
    encoder = tagger.engine.mods.embedding_model
    hook = encoder.register_forward_hook(
        lambda *_: found.append(torch.get_num_threads())
    )
    getattr(tagger, method)(WAVS)
    hook.remove()
    return found


@pytest.mark.parametrize("method", ["tag_batch", "encode_batch"])
def test_small_work_uses_one_thread(exported, two_threads, method, monkeypatch):
    tagger = AudioTagger.from_pretrained(exported[1])
    assert seen(tagger, method) == [1]
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(threads, "MIN_WORK", 0)
    assert seen(tagger, method) == [2]
    assert torch.get_num_threads() == 2


def test_an_explicit_number_is_used(exported, two_threads):
    for number in (1, 2, 3):
        tagger = AudioTagger.from_pretrained(exported[1], threads=number)
        assert seen(tagger) == [number]
        assert torch.get_num_threads() == 2
    tagger = AudioTagger.from_hparams(str(exported[1]), threads=3)
    assert seen(tagger) == [3]
    with pytest.raises(ValueError, match="threads=0"):
        AudioTagger.from_pretrained(exported[1], threads=0)


def test_the_number_is_restored_after_an_error(exported, two_threads):
    tagger = AudioTagger.from_pretrained(exported[1])
    with pytest.raises(RuntimeError):
        tagger.tag_batch(WAVS, torch.ones(3))
    assert torch.get_num_threads() == 2


FORK = """
import multiprocessing, sys, warnings
import torch
from speechbrain_fftp.inference import AudioTagger, threads

warnings.simplefilter("ignore")
torch.set_num_threads(2)
threads.MIN_WORK = 0  # two threads in this process
tagger = AudioTagger.from_pretrained(sys.argv[1])
torch.rand(500, 500) @ torch.rand(500, 500)
expected = tagger.tag_file(sys.argv[2])

def child():
    assert tagger.tag_file(sys.argv[2])[0].label == expected[0].label
    [row] = tagger.tag_files([sys.argv[2]])
    assert row.tags[0].label == expected[0].label

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(40)
code = process.exitcode
process.kill()
sys.exit(code if code is not None else "the child hangs")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_tags(exported, tmp_path):
    import soundfile as sf

    path = tmp_path / "clip.wav"
    sf.write(path, WAVS.flatten().repeat(12).numpy(), 16000)
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(exported[1]), str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
