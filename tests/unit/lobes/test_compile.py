"""Tests of compiled encoders.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from recipe_brains import load_tiny

import speechbrain as sb
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.utils.brain import DeviceLossBrain


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


def run_epoch(encoder, compiled, epoch):
    """Training and evaluation on batches as AudioSet gives them.

    Most clips are equally long. Some batches have shorter ones, the longest of
    which may be any; the last is smaller. Evaluation sorts clips by length.
    """
    torch.manual_seed(epoch)
    batches = {
        True: [(6, 98, 1), (6, 98, 0.7), (6, 98, 1), (6, 95, 0.4)],
        False: [(6, 42, 0.9), (6, 97, 0.5), (6, 98, 1), (5, 98, 1)],
    }
    batches[True] += [(6, 98 - epoch, 0.9), (4 - epoch, 98, 1)]
    for is_training, shapes in batches.items():
        encoder.train(is_training)
        for clips, frames, shortest in shapes:
            feats = torch.randn(clips, frames, 16)
            lengths = None
            if shortest < 1:
                lengths = torch.linspace(shortest, 1, clips)
            with torch.set_grad_enabled(is_training):
                out = compiled(feats, lengths)
            if is_training:
                out.sin().sum().backward()


@pytest.mark.parametrize(
    "yaml",
    ["ast_fftp.yaml", pytest.param("aum_fftp.yaml", marks=pytest.mark.slow)],
)
def test_four_graphs_serve_the_batches_of_trainings(yaml, tmp_path):
    """As the yaml files compile: in training or not, equal lengths or not."""
    torch.compiler.reset()
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    hparams = load_tiny(yaml, tmp_path, n_mels=16, mask_patch=[5, 16])
    encoder = hparams["embedding_model"]
    compiled = torch.compile(
        encoder,
        backend=count,
        dynamic=hparams["compile_using_dynamic_shape_tracing"],
    )
    for epoch in (0, 1):
        run_epoch(encoder, compiled, epoch)
    assert len(graphs) == 4


def train_losses(encoder, compiled):
    """Losses of three epochs of an encoder on a GPU, over mixed batches."""

    class Brain(DeviceLossBrain):
        losses = ()

        def compute_forward(self, batch, stage):
            feats, lengths = batch
            return self.modules.encoder(feats.to(self.device), lengths)

        def compute_objectives(self, predictions, batch, stage):
            return (predictions.float() - 1).square().mean()

        def on_stage_end(self, stage, stage_loss, epoch=None):
            if stage == sb.Stage.TRAIN:
                stage_loss = self.average_loss()
            self.losses += (stage_loss,)

    torch.manual_seed(0)
    shapes = ((6, 198, 1), (6, 198, 0.5), (5, 171, 0.7), (3, 198, 1))
    batches = []
    for clips, frames, shortest in shapes:
        lengths = torch.linspace(shortest, 1, clips)
        feats = torch.randn(clips, frames, 128)
        batches.append((feats, None if shortest == 1 else lengths))
    brain = Brain(
        {"encoder": encoder},
        lambda weights: torch.optim.AdamW(weights, lr=1e-3),
        run_opts={
            "device": "cuda",
            "precision": "bf16",
            "compile": compiled,
            "compile_module_keys": ["encoder"],
            "compile_using_dynamic_shape_tracing": True,
        },
    )
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    brain.fit(range(3), loader, loader, progressbar=False)
    return brain.losses


@pytest.mark.gpu
@pytest.mark.parametrize("Encoder", [AST, AuM])
def test_a_compiled_training_on_a_gpu(Encoder):
    """As the yaml files compile, in bfloat16, training and validation."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    torch.compiler.reset()
    losses = []
    for compiled in (True, False):
        torch.manual_seed(0)
        patches = FFTPEmbedding(128, 64, 25, 5)
        heads = {"num_heads": 2} if Encoder is AST else {}
        encoder = Encoder(128, 64, 2, embedding=patches, **heads)
        losses.append(train_losses(encoder, compiled))
    assert losses[0][-1] < losses[0][0]
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=0.03, atol=0)
