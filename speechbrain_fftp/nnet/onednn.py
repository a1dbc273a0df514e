"""Linear layers and attention that use a CPU's widest instructions.

PyTorch multiplies float32 matrices by MKL, which leaves AVX-512 unused on
processors that are not Intel's: 105 GFLOP/s on a core of an AMD EPYC (Zen 5),
where oneDNN, which is part of PyTorch as well, reaches 230. PyTorch takes
oneDNN for bfloat16 only; here it is taken for float32, too, on such processors.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import platform
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")  # on Linux
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


def _gains_by_onednn():
    """Whether the processor has AVX-512, and MKL leaves it unused."""
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    if not (HAS_ONEDNN and wide):
        return False
    if not CPU_INFO.exists():
        return "GenuineIntel" not in platform.processor()
    with open(CPU_INFO, encoding="ascii", errors="replace") as file:
        first_core = file.read(1000)  # a big machine has many alike
    return "GenuineIntel" not in first_core


# Whether products are left to oneDNN.
BY_ONEDNN = _gains_by_onednn()
# Multiplications from which on its greater overhead per call does not matter.
LEAST_PRODUCT = 2**20
# Tokens from which on attention is faster by it, and how many of them attend
# at a time, so that the weights stay in the cache.
LEAST_TOKENS = 256
BLOCK_TOKENS = 512


@contextlib.contextmanager
def left_to_torch():
    """Leaves all products to PyTorch, in a ``with`` statement.

    Example
    -------
    >>> with left_to_torch():
    ...     linear(torch.ones(1, 2), torch.ones(1, 2))
    tensor([[2.]])
    """
    global BY_ONEDNN
    before, BY_ONEDNN = BY_ONEDNN, False
    try:
        yield
    finally:
        BY_ONEDNN = before


def _by_onednn(x, matrix):
    """Whether a product with a matrix is one that oneDNN does faster."""
    return (
        BY_ONEDNN
        and not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == matrix.dtype == torch.float32
        and x.shape[:-1].numel() * matrix.numel() >= LEAST_PRODUCT
        and not torch.is_autocast_enabled("cpu")
    )


def _needs_gradients(*tensors):
    """Whether gradients of some of them are recorded."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


class _OneDNNLinear(torch.autograd.Function):
    """``x @ weight.T + bias`` by oneDNN."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        """The product, and what its gradients need."""
        ctx.save_for_backward(x, weight)
        return torch.ops.mkldnn._linear_pointwise(
            x, weight, bias, "none", [], ""
        )

    @staticmethod
    def backward(ctx, grad):
        """The gradients of ``x``, ``weight`` and ``bias``."""
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = grad_bias = None
        rows = grad.reshape(-1, grad.shape[-1])
        if ctx.needs_input_grad[0]:
            grad_x = linear(grad, weight.t())
        if ctx.needs_input_grad[1]:
            grad_weight = linear(rows.t(), x.reshape(-1, x.shape[-1]).t())
        if ctx.needs_input_grad[2]:
            grad_bias = rows.sum(0)
        return grad_x, grad_weight, grad_bias


def linear(x, weight, bias=None):
    """``torch.nn.functional.linear``, faster on many CPUs.

    Arguments
    ---------
    x : torch.Tensor
        ``[..., K]``.
    weight : torch.Tensor
        ``[N, K]``.
    bias : torch.Tensor, optional
        ``[N]``.

    Returns
    -------
    torch.Tensor
        ``[..., N]``.

    Example
    -------
    >>> linear(torch.ones(2, 3), torch.ones(4, 3)).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    if _by_onednn(x, weight):
        return _OneDNNLinear.apply(x, weight, bias)
    return torch.nn.functional.linear(x, weight, bias)


def matmul(x, matrix):
    """``x @ matrix``, faster on many CPUs.

    Arguments
    ---------
    x : torch.Tensor
        ``[..., K]``.
    matrix : torch.Tensor
        ``[K, N]``.

    Returns
    -------
    torch.Tensor
        ``[..., N]``.

    Example
    -------
    >>> matmul(torch.ones(2, 3), torch.ones(3, 4)).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    if _by_onednn(x, matrix):
        return _OneDNNLinear.apply(x, matrix.t(), None)
    return x @ matrix


def attention(query, key, value, mask=None, dropout=0.0):
    """``scaled_dot_product_attention``, faster for inference on many CPUs.

    Arguments
    ---------
    query : torch.Tensor
        ``[B, heads, N, D]``.
    key : torch.Tensor
        ``[B, heads, N, D]``.
    value : torch.Tensor
        ``[B, heads, N, D]``.
    mask : torch.Tensor, optional
        True where a token may be attended to, ``[B, 1, 1, N]``.
    dropout : float
        Dropout probability of the weights.

    Returns
    -------
    torch.Tensor
        ``[B, heads, N, D]``.

    Example
    -------
    >>> attention(*torch.rand(3, 2, 4, 98, 64)).shape
    torch.Size([2, 4, 98, 64])
    """
    if (
        mask is not None
        or dropout > 0
        or not _by_onednn(query, key[0, 0])
        or query.shape[2] < LEAST_TOKENS
        or _needs_gradients(query)
    ):
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout
        )
    B, heads, N, D = query.shape
    out = query.new_empty(B, N, heads, D).transpose(1, 2)
    for i in range(B):
        for j in range(heads):
            # Contiguous, [N, D] and [D, N]
            rows, keys = query[i, j] * D**-0.5, key[i, j].contiguous()
            values = value[i, j].t().contiguous()
            blocks = rows.split(BLOCK_TOKENS), out[i, j].split(BLOCK_TOKENS)
            for block, result in zip(*blocks):
                result.copy_(linear(linear(block, keys).softmax(-1), values))
    return out


class Linear(torch.nn.Linear):
    """``torch.nn.Linear``, faster on many CPUs; see ``linear``.

    Example
    -------
    >>> Linear(3, 4)(torch.rand(2, 5, 3)).shape
    torch.Size([2, 5, 4])
    """

    _packed = _packed_of = None  # the weight in oneDNN's order, and its state

    def pack(self):
        """Keeps a second copy of the weight, in the order that oneDNN works in.

        It is used for inference, until the weight is changed.
        """
        self._packed_of = self._state()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(
            self.weight.detach()
        )

    def __getstate__(self):
        """All but the second copy, which can be neither copied nor saved."""
        rest = {"_packed": None, "_packed_of": None}
        return {**self.__dict__, **rest}

    def _state(self):
        """What changes with the weight."""
        return self.weight.data_ptr(), self.weight._version

    def forward(self, x):
        """Applies the layer.

        Arguments
        ---------
        x : torch.Tensor
            ``[..., in_features]``.

        Returns
        -------
        torch.Tensor
            ``[..., out_features]``.
        """
        if (
            self._packed is None
            or _needs_gradients(x, self.weight)
            or not _by_onednn(x, self.weight)
            or self._packed_of != self._state()
        ):
            return linear(x, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(
            x, self._packed, self.bias, "none", [], ""
        )


def pack_weights(module):
    """Makes inference faster on many CPUs, for a second copy of the weights.

    Of all layers ``Linear`` with float32 weights on a CPU that gains by it.

    Arguments
    ---------
    module : torch.nn.Module
        Has such layers.

    Example
    -------
    >>> layer = Linear(3, 4)
    >>> pack_weights(layer)
    >>> with torch.inference_mode():
    ...     layer(torch.rand(2, 5, 3)).shape
    torch.Size([2, 5, 4])
    """
    for layer in module.modules():
        if isinstance(layer, Linear) and BY_ONEDNN:
            weight = layer.weight
            on_cpu = weight.device.type == "cpu" and not weight.is_inference()
            if on_cpu and weight.dtype == torch.float32:
                layer.pack()
