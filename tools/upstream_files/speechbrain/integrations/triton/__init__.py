"""Package of GPU kernels in `Triton <https://triton-lang.org>`_.

Authors
 * The speechbrain_fftp authors 2026
"""
