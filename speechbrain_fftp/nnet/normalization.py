"""Batch normalisation of the tokens of padded clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class TokenBatchNorm(torch.nn.Module):
    """Batch normalisation with the statistics of the valid tokens.

    As ``torch.nn.BatchNorm1d`` on the valid tokens alone, whose state dict it
    shares; but padding has a weight of 0, since indexing by a mask makes a GPU
    tell how many tokens are valid, and breaks the graph of compiled code. A
    batch of a single token is normalised by the running statistics. In a
    training with several processes, the statistics are those of all processes,
    on CPUs as well, where ``torch.nn.SyncBatchNorm`` does not work.

    Arguments
    ---------
    channels : int
        Number of channels D of a token.
    eps, momentum : float
        See ``torch.nn.BatchNorm1d``.

    Example
    -------
    >>> norm = TokenBatchNorm(8)
    >>> norm(torch.rand(2, 10, 8)).mean().abs() < 1e-6
    tensor(True)
    >>> norm = TokenBatchNorm(1)
    >>> tokens = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> norm(tokens, torch.tensor([[True, True, False]])).flatten()
    tensor([-1.0000,  1.0000,  0.0000], grad_fn=<ViewBackward0>)
    """

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, tokens, valid=None):
        """Normalises a batch.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``.
        valid : torch.Tensor, optional
            True for a clip's valid tokens ``[B, N]``; others become 0.0.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        x = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        if valid is not None:
            valid = valid.unsqueeze(2)  # [B, N, 1]
            x = x.masked_fill(~valid, 0.0)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = self._batch_statistics(x, valid)
        scale = self.weight * (variance + self.eps).rsqrt()
        x = ((x - mean) * scale + self.bias).to(tokens.dtype)
        return x if valid is None else x.masked_fill(~valid, 0.0)

    def _batch_statistics(self, x, valid):
        """Mean and variance ``[D]`` of a batch; updates the running ones."""
        weights = torch.ones_like(x[..., :1]) if valid is None else valid
        weights = weights.to(x.dtype)
        sums = torch.cat([x.sum((0, 1)), weights.sum((0, 1))])
        sums = _sum_processes(sums)
        count = sums[-1]
        mean = sums[:-1] / count
        squares = ((x - mean) * weights).square().sum((0, 1))
        variance = _sum_processes(squares) / count
        is_many = count > 1
        with torch.no_grad():
            momentum = self.momentum * is_many.to(x.dtype)
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(unbiased, momentum)
            self.num_batches_tracked.add_(is_many)
        mean = torch.where(is_many, mean, self.running_mean)
        return mean, torch.where(is_many, variance, self.running_var)


def _sum_processes(x):
    """Sums over the processes of a training; gradients flow to all of them."""
    if not torch.distributed.is_initialized():
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(x)
