"""CED and Zipformer, as exported for sherpa-onnx.

A folder with ``model.onnx`` and class_labels_indices.csv, or the file itself.
sherpa-onnx computes the features with kaldi-native-fbank, and takes the first
output for probabilities. A CED has one input, a Zipformer also the numbers of
frames.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np

from fftp_tag.data.audioset import CLASS_LIST, complete_names
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.model.foreign.front_end import Fbank, add_energies, add_log
from fftp_tag.model.foreign.join import (
    PREFIX,
    ForeignFile,
    JoinedModel,
    add_padding,
)
from fftp_tag.model.graphs import GraphBuilder
from fftp_tag.model.info import ModelInfo

ACCEPTED = f"a CED or Zipformer of sherpa-onnx (with {CLASS_LIST})"
CED_FBANK = Fbank(
    64,
    milliseconds=32,
    window_type="hann",
    snip_edges=False,
    remove_dc_offset=False,
    preemphasis=0.0,
    low_freq=0.0,
)
ZIPFORMER_FBANK = Fbank(
    80, window_type="povey", snip_edges=False, high_freq=-400.0
)
# Frames of the longest and shortest clip of a Zipformer, which was trained on 10 s
MAX_FRAMES, MIN_FRAMES = 1000, 50
PATCH = 16  # frames and bins of a CED's patches
RANGE = 120.0  # decibels of a clip's levels


def find(path: Path) -> ForeignFile | None:
    """The model that is a file, or in a folder, if it has this form."""
    model = path / "model.onnx" if path.is_dir() else path
    labels = model.parent / CLASS_LIST
    if model.is_file() and labels.is_file():
        return ForeignFile(model, (labels,), write)
    return None


def write(found: ForeignFile, path: str) -> None:
    """Writes it with the front end that sherpa-onnx has for it."""
    rows = read_table(found.described_by[0], ("display_name",))
    labels = [row["display_name"] for _, row in rows]
    model = JoinedModel(found.model)
    (output, *_) = model.outputs
    n_classes = model.shape(output)[-1]
    if n_classes not in (None, len(labels)):
        raise InputError(
            f"{found.model} has {n_classes} classes, but "
            f"{found.described_by[0]} lists {len(labels)}."
        )
    labels = complete_names(labels)
    inputs = [(name, len(model.shape(name))) for name in model.inputs]
    match inputs:
        case [(features, 3)]:
            write_ced(model, path, features, output, labels)
        case [(features, 3), (lengths, 1)]:
            write_zipformer(model, path, features, lengths, output, labels)
        case _:
            raise InputError(
                f"{found.model} is neither a CED nor a Zipformer of "
                f"sherpa-onnx: its inputs are {', '.join(model.inputs)}."
            )


def write_ced(
    model: JoinedModel, path: str, name: str, output: str, labels: list[str]
) -> None:
    """Writes a CED, of levels ``[B, 64, T]``."""
    fbank, build = CED_FBANK, model.build
    min_samples = fbank.samples(PATCH)
    wavs = add_padding(build, "wavs", min_samples)
    features = add_decibels(build, add_energies(build, wavs, fbank))
    model.run(**{name: build.Transpose(features, perm=[0, 2, 1])})
    embeddings = model.embedding_of(output)
    pooling = model.maker_of(embeddings, ("ReduceMean",))
    if pooling is None:
        raise InputError(f"{model.path} is no CED: it has no mean.")
    # Rows of patches: the mean of each column
    sizes = np.array([0, fbank.n_mels // PATCH, -1])
    size = build.Concat(sizes, build.Shape(embeddings, start=1), axis=0)
    tokens = build.ReduceMean(
        build.Reshape(pooling.input[0], size), 1, keepdims=0
    )
    model.save(
        path,
        ModelInfo(
            labels=labels,
            sample_rate=fbank.sample_rate,
            max_samples=fbank.samples(PATCH * count_positions(model)),
            min_samples=min_samples,
            frame_samples=fbank.shift,
            token_samples=PATCH * fbank.shift,
        ),
        probabilities=PREFIX + output,
        embeddings=embeddings,
        tokens=tokens,
        features=features,
    )


def write_zipformer(
    model: JoinedModel,
    path: str,
    name: str,
    lengths: str,
    output: str,
    labels: list[str],
) -> None:
    """Writes a Zipformer, of log-mel energies ``[B, T, 80]`` and lengths ``[B]``.

    Its classifier is given an embedding for each token; their mean is that of the
    clip. How far apart they are, the file does not tell.
    """
    fbank, build = ZIPFORMER_FBANK, model.build
    min_samples = fbank.samples(MIN_FRAMES)
    wavs = add_padding(build, "wavs", min_samples)
    features = add_log(build, add_energies(build, wavs, fbank))
    n_frames = build.Shape(features, start=1, end=2)
    n_clips = build.Shape(features, start=0, end=1)
    model.run(**{name: features, lengths: build.Expand(n_frames, n_clips)})
    tokens = model.embedding_of(output)
    model.save(
        path,
        ModelInfo(
            labels=labels,
            sample_rate=fbank.sample_rate,
            max_samples=fbank.samples(MAX_FRAMES),
            min_samples=min_samples,
            frame_samples=fbank.shift,
        ),
        probabilities=PREFIX + output,
        embeddings=build.ReduceMean(tokens, 1, keepdims=0),
        tokens=tokens,
        features=features,
    )


def add_decibels(build: GraphBuilder, energies: str) -> str:
    """Adds levels in decibels, as torchaudio's AmplitudeToDB."""
    log = build.Log(build.Max(energies, np.float32(1e-10)))
    levels = build.Mul(log, np.float32(10 / np.log(10)))
    # The loudest level of a clip, but at least 0
    peak = build.Max(build.ReduceMax(levels, np.array([1, 2])), np.float32(0))
    return build.Max(levels, build.Sub(peak, np.float32(RANGE)))


def count_positions(model: JoinedModel) -> int:
    """The longest clip of a CED in patches: ``T`` of its positions ``[1, D, 1, T]``.

    Raises
    ------
    InputError
        If it has none.
    """
    for weight in model.graph.initializer:
        if len(weight.dims) == 4 and weight.dims[0] == weight.dims[2] == 1:
            return int(weight.dims[3])
    raise InputError(
        f"{model.path} is no CED: it has no positions in time, [1, D, 1, T]."
    )
