"""Audio tagging for SpeechBrain with full-frequency temporal patching.

An implementation of https://arxiv.org/abs/2508.21243.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.upstream_names import register  # noqa: F401

# ONNX Runtime's telemetry is off unless the user has set this variable, which
# is read when onnxruntime is imported: all of its users import this first
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
