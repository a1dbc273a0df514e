"""Audio tagging for SpeechBrain with full-frequency temporal patching.

An implementation of https://arxiv.org/abs/2508.21243.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.upstream_names import register  # noqa: F401

__version__ = "0.1.0"
