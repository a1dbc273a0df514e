"""Published checkpoints of Dasheng, an encoder without classes, in two forms.

Hugging Face's folders, as https://huggingface.co/mispeech/dasheng-base and its
larger siblings, and the authors' ``.pt`` (https://zenodo.org/records/11511780).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.ATST import ATST
from speechbrain_fftp.pretrained import ced
from speechbrain_fftp.pretrained.renaming import (
    BLOCKS,
    POSITIONS,
    build,
    count_blocks,
    count_heads,
)

# What is replaced in the names of tensors
PATTERNS = {
    r"^encoder\.": "",
    r"^init_bn\.1\.": "bin_norm.",
    r"^freq_pos_embed$": "freq_positions",
    r"^time_pos_embed$": "time_positions",
    r"^patch_embed\.": "embedding.",
    **BLOCKS,
}
# They follow from the front end.
UNUSED = ("front_end.0.spectrogram.window", "front_end.0.mel_scale.fb")

N_MELS = 64
PATCH_FRAMES = 4
# What a file does not state; folders have it in preprocessor_config.json.
FRONT_END = {
    "sampling_rate": 16000,
    "n_fft": 512,
    "win_size": 512,
    "hop_size": 160,
    "f_min": 0,
    "f_max": 8000,
    "center": True,
    "feature_size": N_MELS,
}
# The published model whose heads do not have 64 channels
WIDTH_06B = 1280
HEADS_06B = 16


def build_from_folder(checkpoint):
    """Encoder of a Hugging Face folder, and no classifier."""
    settings = checkpoint.config.get("encoder_kwargs")
    if not isinstance(settings, dict):
        raise ValueError(
            f"{checkpoint.config_file}: encoder_kwargs must be an object, not "
            f"{str(settings)[:80]!r}."
        )
    return _build(checkpoint, settings)


def build_from_file(checkpoint):
    """Encoder of an authors' file, and no classifier."""
    return _build(checkpoint, checkpoint.config)


def _build(checkpoint, settings):
    """The encoder that the tensors are of, which settings must agree with."""

    def make_encoder(tensors):
        """An encoder of the sizes of the tensors."""
        for name in UNUSED:
            tensors.pop(name, None)
        # [1, D, 1, T'] + [1, D, 1, 1] -> [1, T', D]
        positions = tensors.pop("time_positions")
        _, width, _, n_steps = positions.shape
        same = tensors.pop("freq_positions").view(1, width, 1, 1)
        table = (positions + same).squeeze(2).transpose(1, 2)
        tensors[POSITIONS] = table.contiguous()
        sizes = {
            "embed_dim": width,
            "depth": count_blocks(tensors),
            "mlp_ratio": len(tensors["blocks.0.mlp.0.bias"]) / width,
        }
        max_frames = PATCH_FRAMES * n_steps
        patch = [N_MELS, PATCH_FRAMES]
        _check_settings(
            settings,
            {
                **sizes,
                "target_length": max_frames,
                "patch_size": patch,
                "patch_stride": patch,
                "qkv_bias": True,
            },
        )
        return ATST(
            n_mels=N_MELS,
            num_heads=_read_heads(settings, width),
            max_frames=max_frames,
            pooling="mean",
            has_bin_norm=True,
            **sizes,
        )

    return build(checkpoint, PATTERNS, make_encoder, _no_classifier)


def _check_settings(settings, expected):
    """Raises a ValueError if a setting that is stated has another value."""
    for name, value in expected.items():
        stated = settings.get(name, value)
        if isinstance(stated, tuple):
            stated = list(stated)
        if stated != value:
            raise ValueError(
                f"{name} is {str(stated)[:80]}, but {value} in the tensors."
            )


def _read_heads(settings, width):
    """The number of attention heads, as stated or as published."""
    default = HEADS_06B if width == WIDTH_06B else None
    heads = settings.get("num_heads", default)
    if heads is None:
        return count_heads(width)
    if type(heads) is not int:
        raise ValueError(f"num_heads is {str(heads)[:80]!r}, not a number.")
    return heads


def _no_classifier(tensors, width):
    """What stands in for a classifier."""
    return torch.nn.Identity()


def file_front_end(encoder, settings):
    """Features of the authors' code, which a file does not state."""
    return ced.front_end(encoder, FRONT_END)
