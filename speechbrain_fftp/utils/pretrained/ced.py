"""Loads published checkpoints of CED, in the form of a Hugging Face folder.

https://huggingface.co/mispeech/ced-tiny and its larger siblings.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.utils.pretrained.tensors import (
    _fill_model,
    _read_config,
    _read_number,
    _rename_tensors,
    read_tensors,
)

# Tensor names here and in the file, see _rename_tensors.
NAMES = {
    "bin_norm.*": ["encoder.init_bn.*"],
    "bin_norm.running_mean": ["encoder.init_bn.running_mean"],
    "bin_norm.running_var": ["encoder.init_bn.running_var"],
    "bin_norm.num_batches_tracked": ["encoder.init_bn.num_batches_tracked"],
    "freq_positions": ["encoder.freq_pos_embed"],
    "time_positions": ["encoder.time_pos_embed"],
    "embedding.proj.*": ["encoder.patch_embed.proj.*"],
    "blocks.#.norm1.*": ["encoder.blocks.#.norm1.*"],
    "blocks.#.qkv.*": ["encoder.blocks.#.attn.qkv.*"],
    "blocks.#.proj.*": ["encoder.blocks.#.attn.proj.*"],
    "blocks.#.norm2.*": ["encoder.blocks.#.norm2.*"],
    "blocks.#.mlp.0.*": ["encoder.blocks.#.mlp.fc1.*"],
    "blocks.#.mlp.3.*": ["encoder.blocks.#.mlp.fc2.*"],
    "norm.*": ["encoder.norm.*"],
    "classifier.0.*": ["outputlayer.0.*"],
    "classifier.1.*": ["outputlayer.1.*"],
}

# Values of config.json that CED does not support otherwise.
CONFIG_FIXED = {
    "model_type": "ced",
    "patch_size": 16,
    "patch_stride": 16,
    "qkv_bias": True,
    "pad_last": True,
    "eval_avg": "mean",
}
# Sizes here and in config.json.
CONFIG_SIZES = {
    "n_mels": "n_mels",
    "embed_dim": "embed_dim",
    "depth": "depth",
    "num_heads": "num_heads",
    "max_frames": "target_length",
}
# Width and heads of published models, which their names fix.
PUBLISHED = {
    "ced-tiny": (192, 3),
    "ced-mini": (256, 4),
    "ced-small": (384, 6),
    "ced-base": (768, 12),
}


def load_ced(folder):
    """Loads a published CED.

    Arguments
    ---------
    folder : str
        A Hugging Face folder with config.json and model.safetensors.

    Returns
    -------
    encoder : speechbrain_fftp.lobes.models.CED.CED
        The encoder: float32, on the CPU, in eval mode, without dropout.
    classifier : torch.nn.Sequential
        Its layer normalization and linear layer, likewise; with logits as
        output, also where the original's ``pooling`` includes the sigmoid.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or lacks a file.
    ValueError
        If a file cannot be read or is not of a CED that ``CED`` supports. The
        message names the file.

    Example
    -------
    >>> load_ced("ced-tiny")
    Traceback (most recent call last):
    FileNotFoundError: There is no folder ced-tiny.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}.")
    sizes = _config_sizes(path / "config.json")
    path = path / "model.safetensors"
    state = read_tensors(path)
    try:
        what = f"a CED of depth {sizes['depth']}"
        tensors = _rename_tensors(state, NAMES, sizes["depth"], what)
        for name in ("freq_positions", "time_positions"):
            # [1, D, F', 1] or [1, D, 1, T'] -> [F', D] or [T', D]
            tensors[name] = (
                tensors[name].flatten(0, 1).flatten(1).T.contiguous()
            )
        count = tensors["bin_norm.num_batches_tracked"]
        tensors["bin_norm.num_batches_tracked"] = count.view(()).long()
        n_classes = tensors["classifier.1.bias"].numel()
        with torch.device("meta"):
            encoder = CED(**sizes)
            classifier = torch.nn.Sequential(
                torch.nn.LayerNorm(sizes["embed_dim"]),
                torch.nn.Linear(sizes["embed_dim"], n_classes),
            )
        return _fill_model(encoder, classifier, tensors)
    except (IndexError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _config_sizes(path):
    """Arguments of the CED that a config.json describes."""
    config, sizes = _read_config(path, CONFIG_FIXED, CONFIG_SIZES)
    pooling = config.get("pooling")
    if pooling not in ("mean", "logit"):
        raise ValueError(
            f"{path}: pooling is {pooling!r}, but only 'mean' and 'logit' are "
            "supported."
        )
    name = str(config.get("name"))
    if name in PUBLISHED:
        sizes["embed_dim"], sizes["num_heads"] = PUBLISHED[name]
    return {**sizes, "mlp_ratio": _read_number(path, config, "mlp_ratio")}
