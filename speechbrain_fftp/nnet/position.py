"""Learned position embeddings over frequency and time.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def resize_positions(table, time_patches):
    """Fits positions to another clip length.

    Shorter clips have the first positions, as within a longer table. For longer
    ones, they are interpolated.

    Arguments
    ---------
    table : torch.Tensor
        Positions ``[F', T', D]``.
    time_patches : int
        The new number of patches along time.

    Returns
    -------
    torch.Tensor
        Positions ``[F', T', D]``.

    Example
    -------
    >>> resize_positions(torch.rand(1, 196, 8), 96).shape
    torch.Size([1, 96, 8])
    """
    if table.shape[1] >= time_patches:
        return table[:, :time_patches]
    resized = torch.nn.functional.interpolate(
        table.transpose(1, 2), size=time_patches, mode="linear"
    )
    return resized.transpose(1, 2)


class PositionEmbedding(torch.nn.Module):
    """One learned vector for each patch position.

    A clip uses the first positions of the table; if it has more patches along
    time than the table, the table is stretched to its length. The padding of
    the batch has no influence. The positions of a state dict are fitted to the
    table when they are loaded (see ``resize_positions``).

    Arguments
    ---------
    freq_patches, time_patches : int
        Number of patch rows F', and of columns T' at the maximum clip length.
    embed_dim : int
        Number of channels D of a token.

    Example
    -------
    >>> position = PositionEmbedding(1, 196, 192)
    >>> position(40).shape
    torch.Size([1, 40, 192])
    >>> position(300, torch.tensor([300, 196])).shape
    torch.Size([2, 300, 192])
    >>> shorter = PositionEmbedding(1, 96, 192)
    >>> shorter.load_state_dict(position.state_dict())
    <All keys matched successfully>
    """

    def __init__(self, freq_patches, time_patches, embed_dim):
        super().__init__()
        self.table = torch.nn.Parameter(
            torch.empty(freq_patches, time_patches, embed_dim)
        )
        torch.nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, time_patches, valid_patches=None):
        """Position embeddings of a batch of token sequences.

        Arguments
        ---------
        time_patches : int
            Number of patch columns T of the batch.
        valid_patches : torch.Tensor, optional
            Number of patch columns ``[B]`` of each clip; T by default.

        Returns
        -------
        torch.Tensor
            Embeddings ``[1, F' * T, D]``, or ``[B, F' * T, D]`` if a clip is
            longer than the table.
        """
        if time_patches <= self.table.shape[1]:
            return self.table[:, :time_patches].flatten(0, 1).unsqueeze(0)
        return self.stretch(time_patches, valid_patches)

    def stretch(self, time_patches, valid_patches=None):
        """Position embeddings of clips of any length, computed in one way.

        Clips that are no longer than the table get its first positions.

        Arguments
        ---------
        time_patches, valid_patches : int, torch.Tensor
            See ``forward``.

        Returns
        -------
        torch.Tensor
            Embeddings ``[B, F' * T, D]``, or ``[1, F' * T, D]`` without
            ``valid_patches``.
        """
        table, known = self.table, self.table.shape[1]
        if valid_patches is None:
            valid_patches = torch.full((1,), time_patches, device=table.device)
        valid_patches = valid_patches.to(table.device).unsqueeze(1)
        # Position of each column in the table: 0 .. known - 1, [B, T]
        columns = torch.arange(time_patches, device=table.device)
        scale = (known - 1) / (valid_patches - 1).clamp(min=max(known - 1, 1))
        index = (columns * scale).clamp(max=known - 1)
        left = index.floor().long()
        right = (left + 1).clamp(max=known - 1)
        weight = (index - left).to(table.dtype)[None, :, :, None]
        # [F', B, T, D] -> [B, F' * T, D]
        stretched = torch.lerp(table[:, left], table[:, right], weight)
        return stretched.transpose(0, 1).flatten(1, 2)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Loads the table, fitted to the clip length."""
        key = prefix + "table"
        saved = state_dict.get(key)
        if saved is not None and saved.shape[0] == self.table.shape[0]:
            state_dict[key] = resize_positions(saved, self.table.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
