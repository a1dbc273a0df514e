"""Tests of threads and processes: results are those of one thread.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import RATE, make_tagger

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

WAVS = 0.1 * torch.randn(24, RATE, generator=torch.Generator().manual_seed(0))
LENS = np.array([1.0, 0.5, 0.7])


@pytest.fixture(params=["clips", "time steps"])
def tagger(request, exported):
    """A model of each kind."""
    if request.param == "clips":
        return AudioTagger.from_pretrained(exported[1])
    torch.manual_seed(0)
    encoder = ConvNeXt1d(
        40, 16, 1, FFTPEmbedding(40, 16, 10, 5), pooling="tokens"
    )
    return make_tagger(encoder, FrameClassifier(16, 3), max_frames=128)


@pytest.mark.parametrize("lens", [None, LENS])
def test_parts_of_a_batch_have_its_results(tagger, lens):
    """Parts of clips of different lengths have other numbers of steps."""
    engine = tagger.engine
    one, three = (
        TorchEngine(dict(engine.mods), vars(engine.hparams), threads=number)
        for number in (1, 3)
    )
    wavs = WAVS[:3].numpy()
    np.testing.assert_allclose(
        three.probabilities(wavs, lens),
        one.probabilities(wavs, lens),
        atol=1e-6,
    )
    for found, expected in zip(
        three.tokens(wavs, lens), one.tokens(wavs, lens), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_threads_that_share_a_tagger_get_the_results_of_one(tagger):
    expected = [tagger.tag(wav, RATE) for wav in WAVS]
    assert len({tags[0].probability for tags in expected}) > 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda wav: tagger.tag(wav, RATE), WAVS))
    assert found == expected


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
    path = tmp_path / "clip.wav"
    sf.write(path, WAVS.flatten().numpy(), RATE)
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(exported[1]), str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
