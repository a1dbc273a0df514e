"""The selective scan of mamba_ssm, where that package is installed.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.nnet.selective_scan.torch_backend import mask_and_bias


def mamba_ssm_scan(
    u,
    delta,
    A,
    B,
    C,
    D=None,
    z=None,
    delta_bias=None,
    delta_softplus=False,
    lengths=None,
    reverse=False,
):
    """Output and last state of ``selective_scan``.

    The CUDA kernel supports neither lengths nor a backward direction, so it
    gets masked and flipped copies, and runs once for each direction.
    """
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    if A.dim() == 3:
        inputs = (B, C, D, z, delta_bias, delta_softplus, lengths)
        forward, _ = mamba_ssm_scan(u, delta, A[0], *inputs)
        backward, _ = mamba_ssm_scan(u, delta, A[1], *inputs, reverse=True)
        return forward + backward, None
    if lengths is not None:
        u, delta, B, C, z = mask_and_bias(
            u, delta, B, C, z, delta_bias, delta_softplus, lengths
        )
        delta_bias, delta_softplus = None, False
    if reverse:
        u, delta, B, C = (x.flip(2) for x in (u, delta, B, C))
        z = None if z is None else z.flip(2)
    out, last_state = selective_scan_fn(
        u,
        delta.to(u.dtype),
        A.float(),
        B.to(u.dtype),
        C.to(u.dtype),
        D=None if D is None else D.float(),
        z=None if z is None else z.to(u.dtype),
        delta_bias=None if delta_bias is None else delta_bias.float(),
        delta_softplus=delta_softplus,
        return_last_state=True,
    )
    if reverse:
        out = out.flip(2)
    return out, last_state
