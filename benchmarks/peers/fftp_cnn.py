"""A 1-D ConvNeXt over FFTP tokens: neither attention nor a scan.

Blocks as in Liu et al., A ConvNet for the 2020s
(https://arxiv.org/abs/2201.03545), along time.

Authors
 * The speechbrain_fftp authors 2026
"""

from peers import inside
from torch import nn


class Block(nn.Module):
    """Depthwise convolution over the tokens, then an MLP; one residual."""

    def __init__(self, dim, kernel):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
        )

    def forward(self, tokens, valid):
        """Maps tokens ``[B, N, D]``, 0.0 where ``valid`` ``[B, N, 1]`` is."""
        local = self.conv((tokens * valid).transpose(1, 2)).transpose(1, 2)
        return tokens + self.mlp(local)


class FFTPConvNet(nn.Module):
    """Patches, blocks, and the mean over a clip's own tokens.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> model = FFTPConvNet(FFTPEmbedding(40, 64, 10, 5), 64, depth=2)
    >>> model(torch.rand(2, 98, 40)).shape
    torch.Size([2, 1, 64])
    """

    def __init__(self, embedding, embed_dim, depth, kernel=9):
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(
            Block(embed_dim, kernel) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, feats, lens=None):
        """Maps features ``[B, T, F]`` to embeddings ``[B, 1, D]``."""
        tokens = self.embedding(feats)
        if lens is None:
            lens = feats.new_ones(len(feats))
        frames = (lens * feats.shape[1]).round().long()
        count = self.embedding.time_patches(frames)
        valid = inside(count / tokens.shape[1], tokens.shape[1])[:, :, None]
        for block in self.blocks:
            tokens = block(tokens, valid)
        tokens = self.norm(tokens) * valid
        return tokens.sum(1, keepdim=True) / valid.sum(1, keepdim=True)
