"""Tests of the counts of multiply-accumulates.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.utils.complexity import count_macs

# Patches, and GMACs that the paper states: arXiv 2508.21243. The defaults are 16
# bins and frames every 10 of AST, and the paper's 25 frames every 5.
PAPER = [
    (SquarePatchEmbedding, (), 1024, 1212, 103.35),
    (FFTPEmbedding, (10, 1), 1000, 991, 85.32),
    (FFTPEmbedding, (), 1000, 196, 17.30),
    (FFTPEmbedding, (50, 10), 1000, 96, 8.8),
]


@pytest.mark.parametrize("kind, sizes, frames, patches, gmacs", PAPER)
def test_counts_of_the_paper(kind, sizes, frames, patches, gmacs):
    with torch.device("meta"):
        embedding = kind(128, 768, *sizes)
        encoder = AST(embedding=embedding).eval()
        macs = count_macs(encoder, torch.zeros(1, frames, 128))
    assert embedding.num_patches(frames) == patches
    tokens = patches + 2
    patch = embedding.proj.weight.numel() * patches
    assert macs.linear_conv == patch + tokens * 12 * 12 * 768**2
    assert macs.linear_conv / 1e9 == pytest.approx(gmacs, abs=0.02)
    assert macs.total - macs.linear_conv == 12 * 2 * tokens**2 * 768
    assert (encoder.num_heads, encoder.max_frames) == (12, 1024)
    assert encoder.pooling == "cls"


# Patches, millions of parameters and GMACs of AuM-base, as in docs/paper.md
AUM = [
    (SquarePatchEmbedding, (16, 10), 1024, 92.2, 109.17),
    (SquarePatchEmbedding, (16, 16), 1024, 91.7, 46.17),
    (FFTPEmbedding, (10, 1), 1000, 92.9, 90.06),
    (FFTPEmbedding, (25, 5), 1000, 93.7, 18.17),
    (FFTPEmbedding, (50, 10), 1000, 96.1, 9.18),
]


@pytest.mark.parametrize("kind, sizes, frames, millions, gmacs", AUM)
def test_sizes_of_audio_mamba(kind, sizes, frames, millions, gmacs):
    with torch.device("meta"):
        encoder = AuM(embedding=kind(128, 768, *sizes), max_frames=frames)
    count = sum(weights.numel() for weights in encoder.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)
    embedding = kind(128, 768, *sizes)
    patches = embedding.proj.weight.numel() * embedding.num_patches(frames)
    block = AuM(depth=1, embedding=embedding).eval()
    with torch.inference_mode():
        macs = count_macs(block, torch.zeros(1, frames, 128)).linear_conv
    macs = patches + 24 * (macs - patches)  # of 24 equal blocks
    assert macs / 1e9 == pytest.approx(gmacs, abs=0.005)


def test_masked_attention_on_a_cpu_counts_as_much():
    encoder = AST(embed_dim=48, depth=2, num_heads=3).eval()
    lengths = torch.tensor([1.0, 0.6])
    macs = count_macs(encoder, torch.zeros(2, 100, 128), lengths)
    tokens = 2 + encoder.embedding.num_patches(100)
    assert macs.total - macs.linear_conv == 2 * 2 * 2 * tokens**2 * 48


@pytest.mark.parametrize("form, scanned", [("fo-bi", 1), ("bi-bi", 2)])
def test_closed_form_of_audio_mamba(form, scanned):
    encoder = AuM(embed_dim=32, depth=3, bidirectional=form).eval()
    patches = 2 * encoder.embedding.num_patches(100)
    tokens = patches + 2
    # E = 32, D = 64, N = 16, a rank of 2 and a kernel of 4
    projections = 32 * 128 + 64 * 32
    direction = 64 * 4 + 64 * (2 + 2 * 16) + 2 * 64
    expected = patches * 25 * 128 * 32
    expected += 3 * tokens * (projections + scanned * direction)
    with torch.inference_mode():
        macs = count_macs(encoder, torch.zeros(2, 100, 128))
    assert macs.linear_conv == expected
    assert macs.total == expected + 3 * tokens * 3 * 2 * 64 * 16
