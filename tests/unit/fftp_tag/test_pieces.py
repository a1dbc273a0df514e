"""Tests of pieces of samples, and of reading files, bytes and arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from fftp_tag.audio import pieces
from fftp_tag.audio.pieces import Slide, cut_pieces, read_blocks, through

RATE = 16000
WAV = 0.2 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)


def read(source, *options):
    return np.concatenate(list(read_blocks(source, RATE, *options)))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    n_samples=st.integers(1, 300),
    size=st.integers(1, 80),
    hop=st.integers(1, 80),
    cuts=st.lists(st.integers(1, 300)),
)
def test_pieces_are_on_the_hop_and_reach_the_end(n_samples, size, hop, cuts):
    """Whatever the blocks are; memory is that of a piece and a block."""
    samples = np.arange(n_samples, dtype=np.float32)
    blocks = np.split(samples, [n for n in sorted(cuts) if n < n_samples])
    found = list(through(blocks, Slide(size, hop)))
    last = max(n_samples - size, 0)
    starts = [start for start, _ in found]
    assert starts == [*range(0, last, hop), last]
    longest = max(map(len, blocks))
    for start, piece in found:
        np.testing.assert_array_equal(piece, samples[start : start + size])
        assert piece.base.size <= max(size, hop) + size + longest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "BATCH_SAMPLES", 100)
        batches = list(cut_pieces(blocks, size, hop))
    assert np.concatenate([x.starts for x in batches]).tolist() == starts
    for batch in batches:
        assert batch.wavs[:, 0].tolist() == batch.starts.tolist()
        assert batch.wavs.size < 100 + size


def test_arrays_of_all_kinds_are_the_same_waveform():
    for wav in (
        WAV.astype(np.float64).tolist(),
        WAV[:, None],
        np.stack([1.5 * WAV, 0.5 * WAV], 1),
        np.round(WAV * 2**15).astype(np.int16),
    ):
        np.testing.assert_allclose(read(wav, RATE), WAV, atol=2**-15)
