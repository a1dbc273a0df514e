"""Published checkpoints of the Audio Spectrogram Transformer, in two forms.

The original's ``.pth`` (https://github.com/YuanGongND/ast) and Hugging Face's
folders with config.json and model.safetensors.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.front_end import (
    FrontEnd,
    check_number,
    sampling_rate,
)
from speechbrain_fftp.pretrained.renaming import (
    PATCHES,
    build,
    count_blocks,
    read_sizes,
    split_positions,
)

# Tensor names here and in the file, see rename_tensors
ORIGINAL = {
    "tokens": ["v.cls_token", "v.dist_token"],
    "positions": ["v.pos_embed"],
    "embedding.proj.*": ["v.patch_embed.proj.*"],
    "blocks.#.norm1.*": ["v.blocks.#.norm1.*"],
    "blocks.#.qkv.*": ["v.blocks.#.attn.qkv.*"],
    "blocks.#.proj.*": ["v.blocks.#.attn.proj.*"],
    "blocks.#.norm2.*": ["v.blocks.#.norm2.*"],
    "blocks.#.mlp.0.*": ["v.blocks.#.mlp.fc1.*"],
    "blocks.#.mlp.3.*": ["v.blocks.#.mlp.fc2.*"],
    "norm.*": ["v.norm.*"],
    "classifier.0.*": ["mlp_head.0.*"],
    "classifier.1.*": ["mlp_head.1.*"],
}

# The two ImageNet classifiers, which the original saves but never runs
ORIGINAL_UNUSED = (
    "v.head.weight",
    "v.head.bias",
    "v.head_dist.weight",
    "v.head_dist.bias",
)

ROOT = "audio_spectrogram_transformer."
EMBEDDINGS = ROOT + "embeddings."
LAYER = ROOT + "encoder.layer.#."
HUGGING_FACE = {
    "tokens": [EMBEDDINGS + "cls_token", EMBEDDINGS + "distillation_token"],
    "positions": [EMBEDDINGS + "position_embeddings"],
    "embedding.proj.*": [EMBEDDINGS + "patch_embeddings.projection.*"],
    "blocks.#.norm1.*": [LAYER + "layernorm_before.*"],
    "blocks.#.qkv.*": [
        LAYER + "attention.attention.query.*",
        LAYER + "attention.attention.key.*",
        LAYER + "attention.attention.value.*",
    ],
    "blocks.#.proj.*": [LAYER + "attention.output.dense.*"],
    "blocks.#.norm2.*": [LAYER + "layernorm_after.*"],
    "blocks.#.mlp.0.*": [LAYER + "intermediate.dense.*"],
    "blocks.#.mlp.3.*": [LAYER + "output.dense.*"],
    "norm.*": [ROOT + "layernorm.*"],
    "classifier.0.*": ["classifier.layernorm.*"],
    "classifier.1.*": ["classifier.dense.*"],
}

# Settings of config.json with the values that are supported
CONFIG_FIXED = {"hidden_act": ("gelu",), "qkv_bias": (True,)}
# Sizes here and in config.json
CONFIG_SIZES = {
    "n_mels": "num_mel_bins",
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "max_frames": "max_length",
    "mlp_dim": "intermediate_size",
    "patch_size": "patch_size",
    "stride": "time_stride",
    "norm_eps": "layer_norm_eps",
}


def build_from_folder(checkpoint):
    """Encoder and classifier of a Hugging Face folder.

    ``layer_norm_eps`` is also that of the classifier's norm.
    """
    sizes = read_sizes(checkpoint, CONFIG_SIZES, CONFIG_FIXED)
    if checkpoint.config.get("frequency_stride") != sizes["stride"]:
        raise ValueError(
            f"{checkpoint.config_file}: frequency_stride="
            f"{checkpoint.config.get('frequency_stride')!r} and time_stride="
            f"{sizes['stride']} must be equal."
        )
    return build(
        checkpoint,
        table=HUGGING_FACE,
        depth=sizes["depth"],
        model="an AST",
        make_encoder=lambda tensors: _make_encoder(tensors, **sizes),
        head_eps=sizes["norm_eps"],
    )


def build_from_file(checkpoint):
    """Encoder and classifier of an original file.

    It does not contain all sizes. Heads are assumed to have 64 channels and
    strides to be 10 bins and frames, as in the published files. Of the ten clip
    lengths with its number of patches, the multiple of 8 is used: the 1024, 512
    or 128 frames of the published training settings.
    """
    return build(
        checkpoint,
        table=ORIGINAL,
        depth=max(1, count_blocks(checkpoint.tensors, "v.blocks.")),
        model="an AST",
        make_encoder=_infer_encoder,
        ignored=ORIGINAL_UNUSED,
    )


def _infer_encoder(tensors):
    """The original encoder that these tensors, renamed, are of."""
    width, _, bins, frames = tensors[PATCHES].shape
    _, n_positions, _ = tensors["positions"].shape
    n_mels, stride = 128, 10
    if bins != frames or not 0 < bins <= n_mels:
        raise ValueError(
            f"Patches of {bins} bins by {frames} frames are not square patches "
            f"of a spectrogram with {n_mels} bins."
        )
    if not width or width % 64:
        raise ValueError(
            f"The width {width} is not a multiple of 64, the channels of a "
            "head in every published AST: the number of heads is unknown."
        )
    rows = (n_mels - bins) // stride + 1
    columns = max((n_positions - 2) // rows, 1)
    return _make_encoder(
        tensors,
        n_mels=n_mels,
        embed_dim=width,
        depth=count_blocks(tensors, "blocks."),
        num_heads=width // 64,
        max_frames=(bins + stride * columns - 1) // 8 * 8,
        mlp_dim=tensors["blocks.0.mlp.0.bias"].numel(),
        patch_size=bins,
        stride=stride,
        norm_eps=1e-6,
    )


def _make_encoder(
    tensors, n_mels, embed_dim, patch_size, stride, mlp_dim, **sizes
):
    """An AST of these sizes, which its tensors are arranged for."""
    encoder = AST(
        n_mels=n_mels,
        embed_dim=embed_dim,
        embedding=SquarePatchEmbedding(n_mels, embed_dim, patch_size, stride),
        mlp_ratio=mlp_dim / embed_dim,
        **sizes,
    )
    split_positions(tensors, encoder, "cls_tokens")
    return encoder


def folder_front_end(encoder, settings):
    """Features as of transformers' ASTFeatureExtractor."""
    n_mels, frames = settings.get("num_mel_bins"), settings.get("max_length")
    if (n_mels, frames) != (encoder.n_mels, encoder.max_frames):
        raise ValueError(
            f"num_mel_bins={n_mels} and max_length={frames} are not those of "
            f"the model, {encoder.n_mels} and {encoder.max_frames}."
        )
    mean, std = 0.0, 0.5  # (x - 0) / (2 * 0.5)
    if settings.get("do_normalize", True):
        mean = check_number(settings, "mean", -1e6, 1e6)
        std = check_number(settings, "std", 1e-6, 1e6)
    return FrontEnd(
        KaldiFbank(sampling_rate(settings), n_mels),
        DatasetNormalization(mean, std),
        encoder.max_frames,
    )
