"""Loads published checkpoints of CED, in the form of a Hugging Face folder.

https://huggingface.co/mispeech/ced-tiny and its larger siblings.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.pretrained.ast import ORIGINAL
from speechbrain_fftp.pretrained.tensors import (
    load_renamed,
    read_config,
    read_tensors,
)

# Tensor names here and in the file, see _rename_tensors.
NAMES = {
    new: ["encoder." + old.removeprefix("v.")]
    for new, (old, *_) in ORIGINAL.items()
    if new.startswith(("embedding", "blocks", "norm"))
}
NAMES["freq_positions"] = ["encoder.freq_pos_embed"]
NAMES["time_positions"] = ["encoder.time_pos_embed"]
for name in ("*", "running_mean", "running_var", "num_batches_tracked"):
    NAMES[f"bin_norm.{name}"] = [f"encoder.init_bn.{name}"]
NAMES.update({f"classifier.{n}.*": [f"outputlayer.{n}.*"] for n in (0, 1)})

# The values of config.json that are supported.
CONFIG_FIXED = {"model_type": ("ced",), "pooling": ("mean", "logit")}
CONFIG_FIXED.update(patch_size=(16,), patch_stride=(16,), qkv_bias=(True,))
CONFIG_FIXED.update(pad_last=(True,), eval_avg=("mean",))
# Sizes here and in config.json.
SAME = ("n_mels", "embed_dim", "depth", "num_heads", "mlp_ratio")
CONFIG_SIZES = {**dict(zip(SAME, SAME)), "max_frames": "target_length"}
# The names of published models fix their heads, with 64 channels each.
HEADS = {"ced-tiny": 3, "ced-mini": 4, "ced-small": 6, "ced-base": 12}


def load_ced(folder):
    """Loads the encoder and the classifier of a published CED.

    Both are in float32, on the CPU and in eval mode. ``folder`` has Hugging
    Face's config.json and model.safetensors; errors name the file.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}.")
    config = path / "config.json"
    config, sizes = read_config(config, CONFIG_FIXED, CONFIG_SIZES)
    if heads := HEADS.get(str(config.get("name"))):
        sizes.update(embed_dim=64 * heads, num_heads=heads)
    path = path / "model.safetensors"

    def build(tensors):
        """The encoder that fits the tensors, of which some are reshaped."""
        for name in ("freq_positions", "time_positions"):
            # [1, D, F', 1] or [1, D, 1, T'] -> [D, ...] -> [..., D]
            table = tensors[name].flatten(0, 1).flatten(1)
            tensors[name] = table.T.contiguous()
        count = tensors["bin_norm.num_batches_tracked"]
        tensors["bin_norm.num_batches_tracked"] = count.view(()).long()
        return CED(**sizes)

    state, depth = read_tensors(path), sizes["depth"]
    return load_renamed(path, state, NAMES, depth, "a CED", build)
