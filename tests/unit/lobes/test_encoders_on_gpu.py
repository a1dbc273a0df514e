"""Encoders on a GPU give the logits and gradients that they give on a CPU.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA GPU"),
]


def make_aum(form, scan):
    embedding = FFTPEmbedding(128, 256, 25, 5)
    encoder = AuM(
        128, 256, 4, bidirectional=form, scan=scan, embedding=embedding
    )
    on_cpu = copy.deepcopy(encoder)
    for block in on_cpu.blocks:
        block.mixer.scan = "torch"
    return encoder, on_cpu


def make_ast():
    embedding = FFTPEmbedding(128, 256, 25, 5)
    encoder = AST(128, 256, 4, 4, embedding=embedding)
    return encoder, copy.deepcopy(encoder)


@pytest.mark.parametrize(
    "make, options, name",
    [
        (make_ast, (), "blocks.0.mlp.0.weight"),
        *(
            (make_aum, (form, scan), "blocks.0.mixer.A_log")
            for form in ("fo-bi", "bi-bi")
            for scan in ("triton", "torch")
        ),
    ],
)
@torch.backends.cudnn.flags(allow_tf32=False)
def test_embeddings_and_gradients_are_those_of_a_cpu(make, options, name):
    """A batch with a padded clip, against each clip alone on the CPU."""
    torch.manual_seed(0)
    encoder, on_cpu = make(*options)
    encoder.to(DEVICE)
    feats, lengths = torch.randn(1, 1000, 128), torch.tensor([1.0, 0.4])
    batch = feats.repeat(2, 1, 1).to(DEVICE)
    weighting = torch.randn(2, 1, 256)

    def results(model, embeddings):
        names = ("embedding.proj.weight", name)
        weights = [model.get_parameter(each) for each in names]
        loss = (embeddings * weighting.to(embeddings.device)).sum()
        return [embeddings, *torch.autograd.grad(loss, weights)]

    alone = torch.cat([on_cpu(feats), on_cpu(feats[:, :400])])
    for found, expected in zip(
        results(encoder, encoder(batch, lengths)), results(on_cpu, alone)
    ):
        error = (found.cpu() - expected).abs().max() / expected.abs().max()
        assert error < 1e-3
