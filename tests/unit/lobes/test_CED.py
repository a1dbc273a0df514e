"""Tests of CED.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.features import DatasetNormalization, MelDecibels
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.pretrained import load_ced

CLIPS = ("full", "ten", "short", "over", "long")


def make_encoder(max_frames=84, **kwargs):
    """An encoder whose weights and statistics are not small."""
    torch.manual_seed(3)
    encoder = CED(32, 24, 2, 3, max_frames=max_frames, **kwargs).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    encoder.bin_norm.weight.data += 1.0
    torch.nn.init.normal_(encoder.bin_norm.running_mean)
    torch.nn.init.uniform_(encoder.bin_norm.running_var, 0.5, 2.0)
    return encoder


@pytest.fixture(scope="module", params=["ced_a", "ced_b"])
def golden(request, shared):
    """A reference model, its clips, logits, probabilities and features."""
    folder = shared / "fixtures" / "ced"
    io = np.load(folder / f"{request.param}_io.npz")
    wav = torch.from_numpy(io["wav"] / np.float32(32768))
    clips = {name: wav[slice(*io[f"{name}_at"])] for name in (*CLIPS, "twice")}
    encoder, classifier = load_ced(folder / request.param)
    front_end = MelDecibels(), DatasetNormalization(0.0, 0.5)
    return Tagger(*front_end, encoder, classifier).eval(), clips, io


@pytest.mark.parametrize("name", CLIPS)
@torch.no_grad()
def test_pipeline_equals_the_reference(golden, name):
    tagger, clips, io = golden
    logits = tagger(clips[name][None])[0].numpy()
    np.testing.assert_allclose(logits, io[f"{name}_logits"], rtol=0, atol=1e-4)
    probs = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(probs, io[f"{name}_probs"], rtol=0, atol=1e-4)


@torch.no_grad()
def test_mixed_batch_equals_the_reference(golden):
    tagger, clips, io = golden
    size = 400_000
    wavs = torch.randn(len(CLIPS) + 1, size)  # the last one is loud noise
    for wav, name in zip(wavs, CLIPS):
        wav[: len(clips[name])] = clips[name]
    lens = torch.tensor([*(len(clips[name]) for name in CLIPS), size]) / size
    found = tagger(wavs, lens)[:-1].numpy()
    expected = np.stack([io[f"{name}_logits"] for name in CLIPS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_no_chunk_is_lost(golden):
    """Unlike in the reference, where a clip of two chunks loses the last."""
    tagger, clips, io = golden
    wav = clips["twice"]
    feats, _ = tagger.features(wav[None])
    assert feats.shape[1] == 2 * 1012
    halves = tagger.embedding_model(feats.view(2, 1012, 64))
    halves = halves.mean(0, keepdim=True)
    logits = tagger(wav[None])
    torch.testing.assert_close(
        logits, tagger.classify(halves), rtol=0, atol=1e-4
    )
    assert (logits[0] - torch.from_numpy(io["twice_logits"])).abs().max() > 0.1


@torch.no_grad()
def test_long_clips_are_the_mean_of_chunks_filled_with_zeros():
    encoder = make_encoder()
    norm = encoder.bin_norm
    zero = norm.running_mean - norm.bias / norm.weight * torch.sqrt(
        norm.running_var + norm.eps
    )
    for frames in (85, 168, 169, 233):
        feats = torch.randn(2, frames, 32)
        missing = -frames % 84
        filled = torch.cat([feats, zero.expand(2, missing, 32)], 1)
        chunks = [encoder(chunk) for chunk in filled.split(84, 1)]
        expected = torch.stack(chunks).mean(0)
        torch.testing.assert_close(encoder(feats), expected, rtol=0, atol=1e-4)
