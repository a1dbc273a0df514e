"""Published models equal their reference implementations.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.onnx.export import num_samples
from speechbrain_fftp.onnx.wrapper import WaveformTagger
from speechbrain_fftp.pretrained import convert, load_ast, load_aum

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
# Clips of checkpoints that are not subject to the reference's padding
FROM_WAVEFORMS = {
    "ast_pipeline/ast_a": ("full",),
    "ced/ced_a": ("full", "short", "over", "long"),
    "ced/ced_b": ("full", "short", "over", "long"),
    "atst/atst_a.pt": ("full", "short"),
    "atst/atst_b.pt": ("full", "short"),
    "dasheng/dasheng_a.pt": ("full", "short", "long"),
    "dasheng/dasheng_b": ("full", "short", "long"),
}


@pytest.mark.parametrize("name", FROM_FEATURES)
@torch.no_grad()
def test_logits_of_features(shared, name):
    path = shared / "fixtures" / name
    load = load_ast if name.startswith("ast") else load_aum
    encoder, classifier = load(str(path))
    arrays = np.load(path.with_name(path.stem + "_io.npz"))
    assert encoder.max_frames == arrays["input"].shape[1]
    logits = classifier(encoder(torch.from_numpy(arrays["input"])))
    np.testing.assert_allclose(
        logits[:, 0], arrays["logits"], rtol=0, atol=FROM_FEATURES[name]
    )


@torch.no_grad()
def test_an_ast_of_transformers(tmp_path):
    """Without reference tensors: what any folder of the hub holds."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ASTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_length=128,
        num_labels=5,
    )
    torch.manual_seed(0)
    model = transformers.ASTForAudioClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(tmp_path)
    encoder, classifier = load_ast(tmp_path)
    feats = torch.randn(2, 128, 128)
    expected = model(feats).logits
    found = classifier(encoder(feats))[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def expected_outputs(golden, clip):
    """The reference's outputs for a clip, as those of a model.onnx."""
    expected = {
        "embeddings": golden.get(f"{clip}_embedding"),
        "tokens": golden.get(f"{clip}_tokens"),
    }
    logits = golden.get(f"{clip}_logits")
    if logits is not None:
        probs = 1 / (1 + np.exp(-logits))
        if probs.ndim == 2:  # of time patches, whose highest is the clip's
            expected["frame_probabilities"] = probs
            probs = probs.max(0)
        expected["probabilities"] = probs
    return {name: x for name, x in expected.items() if x is not None}


def pytorch_model(path, modules, labels, *, single_label, **options):
    """Stands for ``export_onnx``: the model whose outputs a file must have."""
    one_frame = num_samples(modules["compute_features"], 1)
    return WaveformTagger(
        modules, len(labels) > 0, single_label, one_frame
    ).eval()


@pytest.mark.parametrize("name", FROM_WAVEFORMS)
@torch.no_grad()
def test_outputs_for_waveforms(shared, monkeypatch, name):
    """Each in a batch beside a louder clip."""
    source = shared / "fixtures" / name
    golden = np.load(source.with_name(source.stem + "_io.npz"))
    monkeypatch.setattr(convert, "export_onnx", pytorch_model)
    model = convert.convert_checkpoint(source, None)
    rng = np.random.default_rng(0)
    for clip in FROM_WAVEFORMS[name]:
        wav = golden["wav"][slice(*golden[f"{clip}_at"])] / np.float32(32768)
        louder = 5 * rng.standard_normal(len(wav), dtype=np.float32)
        found = model(torch.from_numpy(np.stack([louder, wav])))
        found = dict(zip(model.output_names, found))
        for output, array in expected_outputs(golden, clip).items():
            limit = 1e-4 * max(np.abs(array).max(), 1)
            np.testing.assert_allclose(
                found[output][1], array, rtol=0, atol=limit
            )
