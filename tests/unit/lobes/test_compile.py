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

EMBEDDINGS = {
    "FFTP": lambda: FFTPEmbedding(16, 24, 6, 3),
    "square": lambda: SquarePatchEmbedding(16, 24, 8, 4),
}


def check_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.fixture
def graphs():
    """A list, and a function that compiles a module and fills it."""
    torch.compiler.reset()
    compiled = []

    def count(graph, inputs):
        compiled.append(graph)
        return graph.forward

    def compile_module(module, **options):
        return torch.compile(module, backend=count, dynamic=True, **options)

    return compiled, compile_module


@pytest.mark.parametrize("patches", EMBEDDINGS)
@pytest.mark.parametrize("with_lengths", [False, True])
@torch.no_grad()
def test_graphs_of_ast_serve_all_sizes(patches, with_lengths, graphs):
    torch.manual_seed(0)
    compiled, compile_module = graphs
    # max_frames=100: clips are shorter and longer than the position table.
    encoder = AST(16, 24, 1, 2, EMBEDDINGS[patches](), max_frames=100).eval()
    fast = compile_module(encoder, fullgraph=True)
    for clips, frames in ((3, 60), (5, 71), (3, 44), (2, 130), (4, 110)):
        lens = torch.linspace(1, 0.5, clips) if with_lengths else None
        feats = torch.randn(clips, frames, 16)
        check_close(fast(feats, lens), encoder(feats, lens))
    # Clips that the position table covers have a cheaper graph
    assert len(compiled) == 2
    for graph in compiled:
        calls = [node for node in graph.graph.nodes if "call" in node.op]
        assert not any("conv" in str(call.target) for call in calls)
        masks = [
            call.kwargs["attn_mask"]
            for call in calls
            if "scaled_dot_product" in str(call.target)
        ]
        assert len(masks) == 1 and (masks[0] is not None) == with_lengths


@pytest.mark.parametrize("name", ["AuM", "frames"])
def test_compiled_training_equals_eager(graphs, name):
    torch.manual_seed(0)
    compiled, compile_module = graphs
    encoder = AuM(16, 24, 1, embedding=EMBEDDINGS["FFTP"]())
    if name == "frames":
        encoder = AST(16, 24, 1, 2, EMBEDDINGS["FFTP"]())
        encoder = FrameTagger(encoder, FrameClassifier(24, 3))
    fast = compile_module(encoder, fullgraph=True)
    for frames in (60, 44, 130):
        feats, lens = torch.randn(3, frames, 16), torch.tensor([1, 0.5, 1])
        out = fast(feats, lens)
        check_close(out, encoder(feats, lens))
    assert len(compiled) == 1
    weights = list(encoder.parameters())
    if name == "frames":  # no class tokens
        weights = [w for w in weights if w is not encoder.encoder.cls_tokens]
    found, expected = (
        torch.autograd.grad(out.sin().sum(), weights)
        for out in (out, encoder(feats, lens))
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
