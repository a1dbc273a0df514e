"""Tags sounds in audio files with a model.onnx, without PyTorch.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fftp_tag.events import Event, Tag, Timeline
    from fftp_tag.tagger import AudioTagger, FileTags

__all__ = ["AudioTagger", "Event", "FileTags", "Tag", "Timeline"]


def __getattr__(name: str) -> object:
    """Imports a class when it is used, so that ``fftp-tag --help`` is fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from fftp_tag import events, tagger

    return getattr(tagger, name, None) or getattr(events, name)
