"""Tells the forms of ONNX files apart.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.model.foreign import ast, optimum, sherpa, waveform
from fftp_tag.model.foreign.join import ForeignFile

FORMS = (waveform, ast, optimum, sherpa)
OWN = "frame_samples"  # a key that the metadata of this package have


def find_foreign(path: Path) -> ForeignFile | None:
    """The model of a known form that is a file, or in a folder, if any."""
    for form in FORMS:
        found = form.find(path)
        if found is not None:
            return found
    return None


def accepted() -> str:
    """The forms, for messages."""
    *others, last = (form.ACCEPTED for form in FORMS)
    return f"a model.onnx of this package, {', '.join(others)}, or {last}"


def is_own(path: Path) -> bool:
    """Whether a file has metadata of this package, or is no ONNX."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(
            path,
            format="protobuf",  # not by the suffix, such as .json
            load_external_data=False,
        )
    except (DecodeError, OSError):
        return True  # what loads it says what is wrong
    is_empty = not model.graph.node
    return is_empty or any(x.key == OWN for x in model.metadata_props)
