"""Reads the weights of an encoder from a ``model.onnx`` of this package.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import torch

from fftp_tag.errors import InputError
from fftp_tag.model.info import ModelInfo
from fftp_tag.packages import require

# Of an encoder in the exported model; the second classifies its tokens
PREFIXES = ("parts.embedding_model.", "parts.embedding_model.encoder.")


def read_onnx(
    path: Path, encoder: torch.nn.Module
) -> tuple[dict[str, torch.Tensor], int]:
    """Reads the tensors of an encoder's state; those in int8 as float32.

    Returns them, and the encoder's stride in frames.

    Raises
    ------
    InputError
        If the model has no weights of some names.
    """
    onnx = require("onnx", "Reading a model.onnx")
    model = onnx.load(path)
    info = ModelInfo.from_metadata(
        {x.key: x.value for x in model.metadata_props}
    )
    arrays = {
        x.name: onnx.numpy_helper.to_array(x) for x in model.graph.initializer
    }
    for name in [x for x in arrays if x.endswith("_quantized")]:
        own = name.removesuffix("_quantized")
        zero = arrays[f"{own}_zero_point"].astype(np.float32)
        arrays[own] = (arrays[name] - zero) * arrays[f"{own}_scale"]
    state = {}
    for name, tensor in encoder.state_dict().items():
        for full in (prefix + name for prefix in PREFIXES):
            if full in arrays:
                array = arrays[full]
            elif f"{full}.T" in arrays:
                array = arrays[f"{full}.T"].swapaxes(0, 1)
            else:
                continue
            state[name] = torch.tensor(array)
        if name not in state:
            raise InputError(
                f"it has no weights named {name}, since it has another encoder "
                "than the yaml or is of an earlier version"
            )
    return state, (info.token_samples or 0) // info.frame_samples
