"""What holds for each encoder with each kind of patches.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch
from small_encoders import KINDS, make_encoder

CASES = [
    *((kind, "FFTP") for kind in KINDS),
    *((kind, "square") for kind in KINDS if kind != "ConvNeXt1d"),
    ("ConvNeXt1d", "stem"),
]
# AuM scans in PyTorch on a CPU and in float64, and in Triton on a GPU
DEVICES = [
    ("cpu", torch.float64, 1e-7),
    pytest.param("cuda", torch.float64, 1e-7, marks=pytest.mark.gpu),
    pytest.param("cuda", torch.float32, 1e-3, marks=pytest.mark.gpu),
]


@pytest.mark.parametrize("device, dtype, limit", DEVICES)
@pytest.mark.parametrize("kind, patches", CASES)
@torch.backends.cudnn.flags(allow_tf32=False)
def test_clips_of_a_padded_batch_are_as_alone(
    kind, patches, device, dtype, limit
):
    """Their embeddings, and the gradients of all parameters, on a CPU."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    on_cpu = make_encoder(kind, patches).double()
    encoder = copy.deepcopy(on_cpu).to(device, dtype)
    # Longer than max_frames, and shorter than a patch
    clips = [torch.randn(n, 16).double() for n in (90, 60, 37, 10, 3)]
    batch = torch.nn.utils.rnn.pad_sequence(clips, True, torch.nan)
    batch = torch.nn.functional.pad(batch, (0, 0, 0, 30), value=torch.nan)
    lengths = torch.tensor([len(clip) for clip in clips]) / 120
    alone = torch.cat([on_cpu(clip[None]) for clip in clips])
    weights = torch.randn_like(alone)
    results = []
    for model, embeddings in (
        (encoder, encoder(batch.to(device, dtype), lengths)),
        (on_cpu, alone),
    ):
        loss = (embeddings * weights.to(embeddings)).sum()
        grads = torch.autograd.grad(loss, [*model.parameters()])
        results.append([x.cpu().double() for x in (embeddings, *grads)])
    for found, expected in zip(*results):
        assert (found - expected).abs().max() <= limit * expected.abs().max()
        assert expected.any()


@pytest.mark.parametrize("kind, patches", CASES)
@torch.no_grad()
def test_padding_that_is_not_masked_is_a_part_of_the_clip(kind, patches):
    encoder = make_encoder(kind, patches)
    feats, lengths = torch.randn(2, 60, 16), torch.tensor([1.0, 0.5])
    masked = encoder(feats, lengths)
    encoder.mask_padding = False
    found = encoder(feats, lengths)
    assert torch.equal(found, encoder(feats))
    assert (found[1] - masked[1]).abs().max() > 0.01
