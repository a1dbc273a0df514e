"""Published checkpoints of CED, as Hugging Face folders.

https://huggingface.co/mispeech/ced-tiny and its larger siblings.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels
from speechbrain_fftp.pretrained.weights import (
    BLOCKS,
    POSITIONS,
    FrontEnd,
    count_heads,
    load_weights,
    norm_and_linear,
    rename,
    require,
    transformer_sizes,
)

# Replacements in the names of tensors
PATTERNS = {
    r"^encoder\.": "",
    r"^init_bn\.": "bin_norm.",
    r"^patch_embed\.": "embedding.",
    **BLOCKS,
    r"^outputlayer\.": "classifier.",
}
# The config.json of these models states a wrong number of heads
PUBLISHED = ("ced-tiny", "ced-mini", "ced-small", "ced-base")
N_MELS = 64
PATCH_SIZE = 16

# Number of chunks that a CED encodes as one clip, half a minute. Longer files
# are cut into pieces of that length.
CHUNKS = 3


def make_ced(
    embed_dim=192,
    depth=12,
    num_heads=3,
    mlp_ratio=4.0,
    max_frames=1012,
):
    """The encoder of CED; by default, CED-tiny."""
    return ChunkedTransformer(
        n_mels=N_MELS,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        embedding=SquarePatchEmbedding(
            N_MELS, embed_dim, PATCH_SIZE, stride=PATCH_SIZE
        ),
        max_frames=max_frames,
        mlp_ratio=mlp_ratio,
        pooling="chunks",
        has_bin_norm=True,
    )


def build(tensors, config):
    """Encoder and classifier of a Hugging Face folder."""
    require(config, "pooling", "mean", "logit")
    tensors = rename(tensors, PATTERNS)
    sizes = transformer_sizes(tensors)
    num_heads = config["num_heads"]
    if config.get("name") in PUBLISHED:
        num_heads = count_heads(sizes["embed_dim"])
    encoder = make_ced(
        **sizes,
        num_heads=num_heads,
        max_frames=config["target_length"],
    )
    # [1, D, F', 1] + [1, D, 1, T'] -> [F', T', D]
    positions = tensors.pop("freq_pos_embed") + tensors.pop("time_pos_embed")
    positions = positions.squeeze(0).permute(1, 2, 0)
    tensors[POSITIONS] = positions.reshape(encoder.position.table.shape)
    classifier = norm_and_linear(tensors, encoder.embed_dim)
    return load_weights(encoder, classifier, tensors)


def front_end(encoder, settings):
    """Features as in CedFeatureExtractor and DashengFeatureExtractor.

    Without settings, they are those of the authors' files of Dasheng.
    """
    decibels = MelDecibels()
    if settings:
        require(settings, "win_size", settings["n_fft"])
        decibels = MelDecibels(
            sample_rate=settings["sampling_rate"],
            n_mels=settings["feature_size"],
            n_fft=settings["n_fft"],
            hop_length=settings["hop_size"],
            f_min=settings.get("f_min") or 0.0,
            f_max=settings.get("f_max") or settings["sampling_rate"] / 2,
        )
    # (x - 0) / (2 * 0.5): the encoder has its own normalisation
    identity = DatasetNormalization(mean=0.0, std=0.5)
    return FrontEnd(decibels, identity, CHUNKS * encoder.max_frames)
