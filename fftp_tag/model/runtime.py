"""Loads files into ONNX Runtime, and names its errors.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING

from fftp_tag.errors import InputError
from fftp_tag.packages import require

if TYPE_CHECKING:
    import onnxruntime


def start_session(
    path: str | bytes, threads: int | None
) -> "onnxruntime.InferenceSession":
    """Loads a file, or its content, into ONNX Runtime."""
    onnxruntime = require("onnxruntime", "A model.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised: no need to log them
    options.intra_op_num_threads = threads or 0
    # Higher levels slow down loading and do not speed up inference
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    # Spinning threads would slow down other processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
    except runtime_errors() as error:
        if isinstance(path, bytes):
            raise
        raise InputError(
            f"{path} is damaged or not an ONNX model, copy or train it again: "
            f"{first_line(error)}"
        ) from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """The exceptions of ONNX Runtime, which have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return (
        errors.EPFail,
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
        errors.NotImplemented,
        errors.RuntimeException,
        UnicodeDecodeError,  # of a message that quotes a damaged name
    )


def first_line(error: Exception) -> str:
    """The first line of a message, shortened and made printable."""
    line = str(error).strip().partition("\n")[0][:300]
    return "".join(filter(str.isprintable, line))
