"""Modules keep their constructor arguments as attributes.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect

import pytest

from speechbrain_fftp.lobes.features import (
    DatasetNormalization,
    KaldiFbank,
    MelDecibels,
)
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

# Modules whose arguments all differ from the defaults.
MODULES = [
    KaldiFbank(8000, 40, 20.0, 5.0, 30.0, 0.9),
    MelDecibels(8000, 40, 256, 80, 30.0, 3000.0),
    DatasetNormalization(-1.0, 2.0),
    FFTPEmbedding(40, 12, 9, 4, [2, 4], 5),
    SquarePatchEmbedding(40, 12, 8, 4),
    AST(
        n_mels=40,
        embed_dim=12,
        depth=2,
        num_heads=4,
        embedding=FFTPEmbedding(40, 12, 8, 4),
        max_frames=90,
        mlp_ratio=2.0,
        dropout=0.1,
        norm_eps=1e-5,
        pooling="mean",
        conv_kernel=3,
    ),
    CED(40, 12, 2, 4, 90, 2.0, 0.1, 1e-5),
    ConvNeXt1d(
        40, 12, 2, FFTPEmbedding(40, 12, 7, 3), 90, 7, 2.0, 0.1, "tokens"
    ),
    AuM(
        n_mels=40,
        embed_dim=12,
        depth=2,
        bidirectional="bi-bi",
        embedding=FFTPEmbedding(40, 12, 7, 3),
        max_frames=90,
        d_state=4,
        d_conv=3,
        expand=3,
        dt_rank=2,
        residual_in_fp32=False,
        norm_eps=1e-6,
        backend="torch",
        pooling="mean",
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_attributes_rebuild_the_module(module):
    parameters = inspect.signature(type(module)).parameters.values()
    values = {p.name: getattr(module, p.name) for p in parameters}
    assert all(values[p.name] != p.default for p in parameters)
    rebuilt = type(module)(**values)

    def sizes(m):
        return {k: v.shape for k, v in m.state_dict(keep_vars=True).items()}

    assert sizes(rebuilt) == sizes(module)
    buffers = dict(rebuilt.named_buffers())
    for name, buffer in module.named_buffers():
        assert buffer.equal(buffers[name])


@pytest.mark.parametrize("encoder", [AST, AuM])
def test_default_arguments_are_attributes(encoder):
    module = encoder(embed_dim=12, depth=1)
    for name, parameter in inspect.signature(encoder).parameters.items():
        if name not in ("embed_dim", "depth", "embedding"):
            assert getattr(module, name) == parameter.default
    assert type(module.embedding) is FFTPEmbedding
