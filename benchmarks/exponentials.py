"""A Triton kernel that does nothing but exponentials, for gpu.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import triton
import triton.language as tl


@triton.jit
def repeat_exp2(x, repeats, COUNT: tl.constexpr = 1024):
    """Applies 2 ** -x so many times, in registers, to 1024 values a program."""
    x += tl.program_id(0) * COUNT + tl.arange(0, COUNT)
    value = tl.load(x)
    for _ in range(repeats):
        value = tl.exp2(-value)
    tl.store(x, value)
