"""Published models equal their reference implementations.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.tagger import extract_features
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


@pytest.mark.parametrize("clip", ["full", "ten", "short"])
@torch.no_grad()
def test_an_ast_from_waveforms(shared, monkeypatch, clip):
    """Beside a louder clip; its front end is that of transformers.

    The reference pads clips to 1024 frames, and attends to the padding.
    """
    source = shared / "fixtures" / "ast_pipeline" / "ast_a"
    golden = np.load(source.with_name("ast_a_io.npz"))
    written = {}
    monkeypatch.setattr(
        convert,
        "export_onnx",
        lambda path, modules, labels, **options: written.update(modules),
    )
    convert.convert_checkpoint(source, None)
    if clip != "full":
        written["mean_var_norm"].pad_frames = 1024
        written["embedding_model"].mask_padding = False
    wav = golden["wav"][slice(*golden[f"{clip}_at"])] / np.float32(32768)
    rng = np.random.default_rng(0)
    n_louder = len(wav) if clip == "full" else 164000
    louder = 5 * rng.standard_normal(n_louder, dtype=np.float32)
    wavs = [torch.from_numpy(louder), torch.from_numpy(wav)]
    wavs = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    lengths = torch.tensor([1.0, len(wav) / n_louder])
    feats, lens = extract_features(written, wavs, lengths)
    logits = written["classifier"](written["embedding_model"](feats, lens))
    np.testing.assert_allclose(
        logits[1, 0], golden[f"{clip}_logits"], rtol=0, atol=1e-4
    )
