"""A convolutional encoder over time, on full-frequency temporal patches.

The tokens of FFTP form a time sequence (https://arxiv.org/abs/2508.21243), so
one-dimensional convolutions can replace attention: ConvNeXt blocks
(https://arxiv.org/abs/2201.03545) along time. A clip's embedding does not
depend on the padding of its batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.convolution import depthwise_conv
from speechbrain_fftp.nnet.normalization import TokenBatchNorm
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.tokens import EncodedClips, embed_clips, mean_token


class WideStatistics(torch.nn.Module):
    """Statistics pooling (mean and standard deviation) in a wider layer.

    As in x-vectors
    (https://www.danielpovey.com/files/2018_icassp_xvectors.pdf), over a clip's
    valid tokens.

    Arguments
    ---------
    embed_dim : int
        Number of channels D of a token, and of an embedding.
    width : int
        Number of channels whose statistics are taken.

    Example
    -------
    >>> WideStatistics(192, 576)(torch.rand(2, 196, 192)).shape
    torch.Size([2, 1, 192])
    """

    def __init__(self, embed_dim, width):
        super().__init__()
        self.widen = torch.nn.Linear(embed_dim, width)
        self.norm = TokenBatchNorm(width)
        self.reduce = torch.nn.Linear(2 * width, embed_dim)

    def forward(self, tokens, valid=None):
        """Pools a batch.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``.
        valid : torch.Tensor, optional
            True for a clip's valid tokens ``[B, N]``; others are not read.

        Returns
        -------
        torch.Tensor
            Embeddings ``[B, 1, D]``.
        """
        wide = torch.nn.functional.leaky_relu(self.widen(tokens))
        wide = self.norm(wide, valid)
        mean = mean_token(wide, valid)
        variance = mean_token((wide - mean).square(), valid)
        std = (variance + self.norm.eps).sqrt()
        return self.reduce(torch.cat([mean, std], 2))


class ConvNeXtBlock(torch.nn.Module):
    """A depthwise convolution over time, then an MLP, in one residual branch.

    Arguments
    ---------
    embed_dim : int
        Number of channels D of a token.
    kernel : int
        Kernel size of the convolution in tokens, an odd number.
    mlp_ratio : float
        Width of the MLP's hidden layer, in multiples of ``embed_dim``.
    dropout : float
        Dropout probability within and after the MLP.
    look_ahead : int, optional
        Number of later tokens that the convolution reads, at most half of
        ``kernel``, which is the default; it reads the more earlier ones.

    Example
    -------
    >>> block = ConvNeXtBlock(192)
    >>> block(torch.rand(2, 196, 192)).shape
    torch.Size([2, 196, 192])
    """

    def __init__(
        self,
        embed_dim,
        kernel=9,
        mlp_ratio=4.0,
        dropout=0.0,
        look_ahead=None,
    ):
        super().__init__()
        width = int(embed_dim * mlp_ratio)
        if look_ahead is None:
            look_ahead = kernel // 2
        self.conv = torch.nn.Conv1d(
            embed_dim,
            embed_dim,
            kernel,
            padding=kernel - 1 - look_ahead,
            groups=embed_dim,
        )
        self.mlp = torch.nn.Sequential(
            torch.nn.LayerNorm(embed_dim),
            torch.nn.Linear(embed_dim, width),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(width, embed_dim),
            torch.nn.Dropout(dropout),
        )

    def forward(self, tokens, valid=None):
        """Applies the block.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``, in the order of time.
        valid : torch.Tensor, optional
            True for a clip's valid tokens ``[B, N]``; others are not read.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        x = tokens if valid is None else tokens * valid.unsqueeze(2)
        padding = self.conv.padding[0]
        x = depthwise_conv(x, self.conv.weight, self.conv.bias, padding)
        # With less look-ahead, the padding is for the earlier tokens, and the
        # last results are of the padding after the clip
        return tokens + self.mlp(x[:, : tokens.shape[1]])


def divide_look_ahead(look_ahead, depth):
    """Divides tokens among blocks; the first ones read one more if need be.

    Arguments
    ---------
    look_ahead, depth : int
        Number of later tokens, and of blocks.

    Returns
    -------
    list of int
        The number of tokens of each block.

    Example
    -------
    >>> divide_look_ahead(10, depth=3)
    [4, 3, 3]
    """
    return [(look_ahead + depth - 1 - block) // depth for block in range(depth)]


class ConvNeXt1d(torch.nn.Module):
    """Convolutional encoder of full-frequency temporal patches.

    A block costs two thirds of a transformer block: 18 blocks have the MACs of
    an AST with 12. There are no position embeddings and no class token, so
    clips can have any length.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth : int
        Number of blocks.
    embedding : torch.nn.Module, optional
        A patch embedding whose patches cover all mel bins; by default,
        ``FFTPEmbedding`` with 25 frames every 5.
    kernel : int
        See ``ConvNeXtBlock``.
    mlp_ratio, dropout : float
        See ``ConvNeXtBlock``.
    pooling : str
        "mean", see ``AST``, or "mean+std", ``WideStatistics`` with a width of
        three times ``embed_dim``.
    mask_padding : bool
        See ``AST``.
    look_ahead : int, optional
        Number of later tokens that a token over time depends on, for streams.
        It is divided among the blocks, whose kernels reach further back
        instead. By default, each block reads half of ``kernel`` ahead, and
        ``look_ahead`` is ``depth * (kernel // 2)``.

    Raises
    ------
    ValueError
        If the patches of the embedding do not cover all mel bins, the pooling
        is unknown, or the kernels do not reach as far as ``look_ahead``.

    Example
    -------
    >>> encoder = ConvNeXt1d(embed_dim=48, depth=2)
    >>> feats = torch.rand(2, 1000, 128)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 48])
    """

    def __init__(
        self,
        n_mels=128,
        embed_dim=768,
        depth=18,
        embedding=None,
        kernel=9,
        mlp_ratio=4.0,
        dropout=0.0,
        pooling="mean",
        mask_padding=True,
        look_ahead=None,
    ):
        super().__init__()
        if embedding is None:
            embedding = FFTPEmbedding(n_mels, embed_dim)
        if embedding.freq_patches > 1:
            raise ValueError(
                f"ConvNeXt1d needs patches that cover all {n_mels} mel bins, "
                f"not {embedding.patch_bins}."
            )
        self.n_mels = n_mels
        self.mask_padding = mask_padding
        self.embed_dim = embed_dim
        self.embedding = embedding
        self.stem_norm = torch.nn.LayerNorm(embed_dim)
        if look_ahead is None:
            look_ahead = depth * (kernel // 2)
        if not 0 <= look_ahead <= depth * (kernel // 2):
            raise ValueError(
                f"look_ahead={look_ahead} must be in 0..{depth * (kernel // 2)}, "
                f"for {depth} blocks with kernels of {kernel}."
            )
        self.look_ahead = look_ahead
        self.blocks = torch.nn.ModuleList(
            ConvNeXtBlock(
                embed_dim,
                kernel,
                mlp_ratio,
                dropout,
                look_ahead=of_block,
            )
            for of_block in divide_look_ahead(look_ahead, depth)
        )
        self.norm = torch.nn.LayerNorm(embed_dim)
        self.statistics = None
        if pooling == "mean+std":
            self.statistics = WideStatistics(embed_dim, 3 * embed_dim)
        elif pooling != "mean":
            raise ValueError(f"pooling={pooling!r} must be mean or mean+std.")

    def forward(self, feats, lengths=None):
        """Encodes a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.
        """
        return self.encode(feats, lengths).embedding

    def encode(self, feats, lengths=None):
        """Encodes a batch, with its tokens over time.

        Arguments
        ---------
        feats, lengths : torch.Tensor
            See ``forward``.

        Returns
        -------
        EncodedClips
            Embeddings, tokens over time, and their mask.
        """
        # [B, T, F] -> [B, N, D]
        tokens, _, valid = embed_clips(
            self.embedding, feats, lengths if self.mask_padding else None
        )
        tokens = self.stem_norm(tokens)
        for block in self.blocks:
            tokens = block(tokens, valid)
        tokens = self.norm(tokens)
        pool = mean_token if self.statistics is None else self.statistics
        return EncodedClips(pool(tokens, valid), tokens, valid)
