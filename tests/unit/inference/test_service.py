"""Tests of one tagger in a service: threads, memory, copies and processes.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import pickle
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import make_tagger

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding

LABELS = ["Speech", "Bark, dog", "Siren", "Music", "Rain"]
SECONDS = (0.2, 0.7, 1.3, 1.9, 3.0)  # clips of up to 1.3 s are not cut


def random_tagger(model=AST, stride=6):
    """A tagger with random weights; an AST has 422 tokens for 1.3 s."""
    torch.manual_seed(0)
    sizes = {"embed_dim": 24, "depth": 2, "max_frames": 128}
    if model is AST:
        sizes.update(num_heads=2)
        sizes["embedding"] = SquarePatchEmbedding(
            128, 24, max(8, stride), stride
        )
    encoder = model(**sizes)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return make_tagger(encoder, labels=LABELS)


@pytest.fixture
def clips(tmp_path):
    """Files of different lengths, by path, and their samples."""
    found = {}
    for number, seconds in enumerate(SECONDS):
        wav = np.random.default_rng(number).normal(0, 0.1, int(16000 * seconds))
        wav *= np.linspace(0.1, 1.0, len(wav))  # windows differ
        sf.write(tmp_path / f"{number}.wav", wav, 16000, subtype="FLOAT")
        found[str(tmp_path / f"{number}.wav")] = wav.astype(np.float32)
    return found


def work(tagger, clips):
    """Functions, each of which returns numbers, for all kinds of calls."""
    every = {"top_k": len(LABELS)}

    def flat(rows):
        return [x for row in rows for x in row.to_dict().values()]

    def files(paths):
        rows = tagger.tag_files(paths, **every, num_workers=2)
        return [x for row in rows for x in flat(row.tags)]

    jobs = [lambda: files(list(clips)), lambda: files(list(clips)[::-1])]
    for path, wav in clips.items():
        jobs += [
            lambda p=path: flat(tagger.tag_file(p, **every)),
            lambda w=wav: flat(tagger.tag(w, 16000, **every)),
            lambda p=path: flat(tagger.tag_long(p, 0.5, 0.1, 0.5)),
            lambda p=path: tagger.embed_file(p).tolist(),
        ]
    return jobs


def assert_same(found, expected):
    assert len(found) == len(expected)
    for new, old in zip(found, expected):
        assert new == (
            old if isinstance(old, str) else pytest.approx(old, abs=1e-6)
        )


@pytest.mark.parametrize("model", [AST, AuM])
def test_threads_get_the_results_of_one(model, clips):
    tagger = random_tagger(model)
    expected = [job() for job in work(tagger, clips)]
    assert len({str(x) for x in expected}) > len(SECONDS) + 2  # clips differ
    jobs = list(enumerate(work(tagger, clips)))
    start = threading.Barrier(4)

    def call(seed):
        order = random.Random(seed).sample(jobs, len(jobs))
        start.wait(60)
        return [(number, job()) for number, job in order]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(call, range(4)))
    finally:
        sys.setswitchinterval(interval)
    for number, found in (pair for rows in results for pair in rows):
        assert_same(found, expected[number])


@pytest.mark.parametrize(
    "make_copy",
    [copy.deepcopy, lambda tagger: pickle.loads(pickle.dumps(tagger))],
    ids=["deepcopy", "pickle"],
)
def test_copies_are_equal_and_independent(make_copy, clips):
    tagger = random_tagger()
    path, *_ = clips
    expected = tagger.tag_file(path)
    twin = make_copy(tagger)
    assert twin.labels == LABELS and twin.tag_file(path) == expected
    with torch.no_grad():
        twin.engine.mods.classifier.bias += 1.0
    assert twin.tag_file(path) != expected == tagger.tag_file(path)
    assert twin.engine.tagger.classifier is twin.engine.mods.classifier
