"""Tests of compiled encoders.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding


@pytest.fixture
def graphs():
    """A list, and a function that compiles a module and fills it."""
    torch.compiler.reset()
    torch.manual_seed(0)
    compiled = []

    def count(graph, inputs):
        compiled.append(graph)
        return graph.forward

    def compile_module(module):
        return torch.compile(
            module, backend=count, dynamic=True, fullgraph=True
        )

    return compiled, compile_module


@torch.no_grad()
def test_two_graphs_of_ast_serve_all_sizes(graphs):
    """Clips that the position table covers have a cheaper graph."""
    compiled, compile_module = graphs
    patches = SquarePatchEmbedding(16, 24, 8, 4)
    encoder = AST(16, 24, 1, 2, patches, max_frames=100).eval()
    fast = compile_module(encoder)
    for clips, frames in ((3, 60), (5, 71), (3, 44), (2, 130), (4, 110)):
        feats = torch.randn(clips, frames, 16)
        torch.testing.assert_close(fast(feats), encoder(feats))
    assert len(compiled) == 2


@pytest.mark.parametrize("name", ["AuM", "frames"])
def test_compiled_training_equals_eager(graphs, name):
    compiled, compile_module = graphs
    encoder = AuM(16, 24, 1, embedding=FFTPEmbedding(16, 24, 6, 3))
    unused = []
    if name == "frames":
        encoder = AST(16, 24, 1, 2, FFTPEmbedding(16, 24, 6, 3))
        unused = [encoder.cls_tokens]
        encoder = FrameTagger(encoder, FrameClassifier(24, 3))
    weights = [
        w for w in encoder.parameters() if all(w is not x for x in unused)
    ]
    fast = compile_module(encoder)
    for frames in (60, 44, 130):
        feats, lens = torch.randn(3, frames, 16), torch.tensor([1, 0.5, 1])
        results = []
        for module in (fast, encoder):
            out = module(feats, lens)
            grads = torch.autograd.grad(out.sin().sum(), weights)
            results.append([out, *grads])
        torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)
    assert len(compiled) == 1
