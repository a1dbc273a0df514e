"""Tests of encoders that are compiled block by block.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch
from recipe_brains import make_batch, make_brain
from small_encoders import make_encoder
from torch._dynamo.utils import counters

import speechbrain as sb
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.training.compile import compile_encoder


@pytest.fixture(autouse=True)
def graphs():
    """Counts graphs from zero; leaves nothing compiled."""
    torch.compiler.reset()
    counters.clear()
    torch.manual_seed(0)
    yield
    torch.compiler.reset()


@pytest.fixture
def no_inductor(monkeypatch):
    """Runs graphs as they are, which takes no time to compile."""
    compile_function = torch.compile

    def compile_module(function, mode, **options):
        return compile_function(function, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", compile_module)


def count_graphs():
    return counters["stats"]["unique_graphs"]


class Whole(torch.nn.Module):
    """An encoder without blocks."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(16, 24)

    def forward(self, feats, lengths):
        return self.layer(feats).mean(1, keepdim=True)


def check_training(kind, dynamic, shapes):
    """Compares outputs and gradients of a compiled encoder with eager ones."""
    if kind == "no blocks":
        encoder = Whole()
    elif kind == "frames":
        encoder = FrameTagger(make_encoder("AST"), FrameClassifier(24, 3))
    else:
        encoder = make_encoder(kind)
    fast = copy.deepcopy(encoder)
    compile_encoder(fast, mode="default", fullgraph=True, dynamic=dynamic)
    assert fast.state_dict().keys() == encoder.state_dict().keys()
    for frames, lengths in shapes:
        feats = torch.randn(3, frames, 16)
        results = []
        for module in (fast, encoder):
            out = module(feats, lengths)
            grads = torch.autograd.grad(
                out.sin().sum(), [*module.parameters()], allow_unused=True
            )
            results.append([out, *grads])
        torch.testing.assert_close(*results, rtol=1e-3, atol=5e-5)


UNEQUAL = torch.tensor([1, 0.5, 1])


@pytest.mark.parametrize(
    "kind", ["AST", "AuM fo-bi", "ConvNeXt1d", "frames", "no blocks"]
)
def test_blocks_share_a_graph_for_all_lengths(kind, no_inductor):
    shapes = [(frames, UNEQUAL) for frames in (60, 44, 130)]
    check_training(kind, True, shapes)
    assert count_graphs() == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AST", "AuM fo-bi", "ConvNeXt1d"])
def test_inductor_equals_eager(kind):
    """With a mask, and without; on a CPU, convolutions have one shape only."""
    check_training(kind, False, [(60, UNEQUAL), (60, None)])
    assert count_graphs() == 2


@pytest.mark.parametrize("yaml", ["ast_fftp.yaml", "aum_fftp.yaml"])
def test_few_graphs_serve_a_padded_training(yaml, tmp_path, no_inductor):
    """Of clips of any lengths, with smaller last batches and evaluation.

    As the Brain compiles by the yaml file, without a break in the graph.
    """
    options = {"compile": True, "compile_using_fullgraph": True}
    brain = make_brain(yaml, tmp_path, options, max_frames=60, depth=2)
    assert not brain.compile_using_dynamic_shape_tracing
    collate = brain.hparams.collate_clips
    collate.n_samples = 9600  # of the longest training clip, 0.6 s

    def padded(lengths, seconds):
        """A batch of training clips, as the loader pads it."""
        batch = make_batch(brain, lengths, seconds)
        counts = (batch.sig.lengths * len(batch.sig.data[0])).round().long()
        clips = [clip[:n] for clip, n in zip(batch.sig.data, counts)]
        batch.sig = collate([{"sig": clip} for clip in clips]).sig
        return batch

    weights = [w.clone() for w in brain.modules.parameters()]
    for _ in range(2):
        brain.modules.train()
        for lengths, seconds in (
            ((1.0, 1.0, 1.0), 0.6),
            ((1.0, 0.9, 0.6), 0.6),
            ((1.0, 0.4, 0.8), 0.5),
            ((1.0, 1.0, 1.0), 0.3),
            ((0.8, 1.0), 0.6),
        ):
            brain.fit_batch(padded(lengths, seconds))
        brain.modules.eval()
        for lengths in ((1.0, 0.4, 1.0), (1.0,)):
            batch = make_batch(brain, lengths, 0.6)
            with torch.no_grad():
                brain.compute_forward(batch, sb.Stage.VALID)
    # In training, of three clips without padding, with padding, and of two; in
    # evaluation, with and without padding
    assert count_graphs() == 5
    pairs = zip(weights, brain.modules.parameters())
    assert not any(torch.equal(before, now) for before, now in pairs)
