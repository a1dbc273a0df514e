"""Tests that torch.compile needs one graph for clips of all lengths.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

ENCODERS = {
    "AST-FFTP": lambda: AST(16, 24, 1, 2, FFTPEmbedding(16, 24, 6, 3)),
    "AST-square": lambda: AST(16, 24, 1, 2, SquarePatchEmbedding(16, 24, 8, 4)),
    "AuM-FFTP": lambda: AuM(16, 24, 1, embedding=FFTPEmbedding(16, 24, 6, 3)),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("with_lengths", [False, True])
def test_one_graph_for_all_lengths(name, with_lengths):
    torch.manual_seed(0)
    torch.compiler.reset()
    encoder, graphs = ENCODERS[name]().eval(), []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(
        encoder, backend=count, dynamic=True, fullgraph=True
    )
    lens = torch.tensor([1.0, 0.5, 0.7]) if with_lengths else None
    with torch.no_grad():
        for frames in (60, 90, 71, 44):
            feats = torch.randn(3, frames, 16)
            expected = encoder(feats, lens)
            torch.testing.assert_close(compiled(feats, lens), expected)
    assert len(graphs) == 1
