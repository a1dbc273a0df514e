"""CED, as exported for sherpa-onnx.

A folder with ``model.onnx`` and class_labels_indices.csv, or the file itself.
sherpa-onnx computes the features with kaldi-native-fbank, and takes the first
output for probabilities.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np

from fftp_tag.data.audioset import CLASS_LIST, complete_names
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.model.foreign.front_end import Fbank, add_energies
from fftp_tag.model.foreign.join import PREFIX, Found, JoinedModel, add_padding
from fftp_tag.model.graphs import GraphBuilder
from fftp_tag.model.info import ModelInfo

ACCEPTED = f"a CED of sherpa-onnx (with {CLASS_LIST})"
FBANK = Fbank(
    64,
    milliseconds=32,
    window_type="hann",
    snip_edges=False,
    remove_dc_offset=False,
    preemphasis=0.0,
    low_freq=0.0,
)
PATCH = 16  # frames and bins of a CED's patches
RANGE = 120.0  # decibels of a clip's levels


def find(path: Path) -> Found | None:
    """The model that is a file, or in a folder, if it has this form."""
    model = path / "model.onnx" if path.is_dir() else path
    labels = model.parent / CLASS_LIST
    if model.is_file() and labels.is_file():
        return Found(model, (labels,), write)
    return None


def write(found: Found, path: str) -> None:
    """Writes it with the front end that sherpa-onnx has for it."""
    rows = read_table(found.described_by[0], ("display_name",))
    labels = [row["display_name"] for _, row in rows]
    model = JoinedModel(found.model)
    (features_input,) = model.inputs
    (output, *_) = model.outputs
    n_classes = model.shape(output)[1]
    if n_classes not in (None, len(labels)):
        raise InputError(
            f"{found.model} has {n_classes} classes, but "
            f"{found.described_by[0]} lists {len(labels)}."
        )
    min_samples = FBANK.samples(PATCH)
    build = model.build
    wavs = add_padding(build, "wavs", min_samples)
    features = add_decibels(build, add_energies(build, wavs, FBANK))
    values = {features_input: build.Transpose(features, perm=[0, 2, 1])}
    model.run(**values)
    embeddings = model.embedding_of(output)
    pooling = model.maker_of(embeddings, ("ReduceMean",))
    if pooling is None:
        raise InputError(f"{found.model} is no CED: it has no mean.")
    # Rows of patches: the mean of each column
    sizes = np.array([0, FBANK.n_mels // PATCH, -1])
    size = build.Concat(sizes, build.Shape(embeddings, start=1), axis=0)
    tokens = build.ReduceMean(
        build.Reshape(pooling.input[0], size), 1, keepdims=0
    )
    model.save(
        path,
        ModelInfo(
            labels=complete_names(labels),
            sample_rate=FBANK.sample_rate,
            max_samples=FBANK.samples(PATCH * count_positions(model)),
            min_samples=min_samples,
            frame_samples=FBANK.shift,
            token_samples=PATCH * FBANK.shift,
        ),
        probabilities=PREFIX + output,
        embeddings=embeddings,
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
