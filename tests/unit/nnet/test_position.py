"""Tests of the position embeddings.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.nnet.position import PositionEmbedding


def random_positions(freq_patches, time_patches, embed_dim=4):
    torch.manual_seed(freq_patches + time_patches)
    position = PositionEmbedding(freq_patches, time_patches, embed_dim)
    torch.nn.init.normal_(position.table)
    return position


def interpolate(table, places):
    """Linear interpolation over time of a table [F', T', D], by NumPy."""
    table = table.detach().double().numpy()
    known = np.arange(table.shape[1])
    out = np.empty((table.shape[0], len(places), table.shape[2]))
    for f in range(table.shape[0]):
        for d in range(table.shape[2]):
            out[f, :, d] = np.interp(places, known, table[f, :, d])
    return torch.from_numpy(out).float()


@pytest.mark.parametrize("length", [1, 11, 30])
def test_table_of_another_length_is_interpolated_on_loading(length):
    saved = random_positions(2, 12)
    position = random_positions(2, length)
    state = saved.state_dict()
    position.load_state_dict(state)
    # The centres of equal cells: those of the new table on the old one.
    places = (np.arange(length) + 0.5) * 12 / length - 0.5
    expected = interpolate(saved.table, places.clip(0, 11))
    torch.testing.assert_close(position.table.detach(), expected)
    assert state["table"].shape == (2, 12, 4)  # the caller's is unchanged


def test_other_number_of_rows_or_channels_is_an_error():
    state = random_positions(2, 12).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        PositionEmbedding(3, 12, 4).load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        PositionEmbedding(2, 9, 5).load_state_dict(state)
    with pytest.raises(RuntimeError, match="Missing key"):
        PositionEmbedding(2, 9, 5).load_state_dict({})


def test_stretching_does_not_depend_on_the_batch():
    position = random_positions(2, 12)
    lengths = torch.tensor([40, 3, 12, 13, 25])
    for columns in (40, 77):
        out = position(columns, lengths).view(5, 2, columns, 4)
        for clip, n in zip(out, lengths.tolist()):
            alone = position(n, torch.tensor([n])).view(2, n, 4)
            torch.testing.assert_close(clip[:, :n], alone, rtol=0, atol=1e-5)
        assert out.isfinite().all()


def test_gradient_of_a_stretched_table():
    position = random_positions(1, 3, embed_dim=1)
    position(5, torch.tensor([5])).sum().backward()
    # Places 0, 0.5, 1, 1.5, 2: the weights of the three positions.
    expected = torch.tensor([[[1.5], [2.0], [1.5]]])
    torch.testing.assert_close(position.table.grad, expected)
