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
from speechbrain_fftp.nnet.patching import (
    FFTPEmbedding,
    PatchEmbedding,
    SquarePatchEmbedding,
)

# Modules whose arguments all differ from the defaults.
MODULES = [
    KaldiFbank(8000, 40, 20.0, 5.0, 30.0, 0.9),
    MelDecibels(8000, 40, 256, 80, 30.0, 3000.0, 80.0, -50.0, 60.0),
    DatasetNormalization(-1.0, 2.0),
    FFTPEmbedding(40, 12, 9, 4, [2, 4], 5),
    SquarePatchEmbedding(40, 12, 8, 4),
    PatchEmbedding(40, 12, [9, 40], [4, 40], [2, 4], 5),
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
