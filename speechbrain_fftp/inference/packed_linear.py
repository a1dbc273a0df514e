"""Faster inference: oneDNN instead of MKL, one thread for small calls, strides.

PyTorch multiplies float32 matrices with MKL, which does not use AVX-512 on
other vendors' processors. ``pack_linear`` makes a model use oneDNN there, which
is part of PyTorch; on all other machines it changes nothing. Training keeps
PyTorch's layers.

PyTorch's threads wait for each other after every operation. While another
process needs a core, that takes far longer than the operations of a small
model themselves: ``CallThreads`` uses one thread for these.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import platform
from pathlib import Path

import torch
from torch.utils import _python_dispatch

from speechbrain_fftp.lobes.models.AST import TransformerBlock

CPU_INFO = Path("/proc/cpuinfo")  # on Linux
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)
# Multiply-accumulates from which oneDNN's greater overhead per call pays off.
MIN_MACS = 2**20
# Number of tokens from which attention is faster with oneDNN, and the number
# of queries per block, so that their attention weights fit the cache.
MIN_TOKENS = 256
BLOCK_TOKENS = 512
# Multiply-accumulates of a call from which more threads than one are used: an
# AST of 12 layers of 192 has a thousand million for 10 s at 200 tokens
MIN_WORK = 2**29
PROCESS = os.getpid()  # that of the parent in one that was forked since


def pack_linear(module, force=False):
    """Makes inference with a module faster, in place, where oneDNN helps.

    Each float32 ``torch.nn.Linear`` on the CPU within the module keeps a copy
    of its weight in oneDNN's layout, and attention without a mask is computed
    block by block. Weights take twice the memory; the state dict stays the
    same.

    Arguments
    ---------
    module : torch.nn.Module
        The module to change.
    force : bool
        Whether to change it on CPUs that do not benefit, too.

    Returns
    -------
    int
        Number of replaced layers.

    Example
    -------
    >>> model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU())
    >>> x = torch.randn(8, 512)
    >>> expected = model(x)
    >>> count = pack_linear(model)
    >>> with torch.no_grad():
    ...     torch.allclose(model(x), expected, atol=1e-5)
    True
    """
    if not HAS_ONEDNN or not (force or _cpu_benefits()):
        return 0
    count = 0
    for parent in list(module.modules()):
        if isinstance(parent, TransformerBlock):
            parent.attend = _blocked_attention
        for name, child in parent.named_children():
            if type(child) is torch.nn.Linear and _is_packable(child.weight):
                setattr(parent, name, _PackedLinear(child))
                count += 1
    return count


def _cpu_benefits():
    """Whether the CPU has AVX-512 that MKL does not use."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    if not CPU_INFO.exists():
        return "GenuineIntel" not in platform.processor()
    with open(CPU_INFO, encoding="ascii", errors="replace") as file:
        first_core = file.read(1000)
    return "GenuineIntel" not in first_core


def _is_packable(tensor):
    """Whether oneDNN can take a tensor, and changes of it can be noticed."""
    is_float = tensor.device.type == "cpu" and tensor.dtype == torch.float32
    return is_float and not tensor.is_inference()


def _use_onednn(x, n_rows, *weights):
    """Whether to multiply ``[..., K]`` by ``[n_rows, K]`` with oneDNN."""
    return not (
        torch.compiler.is_compiling()  # first: exported sizes are symbolic
        or x.device.type != "cpu"
        or x.dtype != torch.float32
        or x.numel() * n_rows < MIN_MACS
        or torch.is_autocast_enabled("cpu")
        # FLOP counters know torch's operators
        or _python_dispatch.is_in_torch_dispatch_mode()
        or torch.is_grad_enabled()
        and any(t.requires_grad for t in (x, *weights))
    )


def _multiply(x, weight, bias=None):
    """``torch.nn.functional.linear`` with oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _PackedLinear(torch.nn.Linear):
    """A linear layer that keeps a copy of its weight in oneDNN's layout.

    The copy is made at the first call and again after the weight has changed.
    Where gradients are needed, and for other dtypes, devices and small inputs,
    the layer computes what ``torch.nn.Linear`` does.
    """

    def __init__(self, linear):
        torch.nn.Module.__init__(self)
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.train(linear.training)
        self._packed = self._packed_state = None

    def __getstate__(self):
        """All but the packed copy, which can be neither copied nor saved."""
        return {**self.__dict__, "_packed": None, "_packed_state": None}

    def forward(self, x):
        """Maps inputs ``[*, in_features]`` to ``[*, out_features]``."""
        weight = self.weight
        if not _use_onednn(x, len(weight), weight) or not _is_packable(weight):
            return super().forward(x)
        state = weight.data_ptr(), weight._version
        if self._packed_state != state:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(
                weight.detach()
            )
            self._packed_state = state
        return _multiply(x, self._packed, self.bias)


def _blocked_attention(query, key, value, attn_mask=None, dropout_p=0.0):
    """``scaled_dot_product_attention`` in blocks that fit the cache.

    All but a mask are ``[B, heads, N, D]``. With a mask or dropout, and for few
    tokens, torch computes the attention.
    """
    B, heads, N, D = query.shape
    if (
        attn_mask is not None
        or dropout_p > 0
        or N < MIN_TOKENS
        or not _use_onednn(query[0, 0], N, query, key, value)
    ):
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p
        )
    out = query.new_empty(B, N, heads, D).transpose(1, 2)
    for i in range(B):
        for j in range(heads):
            # Contiguous, [N, D] and [D, N]
            rows, keys = query[i, j] * D**-0.5, key[i, j].contiguous()
            values = value[i, j].t().contiguous()
            blocks = rows.split(BLOCK_TOKENS), out[i, j].split(BLOCK_TOKENS)
            for block, result in zip(*blocks):
                weights = _multiply(block, keys).softmax(-1)
                result.copy_(_multiply(weights, values))
    return out


class CallThreads:
    """Chooses the number of torch's CPU threads for each call of a model.

    Work is estimated as parameters times tokens; for less than ``MIN_WORK`` on
    a CPU it is one, or else torch's own number. A process that was forked after
    loading always uses one thread, because more would wait forever. A copy that
    was pickled may use more in any other process.
    """

    def __init__(self, threads, encoder, max_frames, sample_rate):
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads} must be positive.")
        self.threads, self.process = threads, os.getpid()
        weights = list(encoder.parameters())
        embedding = getattr(encoder, "embedding", None)
        tokens = getattr(embedding, "num_patches", int)(max_frames)
        macs = sum(map(torch.numel, weights)) * tokens
        self.work = macs / (max_frames * sample_rate / 100)  # of one sample
        self.on_cpu = all(weight.device.type == "cpu" for weight in weights)

    def __setstate__(self, state):
        self.__dict__.update(state, process=PROCESS)

    @contextlib.contextmanager
    def set(self, wavs):
        """Sets the calling thread's number for its waveforms, in a block.

        Threads that use torch for the first time meanwhile start with it, too.
        """
        before = torch.get_num_threads()
        small = self.on_cpu and wavs.numel() * self.work < MIN_WORK
        number = self.threads or (1 if small else before)
        if os.getpid() != self.process:
            number = 1
        if number == before:
            yield
            return
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def set_stride(encoder, stride_frames):
    """Changes the number of frames from one token to the next.

    Positions are interpolated, as in training with ``strides``. Returns the
    strides that the encoder was trained for. An impossible stride, or an
    encoder without ``FFTPEmbedding``, is a ValueError.
    """
    embedding = getattr(encoder, "embedding", None)
    if getattr(embedding, "freq_patches", None) != 1:
        raise ValueError(
            f"The stride of a {type(encoder).__name__} cannot be changed: it "
            "has no patches that cover all mel bins (FFTPEmbedding)."
        )
    embedding.check_stride(stride_frames)
    trained = sorted(embedding.strides or [embedding.stride_frames])
    embedding.stride_frames = stride_frames
    if hasattr(encoder, "position"):
        encoder.position.resize(embedding.time_patches(encoder.max_frames))
    return trained
