"""Tests of the number of torch's threads, and of processes and threads.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from speechbrain_fftp.inference import AudioTagger, threads

WAVS = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def seen(tagger, method="tag_batch", wavs=WAVS):
    """The clips and torch's threads in each call of the encoder, sorted."""
    found = []
    encoder = tagger.engine.mods.embedding_model
    hook = encoder.register_forward_hook(
        lambda module, inputs, output: found.append(
            (len(output), torch.get_num_threads())
        )
    )
    getattr(tagger, method)(wavs)
    hook.remove()
    return sorted(found)


@pytest.mark.parametrize("method", ["tag_batch", "encode_batch"])
def test_small_work_uses_one_thread(exported, two_threads, method):
    tagger = AudioTagger.from_pretrained(exported[1])
    assert seen(tagger, method) == [(2, 1)]
    assert torch.get_num_threads() == 2


def test_each_thread_computes_a_part_of_a_batch(
    exported, two_threads, monkeypatch
):
    monkeypatch.setattr(threads, "MIN_PART", 1)
    tagger = AudioTagger.from_pretrained(exported[1])
    assert seen(tagger) == [(1, 1), (1, 1)]
    assert seen(tagger, wavs=WAVS.repeat(2, 1)[:3]) == [(1, 1), (2, 1)]
    assert seen(tagger, wavs=WAVS[0]) == [(1, 1)]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("method", ["tag_batch", "encode_batch"])
def test_torch_threads_compute_a_long_clip(
    exported, two_threads, method, monkeypatch
):
    monkeypatch.setattr(threads, "MIN_CLIP", 1)
    tagger = AudioTagger.from_pretrained(exported[1])
    assert seen(tagger, method, WAVS[:1]) == [(1, 2)]
    assert torch.get_num_threads() == 2


def test_an_explicit_number_is_used(exported, two_threads):
    for number in (1, 2, 3):
        tagger = AudioTagger.from_pretrained(exported[1], threads=number)
        assert seen(tagger, wavs=WAVS[:1]) == [(1, number)]
        assert torch.get_num_threads() == 2
    assert seen(tagger) == [(1, 1), (1, 1)]
    tagger = AudioTagger.from_hparams(str(exported[1]), threads=3)
    assert seen(tagger, wavs=WAVS[:1]) == [(1, 3)]
    with pytest.raises(ValueError, match="threads=0"):
        AudioTagger.from_pretrained(exported[1], threads=0)


@pytest.mark.parametrize("lens", [None, np.array([1.0, 0.5, 0.7])])
def test_parts_have_the_results_of_the_batch(exported, lens):
    wavs = WAVS.repeat(2, 1)[:3].numpy()
    one, three = (
        AudioTagger.from_pretrained(exported[1], threads=number).engine
        for number in (1, 3)
    )
    expected = one.probabilities(wavs, lens)
    np.testing.assert_allclose(
        three.probabilities(wavs, lens), expected, atol=1e-6
    )
    np.testing.assert_allclose(
        three.embeddings(wavs), one.embeddings(wavs), atol=1e-5
    )


@pytest.mark.parametrize("number", [1, 2])
def test_the_number_is_restored_after_an_error(exported, two_threads, number):
    tagger = AudioTagger.from_pretrained(exported[1], threads=number)
    with pytest.raises(RuntimeError):
        tagger.tag_batch(WAVS, torch.ones(3))
    assert torch.get_num_threads() == 2


def test_no_more_calls_at_a_time_than_cores(exported, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    tagger = AudioTagger.from_pretrained(exported[1])
    encoder = tagger.engine.mods.embedding_model
    running, most = [], []

    def begin(module, inputs):
        running.append(inputs)
        most.append(len(running))
        time.sleep(0.01)  # the others may begin

    encoder.register_forward_pre_hook(begin)
    encoder.register_forward_hook(lambda *_: running.pop() and None)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(tagger.tag_batch, [WAVS] * 16))
    assert max(most) == 2
    for probs in results:
        assert torch.allclose(probs, results[0], atol=1e-6)


FORK = """
import multiprocessing, sys, warnings
import torch
from speechbrain_fftp.inference import AudioTagger, threads

warnings.simplefilter("ignore")
torch.set_num_threads(2)
threads.MIN_PART = threads.MIN_CLIP = 1  # two threads in this process
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
