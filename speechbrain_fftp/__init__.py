"""Audio tagging for SpeechBrain with full-frequency temporal patching.

An implementation of https://arxiv.org/abs/2508.21243.

Authors
 * The speechbrain_fftp authors 2026
"""

from fftp_tag.version import __version__
from speechbrain_fftp.upstream_names import register
