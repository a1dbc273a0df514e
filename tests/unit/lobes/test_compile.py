"""Tests of compiled encoders.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import pytest
import torch
from recipe_brains import make_batch, make_brain

import speechbrain as sb
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding


@pytest.fixture
def graphs():
    """A list, and a function that compiles a module and fills it."""
    torch.compiler.reset()
    torch.manual_seed(0)
    compiled = []

    def count(graph, inputs):
        compiled.append(graph)
        return graph.forward

    compile_module = functools.partial(
        torch.compile, backend=count, dynamic=True, fullgraph=True
    )

    yield compiled, compile_module
    torch.compiler.set_stance("default")


def patches():
    return FFTPEmbedding(16, 24, 6, 3)


ENCODERS = {
    "AuM": lambda: AuM(16, 24, 1, embedding=patches()),
    "frames": lambda: FrameTagger(
        AST(16, 24, 1, 2, patches()), FrameClassifier(24, 3)
    ),
    "statistics": lambda: ConvNeXt1d(16, 24, 1, patches(), pooling="mean+std"),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_compiled_training_equals_eager(graphs, name):
    compiled, compile_module = graphs
    encoder = ENCODERS[name]()
    weights = [*encoder.parameters()]
    fast = compile_module(encoder)
    for frames in (60, 44, 130):
        feats, lens = torch.randn(3, frames, 16), torch.tensor([1, 0.5, 1])
        results = []
        for module in (fast, encoder):
            out = module(feats, lens)
            grads = torch.autograd.grad(
                out.sin().sum(), weights, allow_unused=True
            )
            results.append([out, *grads])
        torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)
    assert len(compiled) == 1


@pytest.mark.parametrize(
    "yaml",
    [
        "ast_fftp.yaml",
        "convnext_fftp.yaml",
        pytest.param("aum_fftp.yaml", marks=pytest.mark.slow),
    ],
)
def test_one_graph_serves_a_padded_training(
    graphs, yaml, tmp_path, monkeypatch
):
    """Of clips of any lengths, with smaller last batches and evaluation.

    As the Brain compiles by the yaml file, without a break in the graph.
    """
    compiled, compile_module = graphs
    monkeypatch.setattr(torch, "compile", compile_module)
    options = {"compile": True, "compile_using_fullgraph": True}
    brain = make_brain(yaml, tmp_path, options, max_frames=60)
    assert not brain.compile_using_dynamic_shape_tracing
    weights = [w.clone() for w in brain.modules.parameters()]
    for _ in range(2):
        brain.modules.train()
        for lengths, seconds in (
            ((1.0, 1.0, 1.0), 0.6),
            ((1.0, 0.9, 0.6), 0.5),
            ((0.8, 1.0), 0.6),
        ):
            brain.fit_batch(make_batch(brain, lengths, seconds))
        brain.modules.eval()
        for lengths in ((1.0, 0.4, 1.0), (1.0,)):
            batch = make_batch(brain, lengths, 0.6)
            with torch.no_grad():
                brain.compute_forward(batch, sb.Stage.VALID)
    assert len(compiled) == 1
    pairs = zip(weights, brain.modules.parameters())
    assert not any(torch.equal(before, now) for before, now in pairs)
