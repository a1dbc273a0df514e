"""Published checkpoints of CED, in the form of a Hugging Face folder.

https://huggingface.co/mispeech/ced-tiny and its larger siblings.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.pretrained.front_end import (
    FrontEnd,
    check_number,
    sampling_rate,
)
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels
from speechbrain_fftp.pretrained.renaming import BLOCKS, build, read_sizes

# What is replaced in the names of tensors
PATTERNS = {
    r"^encoder\.": "",
    r"^init_bn\.": "bin_norm.",
    r"^freq_pos_embed$": "freq_positions",
    r"^time_pos_embed$": "time_positions",
    r"^patch_embed\.": "embedding.",
    **BLOCKS,
    r"^outputlayer\.": "classifier.",
}

# Settings of config.json with the values that are supported
CONFIG_FIXED = {
    "pooling": ("mean", "logit"),
    "patch_size": (16,),
    "patch_stride": (16,),
    "qkv_bias": (True,),
    "pad_last": (True,),
    "eval_avg": ("mean",),
}
# Sizes here and in config.json
CONFIG_SIZES = {
    "n_mels": "n_mels",
    "embed_dim": "embed_dim",
    "depth": "depth",
    "num_heads": "num_heads",
    "mlp_ratio": "mlp_ratio",
    "max_frames": "target_length",
}
# The names of published models fix their heads, with 64 channels each.
HEADS = {"ced-tiny": 3, "ced-mini": 4, "ced-small": 6, "ced-base": 12}

# The pieces of its maximum length that a CED encodes as one clip: half a
# minute. Longer files are cut into parts of that length.
CHUNKS = 3


def build_from_folder(checkpoint):
    """Encoder and classifier of a Hugging Face folder."""
    sizes = read_sizes(checkpoint, CONFIG_SIZES, CONFIG_FIXED)
    heads = HEADS.get(str(checkpoint.config.get("name")))
    if heads is not None:
        sizes.update(embed_dim=64 * heads, num_heads=heads)

    def make_encoder(tensors):
        """The encoder of config.json."""
        for name in ("freq_positions", "time_positions"):
            # [1, D, F', 1] or [1, D, 1, T'] -> [D, ...] -> [..., D]
            table = tensors[name].flatten(0, 1).flatten(1)
            tensors[name] = table.T.contiguous()
        return CED(**sizes)

    return build(checkpoint, PATTERNS, make_encoder)


def front_end(encoder, settings):
    """Features as of CedFeatureExtractor."""
    rate = sampling_rate(settings)
    n_fft = check_number(settings, "n_fft", 16, 2**14)
    hop_size = check_number(settings, "hop_size", 16, 2**14)
    f_min = check_number(settings, "f_min", 0, rate / 2, default=0)
    f_max = rate / 2
    if settings.get("f_max"):
        f_max = check_number(settings, "f_max", 0, rate / 2)
    expected = {"win_size": n_fft, "feature_size": encoder.n_mels}
    if "center" in settings:
        expected["center"] = True
    for name, value in expected.items():
        if settings.get(name) != value:
            raise ValueError(
                f"{name} is {settings.get(name)!r}, but only {value} is "
                "supported."
            )
    decibels = MelDecibels(
        sample_rate=rate,
        n_mels=encoder.n_mels,
        n_fft=int(n_fft),
        hop_length=int(hop_size),
        f_min=float(f_min),
        f_max=float(f_max),
    )
    # (x - 0) / (2 * 0.5): the encoder normalises by itself
    identity = DatasetNormalization(mean=0.0, std=0.5)
    return FrontEnd(decibels, identity, CHUNKS * encoder.max_frames)
