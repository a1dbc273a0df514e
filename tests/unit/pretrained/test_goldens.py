"""Published models equal their reference implementations.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.pretrained import load_ast, load_aum
from speechbrain_fftp.pretrained.convert import convert_checkpoint

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

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
CED_CLIPS = ("full", "ten", "short", "over", "long")
FROM_WAVEFORMS = {
    "ast_pipeline/ast_a": ("full",),
    "ced/ced_a": CED_CLIPS,
    "ced/ced_b": CED_CLIPS,
    "atst/atst_a.pt": ("full", "short"),
    "atst/atst_b.pt": ("full", "short"),
    "dasheng/dasheng_a.pt": ("full", "short", "long"),
    "dasheng/dasheng_b": ("full", "short", "long"),
}
SLOW = ("ced/ced_a", "atst/atst_b.pt", "dasheng/dasheng_b")


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


def expected_outputs(golden, clip):
    """The reference's outputs for a clip, as those of a model.onnx."""
    arrays = {
        name.removeprefix(f"{clip}_"): golden[name]
        for name in golden
        if name.startswith(f"{clip}_")
    }
    expected = {}
    if "probs" in arrays:
        expected["probabilities"] = arrays["probs"]
    elif "logits" in arrays:  # of time steps, whose highest is the clip's
        steps = 1 / (1 + np.exp(-arrays["logits"]))
        expected["frame_probabilities"] = steps
        expected["probabilities"] = steps.max(0)
    if "embedding" in arrays:
        expected["embeddings"] = arrays["embedding"]
    if "tokens" in arrays:
        expected["tokens"] = arrays["tokens"]
    return expected


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in FROM_WAVEFORMS
    ],
)
def test_outputs_for_waveforms(shared, tmp_path, name):
    """Alone, and in one batch beside a louder clip, padded with noise."""
    source = shared / "fixtures" / name
    golden = np.load(source.with_name(source.stem + "_io.npz"))
    path = convert_checkpoint(source, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path)
    wavs = {
        clip: golden["wav"][slice(*golden[f"{clip}_at"])] / np.float32(32768)
        for clip in FROM_WAVEFORMS[name]
    }
    size = max(map(len, wavs.values())) + 4000
    rng = np.random.default_rng(0)
    batch = 5 * rng.standard_normal((len(wavs) + 1, size), dtype=np.float32)
    lens = np.ones(len(batch), np.float32)
    for number, wav in enumerate(wavs.values()):
        batch[number, : len(wav)] = wav
        lens[number] = len(wav) / size
    for number, (clip, wav) in enumerate(wavs.items()):
        expected = expected_outputs(golden, clip)
        assert expected
        alone = {"wavs": wav[None], "wav_lens": np.ones(1, np.float32)}
        together = {"wavs": batch, "wav_lens": lens}
        for inputs, row in ((alone, 0), (together, number)):
            found = session.run(list(expected), inputs)
            for output, array in zip(found, expected.values()):
                limit = 1e-4 * max(np.abs(array).max(), 1)
                rows = (
                    output[row]
                    if array.ndim == 1
                    else output[row][: len(array)]
                )
                np.testing.assert_allclose(rows, array, rtol=0, atol=limit)
