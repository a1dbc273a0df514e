"""Tags sounds in audio files with a model.onnx, without PyTorch.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import os
from typing import TYPE_CHECKING

from fftp_tag.version import __version__

if TYPE_CHECKING:
    from fftp_tag.learning.learn import learn
    from fftp_tag.score.evaluate import evaluate
    from fftp_tag.tag.events import Event, Tag, Timeline
    from fftp_tag.tag.tagger import AudioTagger

__all__ = [
    "AudioTagger",
    "Event",
    "Tag",
    "Timeline",
    "evaluate",
    "learn",
]
# ONNX Runtime's telemetry is off unless the user has set this variable, which
# is read when onnxruntime is imported: all of its users import this first
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

MODULES = {
    "AudioTagger": "fftp_tag.tag.tagger",
    "Event": "fftp_tag.tag.events",
    "Tag": "fftp_tag.tag.events",
    "Timeline": "fftp_tag.tag.events",
    "evaluate": "fftp_tag.score.evaluate",
    "learn": "fftp_tag.learning.learn",
}


def __getattr__(name: str) -> object:
    """Imports a name when it is used, so that ``fftp-tag --help`` is fast."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(MODULES[name]), name)
