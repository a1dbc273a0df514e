"""From clips to tokens, and from tokens to the embedding of a clip.

Positions along time are called time patches. Square patches give several tokens
per time patch, ordered frequency-major.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

import torch


def count_valid(lengths, size):
    """Converts relative lengths to numbers of samples, frames or tokens.

    In float32, exact up to 2**23, 8 minutes of samples at 16 kHz.

    Arguments
    ---------
    lengths : torch.Tensor
        Lengths ``[B]`` relative to the length of the batch.
    size : int
        Length N of the batch.

    Returns
    -------
    torch.Tensor
        Absolute lengths ``[B]``, at least 1.

    Example
    -------
    >>> count_valid(torch.tensor([1.0, 0.49, 0.0]), 10)
    tensor([10,  5,  1])
    """
    return (lengths * size).round().long().clamp(min=1)


def length_mask(lengths, size):
    """Mask of the valid positions of a padded batch.

    Arguments
    ---------
    lengths : torch.Tensor
        Absolute lengths ``[B]``.
    size : int
        Length N of the batch.

    Returns
    -------
    torch.Tensor
        ``[B, N]``, False in padding.

    Example
    -------
    >>> length_mask(torch.tensor([3, 1]), 3)
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


class EncodedClips(NamedTuple):
    """The outputs of an encoder.

    Arguments
    ---------
    embedding : torch.Tensor
        Embedding ``[B, 1, D]`` of each clip.
    tokens : torch.Tensor
        Tokens over time ``[B, T', D]``, of any value in padding.
    valid : torch.Tensor or None
        True for a clip's valid tokens ``[B, T']``; None if all are.

    Example
    -------
    >>> clips = EncodedClips(torch.rand(2, 1, 8), torch.rand(2, 12, 8), None)
    >>> clips.tokens.shape
    torch.Size([2, 12, 8])
    """

    embedding: torch.Tensor
    tokens: torch.Tensor
    valid: Optional[torch.Tensor]


def embed_clips(embedding, feats, lengths=None):
    """Embeds the frames of each clip.

    Arguments
    ---------
    embedding : torch.nn.Module
        A patch embedding.
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lengths : torch.Tensor, optional
        Lengths ``[B]`` relative to T; None if all clips are equally long.

    Returns
    -------
    tokens : torch.Tensor
        Tokens ``[B, F' * T', D]``.
    time_patches : torch.Tensor or None
        Each clip's number of time patches ``[B]``, on the device of the
        features.
    valid : torch.Tensor or None
        True for a clip's valid time patches ``[B, T']``.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> tokens, time_patches, valid = embed_clips(
    ...     FFTPEmbedding(16, 8), torch.rand(2, 100, 16), torch.tensor([1, 0.5])
    ... )
    >>> tokens.shape, time_patches, valid.shape
    (torch.Size([2, 16, 8]), tensor([16,  6]), torch.Size([2, 16]))
    """
    if lengths is None:
        return embedding(feats), None, None
    n_frames = count_valid(lengths, feats.shape[1])
    n_frames = n_frames.to(feats.device, non_blocking=True)
    padding = ~length_mask(n_frames, feats.shape[1])
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats.masked_fill(padding.unsqueeze(2), 0.0))
    time_patches = embedding.time_patches(n_frames)
    n_time_patches = tokens.shape[1] // embedding.freq_patches
    return tokens, time_patches, length_mask(time_patches, n_time_patches)


class TokenBatchNorm(torch.nn.Module):
    """Weights and running statistics of a batch normalisation of tokens.

    As ``torch.nn.BatchNorm1d``, which ``token_batch_norm`` takes as well. But
    DDP replaces that by ``SyncBatchNorm``, which refuses CPUs; with this layer,
    ``token_batch_norm`` shares statistics between processes itself.

    Arguments
    ---------
    channels : int
        Number of channels D.
    eps, momentum : float
        See ``torch.nn.BatchNorm1d``.

    Example
    -------
    >>> norm = TokenBatchNorm(8)
    >>> token_batch_norm(norm, torch.rand(2, 10, 8)).shape
    torch.Size([2, 10, 8])
    """

    process_group = None  # all processes

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        """Normalises vectors by their own statistics, in training.

        Arguments
        ---------
        x : torch.Tensor
            Vectors ``[M, D]``.

        Returns
        -------
        torch.Tensor
            Vectors ``[M, D]``.
        """
        if self.training:
            self.num_batches_tracked.add_(1)
        return torch.nn.functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )


def token_batch_norm(norm, tokens, valid=None):
    """Applies batch normalisation with the statistics of the clips' valid tokens.

    A single token is normalised by the running statistics. In a training with
    several processes, the statistics are those of all processes.

    Arguments
    ---------
    norm : torch.nn.Module
        ``TokenBatchNorm``, ``torch.nn.BatchNorm1d`` or ``SyncBatchNorm``.
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's valid tokens ``[B, N]``; padding is set to 0.0.

    Returns
    -------
    torch.Tensor
        Tokens ``[B, N, D]``.

    Example
    -------
    >>> norm = TokenBatchNorm(8)
    >>> token_batch_norm(norm, torch.rand(2, 10, 8)).mean().abs() < 1e-6
    tensor(True)
    """
    flat = tokens.flatten(0, 1)  # [B * N, D]
    if valid is not None:
        valid = valid.flatten().unsqueeze(1)  # [B * N, 1]
    # One process may have padding and another none: both take the same steps
    is_plain = valid is None and len(flat) > 1 and not is_shared(norm)
    if is_plain or not norm.training:
        flat = norm(flat)
    else:
        flat = weighted_batch_norm(norm, flat, valid)
    if valid is not None:
        flat = flat.masked_fill(~valid, 0.0)
    return flat.view_as(tokens)


def weighted_batch_norm(norm, x, valid=None):
    """Batch normalisation in training, with a weight of 0 for padding.

    Without indexing by a mask, which makes a GPU tell how many are valid, and
    breaks the graph of compiled code.

    Arguments
    ---------
    norm : torch.nn.Module
        The layer, whose running statistics are updated.
    x : torch.Tensor
        Vectors ``[M, D]``.
    valid : torch.Tensor, optional
        False for vectors that are padding ``[M, 1]``.

    Returns
    -------
    torch.Tensor
        Vectors ``[M, D]``, of any value in padding.

    Example
    -------
    >>> x = torch.tensor([[1.0], [3.0], [9.0]])
    >>> valid = torch.tensor([[True], [True], [False]])
    >>> weighted_batch_norm(TokenBatchNorm(1), x, valid)[:2]
    tensor([[-1.0000],
            [ 1.0000]], grad_fn=<SliceBackward0>)
    """
    if valid is None:
        valid = x.new_ones(len(x), 1, dtype=torch.bool)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide.masked_fill(~valid, 0.0)
    weights = valid.to(wide.dtype)
    sums = torch.cat([wide.sum(0), weights.sum(0)])
    sums = sum_processes(norm, sums)
    count = sums[-1]
    mean = sums[:-1] / count
    squares = ((wide - mean) * weights).square().sum(0)
    variance = sum_processes(norm, squares) / count
    is_many = count > 1
    with torch.no_grad():
        momentum = norm.momentum * is_many
        unbiased = variance * count / (count - 1).clamp(min=1)
        norm.running_mean.lerp_(mean, momentum)
        norm.running_var.lerp_(unbiased, momentum)
        norm.num_batches_tracked.add_(is_many)
    mean = torch.where(is_many, mean, norm.running_mean)
    variance = torch.where(is_many, variance, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return ((wide - mean) * scale + norm.bias).to(x.dtype)


def is_shared(norm):
    """Whether several processes share the statistics of a normalisation.

    Arguments
    ---------
    norm : torch.nn.Module
        The layer.

    Returns
    -------
    bool

    Example
    -------
    >>> is_shared(TokenBatchNorm(1))
    False
    """
    layers = (TokenBatchNorm, torch.nn.SyncBatchNorm)
    return torch.distributed.is_initialized() and isinstance(norm, layers)


def sum_processes(norm, x):
    """Sums over the processes that share the statistics of a normalisation.

    Arguments
    ---------
    norm : torch.nn.Module
        The layer.
    x : torch.Tensor
        What is summed, of any shape.

    Returns
    -------
    torch.Tensor
        The sum, through which gradients flow to all processes.

    Example
    -------
    >>> sum_processes(TokenBatchNorm(1), torch.ones(2))
    tensor([1., 1.])
    """
    if not is_shared(norm):
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(
        x, group=norm.process_group or torch.distributed.group.WORLD
    )


def pool_tokens(pooling, cls, tokens, valid=None):
    """The embedding of each clip.

    Arguments
    ---------
    pooling : str
        "cls", "mean" or "cls+mean".
    cls : torch.Tensor
        The mean of the class tokens ``[B, 1, D]``.
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's valid tokens ``[B, N]``; by default, all are.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``.

    Raises
    ------
    ValueError
        If the pooling is unknown.

    Example
    -------
    >>> cls, tokens = torch.tensor([[[1.0]]]), torch.tensor([[[2.0], [4.0]]])
    >>> pool_tokens("cls+mean", cls, tokens)
    tensor([[[2.]]])
    """
    if pooling == "cls":
        return cls
    if pooling == "mean":
        return mean_token(tokens, valid)
    if pooling == "cls+mean":
        return (cls + mean_token(tokens, valid)) / 2
    raise ValueError(f"pooling={pooling!r} must be cls, mean or cls+mean.")


def mean_token(tokens, valid=None):
    """The mean of a clip's valid tokens.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's valid tokens ``[B, N]``; by default, all are.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``.

    Example
    -------
    >>> tokens = torch.tensor([[[1.0], [2.0], [9.0]]])
    >>> mean_token(tokens, torch.tensor([[True, True, False]]))
    tensor([[[1.5000]]])
    """
    if valid is None:
        return tokens.mean(1, keepdim=True)
    weights = valid.to(tokens.dtype).unsqueeze(2)
    total = (tokens * weights).sum(1, keepdim=True)
    return total / weights.sum(1, keepdim=True)
