"""The Mamba block in Audio Mamba's two bidirectional forms.

Equal to the block of https://github.com/kaistmm/Audio-Mamba-AuM, with the same
parameter names and initialisation. PyTorch 2.4 or later is needed, for
``torch.nn.RMSNorm``.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch

from speechbrain_fftp.nnet.convolution import depthwise_conv
from speechbrain_fftp.nnet.selective_scan import selective_scan
from speechbrain_fftp.nnet.tokens import length_mask


def causal_conv_silu(tokens, conv, reverse=False):
    """Mamba's causal convolution, with zeros before the first token, and SiLU.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    conv : torch.nn.Conv1d
        A depthwise convolution.
    reverse : bool
        Whether to convolve backwards in time, with zeros after the last token.

    Returns
    -------
    torch.Tensor
        ``[B, N, D]``.

    Example
    -------
    >>> conv = torch.nn.Conv1d(8, 8, 4, groups=8)
    >>> causal_conv_silu(torch.rand(2, 10, 8), conv).shape
    torch.Size([2, 10, 8])
    """
    kernel = conv.kernel_size[0]
    padding = (0, 0, 0, kernel - 1) if reverse else (0, 0, kernel - 1, 0)
    tokens = torch.nn.functional.pad(tokens, padding)
    weight = conv.weight.flip(2) if reverse else conv.weight
    out = depthwise_conv(tokens, weight, conv.bias)
    return torch.nn.functional.silu(out)


class Mamba(torch.nn.Module):
    """A gated selective state space layer (arXiv 2312.00752, section 3.4).

    The forms, named as in AuM:

    * ``"fo-bi"``: one causal convolution and one set of projections, scanned in
      both directions with separate decay rates; the two outputs are summed
      (``bimamba_type`` "v1" in the original);
    * ``"bi-bi"``: each direction has its own weights and a convolution that
      runs in that direction; the outputs are averaged ("v2").

    Arguments
    ---------
    embed_dim : int
        Number of channels E of a token.
    bidirectional : str
        "fo-bi" or "bi-bi".
    d_state, d_conv : int
        Number of states N per channel, and kernel size of the convolution.
    expand : int
        Number of inner channels, in multiples of ``embed_dim``.
    scan : str
        The scan's backend; see ``selective_scan``.

    Raises
    ------
    ValueError
        If ``bidirectional`` is neither "fo-bi" nor "bi-bi".

    Example
    -------
    >>> layer = Mamba(32, bidirectional="fo-bi")
    >>> layer(torch.rand(2, 50, 32), torch.tensor([50, 20])).shape
    torch.Size([2, 50, 32])
    """

    def __init__(
        self,
        embed_dim,
        bidirectional="fo-bi",
        d_state=16,
        d_conv=4,
        expand=2,
        scan="auto",
    ):
        super().__init__()
        self.scan = scan
        if bidirectional not in ("fo-bi", "bi-bi"):
            raise ValueError(
                f"bidirectional={bidirectional!r} must be fo-bi or bi-bi."
            )
        self.bidirectional = bidirectional
        self.d_state = d_state
        self.d_conv = d_conv
        self.dt_rank = math.ceil(embed_dim / 16)  # of the step sizes
        self.d_inner = expand * embed_dim
        self.in_proj = torch.nn.Linear(embed_dim, 2 * self.d_inner, bias=False)
        self._add_direction("")
        if bidirectional == "fo-bi":
            self.A_b_log = self._decay_rates()
        else:
            self._add_direction("_b")
        self.out_proj = torch.nn.Linear(self.d_inner, embed_dim, bias=False)
        self._init_step_sizes()

    def _add_direction(self, suffix):
        """Adds the weights of a direction, named as in the original."""
        width = self.d_inner
        ranks = self.dt_rank + 2 * self.d_state
        conv = torch.nn.Conv1d(width, width, self.d_conv, groups=width)
        setattr(self, f"A{suffix}_log", self._decay_rates())
        setattr(self, f"D{suffix}", torch.nn.Parameter(torch.ones(width)))
        setattr(self, f"conv1d{suffix}", conv)
        x_proj = torch.nn.Linear(width, ranks, bias=False)
        setattr(self, f"x_proj{suffix}", x_proj)
        dt_proj = torch.nn.Linear(self.dt_rank, width)
        torch.nn.init.zeros_(dt_proj.bias)
        setattr(self, f"dt_proj{suffix}", dt_proj)

    def _decay_rates(self):
        """The logarithms ``[D, N]`` of 1, 2, ... N for each channel."""
        rates = torch.arange(1.0, self.d_state + 1).log()
        return torch.nn.Parameter(rates.repeat(self.d_inner, 1))

    def _init_step_sizes(self):
        """Step sizes of the forward direction from 0.001 to 0.1, log-uniform.

        As in the original, the backward direction keeps softplus(0) = 0.69.
        """
        bound = self.dt_rank**-0.5
        torch.nn.init.uniform_(self.dt_proj.weight, -bound, bound)
        steps = torch.empty_like(self.dt_proj.bias)
        steps.uniform_(math.log(0.001), math.log(0.1)).exp_()
        # softplus(bias) = steps
        self.dt_proj.bias.data = steps + torch.log(-torch.expm1(-steps))

    def forward(self, x, lengths=None):
        """Mixes the tokens of each item.

        Arguments
        ---------
        x : torch.Tensor
            Tokens ``[B, L, E]``.
        lengths : torch.Tensor, optional
            Number of tokens ``[B]`` of each item. Tokens beyond it are
            ignored, and their outputs are zero.

        Returns
        -------
        torch.Tensor
            ``[B, L, E]``.
        """
        if lengths is not None:
            valid = length_mask(lengths, x.shape[1])
            x = x.masked_fill(~valid.unsqueeze(2), 0.0)
        x, z = self.in_proj(x).chunk(2, 2)
        u = causal_conv_silu(x, self.conv1d)
        out = selective_scan(**self._scan_inputs(u, z, lengths))
        if self.bidirectional == "bi-bi":
            u = causal_conv_silu(x, self.conv1d_b, reverse=True)
            inputs = self._scan_inputs(u, z, lengths, suffix="_b")
            out = (out + selective_scan(**inputs, reverse=True)) / 2
        return self.out_proj(out.transpose(1, 2))

    def _scan_inputs(self, u, z, lengths=None, suffix=""):
        """Arguments of the scan from channels u and gate z ``[B, L, D]``."""
        A_log = getattr(self, f"A{suffix}_log")
        x_proj = getattr(self, f"x_proj{suffix}")
        dt_proj = getattr(self, f"dt_proj{suffix}")
        if self.bidirectional == "fo-bi":
            A_log = torch.stack((A_log, self.A_b_log))  # scans both directions
        # The decay rates, in at least float32
        A = -A_log.to(torch.promote_types(A_log.dtype, torch.float32)).exp()
        # [B, L, D] -> [B, L, rank], [B, L, N], [B, L, N]
        ranks = (self.dt_rank, self.d_state, self.d_state)
        delta, B, C = x_proj(u).split(ranks, 2)
        # [B, L, rank] -> [B, L, D]; the scan adds the bias, in float32.
        delta = torch.nn.functional.linear(delta, dt_proj.weight)
        return {
            "u": u.transpose(1, 2),
            "delta": delta.transpose(1, 2),
            "A": A,
            "B": B.transpose(1, 2),
            "C": C.transpose(1, 2),
            "D": getattr(self, f"D{suffix}"),
            "z": z.transpose(1, 2),
            "delta_bias": dt_proj.bias,
            "delta_softplus": True,
            "backend": self.scan,
            "lengths": lengths,
        }


class MambaBlock(torch.nn.Module):
    """A pre-norm residual block around a Mamba layer.

    Arguments
    ---------
    embed_dim : int
        Number of channels D of a token.
    norm_eps : float
        Epsilon of the RMS normalisation.
    **mixer_options : dict
        Options of ``Mamba``.

    Example
    -------
    >>> block = MambaBlock(32, bidirectional="bi-bi")
    >>> block(torch.rand(2, 50, 32)).shape
    torch.Size([2, 50, 32])
    """

    def __init__(self, embed_dim, norm_eps=1e-5, **mixer_options):
        super().__init__()
        self.norm = torch.nn.RMSNorm(embed_dim, eps=norm_eps)
        self.mixer = Mamba(embed_dim, **mixer_options)

    def forward(self, x, lengths=None):
        """Applies the block.

        Arguments
        ---------
        x : torch.Tensor
            Tokens ``[B, N, D]``.
        lengths : torch.Tensor, optional
            Number of tokens ``[B]`` of each clip.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]`` with the dtype of x.
        """
        normalised = self.norm(x.to(self.norm.weight.dtype))
        return x + self.mixer(normalised, lengths)
