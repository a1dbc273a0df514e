"""Published models equal their reference implementations.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.pretrained import load_ast, load_aum
from speechbrain_fftp.pretrained.families import (
    build_modules,
    find_family,
    load_front_end,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint

# File and the largest difference of the logits, which are of order 1
FROM_FEATURES = {
    "ast/hf_tiny": 2e-6,
    "ast/hf_d128": 2e-6,
    "ast/hf_d64_t128": 2e-6,
    "ast/official_d128_module.pth": 2e-6,
    "ast/official_d64_t128.pth": 2e-6,
    "aum/fobi_t1024.pth": 1e-5,
    "aum/fobi_t128.pth": 1e-5,
    "aum/bibi_t1024.pth": 1e-5,
    "aum/bibi_t128.pth": 1e-5,
}
# The clips that are not subject to the reference's padding
FROM_WAVEFORMS = {
    "ast_pipeline/ast_a": ("full",),
    "ced/ced_a": ("full", "ten", "short", "over", "long"),
    "ced/ced_b": ("full", "ten", "short", "over", "long"),
}


@pytest.mark.parametrize("name", FROM_FEATURES)
@torch.no_grad()
def test_logits_of_features(shared, name):
    path = shared / "fixtures" / name
    load = load_ast if name.startswith("ast") else load_aum
    encoder, classifier = load(str(path))
    for module in (encoder, classifier):
        assert not any(part.training for part in module.modules())
        assert {p.dtype for p in module.parameters()} == {torch.float32}
    arrays = np.load(path.with_name(path.stem + "_io.npz"))
    assert encoder.max_frames == arrays["input"].shape[1]
    logits = classifier(encoder(torch.from_numpy(arrays["input"])))
    np.testing.assert_allclose(
        logits[:, 0], arrays["logits"], rtol=0, atol=FROM_FEATURES[name]
    )


@pytest.fixture
def load(shared):
    """Loads a model as a ``Tagger``, golden clips and all golden tensors."""

    def load_tagger(name, clips):
        path = shared / "fixtures" / name
        checkpoint = read_checkpoint(path)
        family = find_family(checkpoint)
        encoder, classifier = build_modules(family, checkpoint)
        front_end = load_front_end(family, encoder, checkpoint)
        tagger = Tagger(
            compute_features=front_end.compute_features,
            mean_var_norm=front_end.mean_var_norm,
            embedding_model=encoder,
            classifier=classifier,
        )
        golden = np.load(path.with_name(path.stem + "_io.npz"))
        wav = torch.from_numpy(golden["wav"] / np.float32(32768))
        wavs = {clip: wav[slice(*golden[f"{clip}_at"])] for clip in clips}
        return tagger, wavs, golden

    return load_tagger


def batch_of(wavs, size, loud):
    """Clips in one batch beside a louder one, padded with noise."""
    batch = loud * torch.randn(len(wavs) + 1, size)
    for row, wav in zip(batch, wavs):
        row[: len(wav)] = wav
    return batch, torch.tensor([*map(len, wavs), size]) / size


@pytest.mark.parametrize("name", FROM_WAVEFORMS)
@torch.no_grad()
def test_logits_of_waveforms(load, name):
    """Alone, and beside a loud and longer clip."""
    tagger, wavs, golden = load(name, FROM_WAVEFORMS[name])
    together = tagger(*batch_of(wavs.values(), 400_000, loud=1.0))
    for row, (clip, wav) in zip(together, wavs.items()):
        expected = golden[f"{clip}_logits"]
        for found in (row, tagger(wav[None])[0]):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["atst/atst_a.pt", "atst/atst_b.pt"])
@torch.no_grad()
def test_time_steps_of_atst(load, name):
    tagger, wavs, golden = load(name, ["full", "short"])
    batch, lens = batch_of(wavs.values(), 160_400, loud=20.0)
    together = tagger.embedding_model(*tagger.features(batch, lens))
    for row, (clip, wav) in zip(together, wavs.items()):
        feats, _ = tagger.features(wav[None])
        expected = golden[f"{clip}_features"].T
        np.testing.assert_allclose(feats[0], expected, rtol=0, atol=1e-4)
        expected = golden[f"{clip}_logits"]
        assert not row[len(expected) :].any()
        alone = tagger.embedding_model(feats)[0]
        for tokens in (alone, row[: len(expected)]):
            logits = tagger.classifier.layers(tokens)
            np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    expected = golden["short_tokens"]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["dasheng/dasheng_a.pt", "dasheng/dasheng_b"])
@torch.no_grad()
def test_embeddings_and_tokens_of_dasheng(load, name):
    tagger, wavs, golden = load(name, ["full", "short", "long"])
    size = max(map(len, wavs.values())) + 4000
    together = tagger(*batch_of(wavs.values(), size, loud=20.0))
    for row, (clip, wav) in zip(together, wavs.items()):
        expected = golden[f"{clip}_embedding"]
        limit = 1e-4 * np.abs(expected).max()
        for found in (row, tagger(wav[None])[0]):
            np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
    tagger.embedding_model.pooling = "tokens"
    for clip, wav in wavs.items():
        tokens = tagger.embedding_model(tagger.features(wav[None])[0])
        expected = golden[f"{clip}_tokens"]
        np.testing.assert_allclose(tokens[0], expected, rtol=0, atol=2e-4)
