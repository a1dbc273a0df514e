"""Tests of the counts of multiply-accumulates and memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import runpy
import sys

import pytest
import torch
from complexity import main

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.metrics.complexity import count_macs
from speechbrain_fftp.nnet.mamba import Mamba
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

# Patches, and GMACs that the paper states: arXiv 2508.21243.
PAPER = [
    (SquarePatchEmbedding, (16, 10), 1024, 1212, 103.35),
    (FFTPEmbedding, (25, 5), 1000, 196, 17.30),
]


@pytest.mark.parametrize("kind, sizes, frames, patches, gmacs", PAPER)
def test_counts_of_the_paper(kind, sizes, frames, patches, gmacs):
    embedding = kind(128, 768, *sizes)
    encoder = AST(embedding=embedding).eval()
    assert embedding.num_patches(frames) == patches
    linear_conv, total = count_macs(encoder, torch.zeros(1, frames, 128))
    tokens = patches + 2
    patch = embedding.proj.weight.numel() * patches
    assert linear_conv == patch + tokens * 12 * 12 * 768**2
    assert linear_conv / 1e9 == pytest.approx(gmacs, abs=0.01)
    assert total - linear_conv == 12 * 2 * tokens**2 * 768


@pytest.mark.parametrize("lengths", [None, torch.tensor([1.0, 0.6])])
def test_masked_attention_counts_as_much(lengths):
    encoder = AST(embed_dim=48, depth=2, num_heads=3).eval()
    macs = count_macs(encoder, torch.zeros(2, 100, 128), lengths)
    tokens = 2 + encoder.embedding.num_patches(100)
    assert macs.total - macs.linear_conv == 2 * 2 * 2 * tokens**2 * 48


@pytest.mark.parametrize("form", ["fo-bi", "bi-bi", False])
def test_closed_form_of_audio_mamba(form):
    encoder = AuM(embed_dim=32, depth=3, bidirectional=form).eval()
    macs = count_macs(encoder, torch.zeros(2, 100, 128))
    patches = 2 * encoder.embedding.num_patches(100)
    tokens = patches + 2
    expected = patches * encoder.embedding.proj.weight.numel()
    steps = 0
    for mixer in encoder.modules():
        if isinstance(mixer, Mamba):
            for layer in mixer.modules():
                if isinstance(layer, (torch.nn.Linear, torch.nn.Conv1d)):
                    expected += tokens * layer.weight.numel()
            directions = 2 if form else 1
            steps += tokens * mixer.d_inner * mixer.d_state * directions
    assert macs.linear_conv == expected
    assert macs.total == expected + 3 * steps


def test_counts_are_the_same_without_gradients():
    feats = torch.zeros(2, 100, 128)
    for encoder in (AST(embed_dim=48, depth=1, num_heads=3), AuM(128, 32, 2)):
        expected = count_macs(encoder, feats)
        with torch.inference_mode():
            assert count_macs(encoder, feats) == expected
            assert count_macs(encoder, torch.zeros_like(feats)) == expected
        assert count_macs(encoder.requires_grad_(False), feats) == expected


def test_command(capsys, monkeypatch):
    sizes = ["--embed_dim", "64", "--depth", "2", "--patch_frames", "50"]
    words = ["hparams/ast_fftp.yaml", "--frames", "500", *sizes]
    script = "tools/complexity.py"
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit, match="^0$"):
        runpy.run_path(script, run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "500 frames: 91 patches, 93 tokens"
    assert main(["hparams/ast_fftp.yaml", "--patch_frames", "2000"]) == 1
    assert "max_frames=1024" in capsys.readouterr().err
