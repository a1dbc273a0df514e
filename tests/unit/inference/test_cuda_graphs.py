"""Tests of CUDA graphs, in whose place a CPU calls the function again.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import pickle

import pytest
import torch
from small_models import make_tagger

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.cuda_graphs import CudaGraphs, keep_bfloat16
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d

ENCODERS = {
    "AST": lambda: AST(embed_dim=32, depth=2, num_heads=2, conv_kernel=3),
    "AuM": lambda: AuM(embed_dim=32, depth=2, bidirectional="bi-bi"),
    "ConvNeXt1d": lambda: ConvNeXt1d(embed_dim=32, depth=2),
}


class Repeated(CudaGraphs):
    """Reads and writes fixed memory, as a graph does, on a CPU."""

    def _capture(self, given):
        result = self.function(given)
        return lambda: result.copy_(self.function(given)), given, result


def test_each_size_has_a_graph_from_its_second_call_on():
    graphs = Repeated(lambda x: 2 * x + 1, max_sizes=2)
    inputs = [torch.randn(size) for size in (3, 3, 4, 3, 4, 5, 5, 4, 3)]
    captured, results = [], []
    for x in inputs:
        results.append(graphs(x))
        captured.append(sorted(key[0][0] for key in graphs.captured))
    for x, result in zip(inputs, results):  # none was written to later
        assert torch.equal(result, 2 * x + 1)
    assert captured == [[], [3], [3], [3]] + 5 * [[3, 4]]


def test_autocast_and_inference_mode_may_change():
    linear = torch.nn.Linear(8, 4)
    graphs = Repeated(linear)
    x = torch.randn(2, 8)
    for _ in range(3):
        assert torch.equal(graphs(x), linear(x))
        with torch.inference_mode():
            assert torch.equal(graphs(x.clone()), linear(x))
        with torch.autocast("cpu", torch.bfloat16):
            assert graphs(x).dtype is torch.bfloat16
            assert torch.equal(graphs(x), linear(x))
    assert len(graphs.captured) == 2


def test_copies_have_graphs_of_their_own():
    graphs = Repeated(torch.square)
    for _ in range(2):
        graphs(torch.ones(2))
    for other in (copy.deepcopy(graphs), pickle.loads(pickle.dumps(graphs))):
        assert other.function is torch.square and not other.captured


@pytest.mark.parametrize("name", ENCODERS)
def test_tagger(name):
    """Windows of equal size use a graph, batches with lengths do not."""
    tagger = make_tagger(ENCODERS[name](), 3, max_frames=100)
    wavs, lens = 0.1 * torch.randn(4, 8000), torch.tensor([1.0, 0.3, 0.5, 1.0])
    plain = [tagger.tag_batch(wavs[:1]), tagger.tag_batch(wavs, lens)]
    plain.append(tagger.encode_batch(wavs[1]))
    tagger.embed = Repeated(tagger._embed)
    for _ in range(3):
        found = [tagger.tag_batch(wavs[:1]), tagger.tag_batch(wavs, lens)]
        found.append(tagger.encode_batch(wavs[1]))
        for a, b in zip(found, plain):
            torch.testing.assert_close(a, b)
    assert len(tagger.embed.captured) == 1
    twin = copy.deepcopy(tagger)
    assert twin.embed.function.__self__ is twin


def test_a_cpu_has_none(exported):
    with pytest.raises(ValueError, match="cuda_graphs needs a GPU, not cpu"):
        AudioTagger.from_pretrained(exported[1], cuda_graphs=True)


@pytest.mark.parametrize("name", ENCODERS)
def test_rounded_weights_change_nothing_under_autocast(name):
    encoder = ENCODERS[name]().eval()
    feats, lens = torch.randn(2, 200, 128), torch.tensor([1.0, 0.6])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = encoder(feats, lens)
        keep_bfloat16(encoder)
        assert torch.equal(encoder(feats, lens), expected)
    layers = [x for x in encoder.modules() if isinstance(x, torch.nn.Linear)]
    assert layers
    assert {layer.weight.dtype for layer in layers} == {torch.bfloat16}


@pytest.mark.parametrize("name", ENCODERS)
def test_autocast_ends_with_each_call(name):
    """As on a GPU, where weights stay in bfloat16 for embeddings as well."""
    plain = make_tagger(ENCODERS[name](), 3)
    modules, hparams = dict(plain.mods), vars(plain.hparams)
    tagger = AudioTagger(modules, hparams, {"precision": "bf16"}, packed=False)
    keep_bfloat16(tagger.mods)
    tagger.encode_ctx = tagger.inference_ctx
    wavs, lens = 0.1 * torch.randn(2, 16000), torch.tensor([1.0, 0.5])
    for call in (tagger.tag_batch, tagger.encode_batch):
        whole, cut = call(wavs), call(wavs, lens)
        torch.testing.assert_close(whole[0], cut[0], atol=0.05, rtol=0.05)
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ENCODERS)
def test_graphs_on_a_gpu(name, precision):
    """The same probabilities as without graphs, of changing waveforms."""
    plain = make_tagger(ENCODERS[name](), 3)
    options = {"device": "cuda", "precision": precision}
    hparams = vars(plain.hparams)
    taggers = [
        AudioTagger(dict(plain.mods), hparams, options, cuda_graphs=graphs)
        for graphs in (False, True)
    ]
    for _ in range(4):
        wavs = 0.1 * torch.randn(2, 16000)
        expected, found = (tagger.tag_batch(wavs) for tagger in taggers)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert len(taggers[1].embed.captured) == 1
