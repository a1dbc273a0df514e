"""The Audio Spectrogram Transformer of transformers, as exported for the web.

A folder with config.json, preprocessor_config.json and ``onnx/model.onnx``, or
the file itself.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path
from typing import Any

import numpy as np

from fftp_tag.audio.decode import MAX_RATE, MIN_RATE
from fftp_tag.data.audioset import complete_names, read_id2label
from fftp_tag.files import read_json
from fftp_tag.model.foreign.front_end import Fbank, add_energies, add_log
from fftp_tag.model.foreign.join import (
    PREFIX,
    SETTINGS,
    ForeignFile,
    JoinedModel,
    add_activation,
    add_padding,
    find_config,
    read_number,
)
from fftp_tag.model.info import ModelInfo

ACCEPTED = "an AST of transformers (with config.json)"
KIND = "audio-spectrogram-transformer"
MAX_SIZE = 60_000  # of bins, frames and channels
INPUT, OUTPUT = "input_values", "logits"


def find(path: Path) -> ForeignFile | None:
    """The model that is a file, or in a folder, if it has this form."""
    model, config = find_config(path)
    if model and config and read_json(config).get("model_type") == KIND:
        return ForeignFile(model, (config, config.with_name(SETTINGS)), write)
    return None


def write(found: ForeignFile, path: str) -> None:
    """Writes it with its front end, which is that of ASTFeatureExtractor."""
    config, settings = map(read_json, found.described_by)

    def setting(key: str, low: float, high: float, default: float) -> Any:
        """A number of the front end."""
        path = found.described_by[1]
        return read_number(path, settings, key, low, high, default)

    def size(key: str) -> int:
        """A size of the encoder."""
        return read_number(found.described_by[0], config, key, 1, MAX_SIZE)

    model = JoinedModel(found.model)
    build = model.build
    options = Fbank(
        setting("num_mel_bins", 1, MAX_SIZE, 128),
        setting("sampling_rate", MIN_RATE, MAX_RATE, 16000),
    )
    n_frames = setting("max_length", 1, MAX_SIZE, 1024)
    wavs = add_padding(build, "wavs", options.size)
    features = add_log(build, add_energies(build, wavs, options))
    # Frames of zeros follow short clips, before they are normalised
    padded = build.Pad(features, np.array([0, 0, 0, 0, n_frames, 0]))
    padded = build.Slice(padded, 0, n_frames, 1)
    if settings.get("do_normalize", True):
        mean = setting("mean", -1e3, 1e3, -4.2677393)
        std = setting("std", 1e-3, 1e3, 4.5689974)
        centred = build.Sub(padded, np.float32(mean))
        padded = build.Div(centred, np.float32(2 * std))
    model.run(**{INPUT: padded})

    names = read_id2label(
        config.get("id2label"), model.shape(OUTPUT)[1], found.described_by[0]
    )
    patch, stride = size("patch_size"), size("time_stride")
    min_samples = options.samples(patch)
    token_samples: int | None = stride * options.shift
    embeddings = model.embedding_of(OUTPUT)
    pooling = model.maker_of(embeddings, ("Gather",))
    if pooling is None:
        tokens, token_samples = build.Unsqueeze(embeddings, 1), None
    else:
        # Two class tokens, then rows of patches: the mean of each column
        rows = (options.n_mels - patch) // size("frequency_stride") + 1
        tokens = build.Slice(pooling.input[0], 2, 2**31, 1)
        columns = (n_frames - patch) // stride + 1
        shape = np.array([0, rows, columns, size("hidden_size")])
        tokens = build.ReduceMean(build.Reshape(tokens, shape), 1, keepdims=0)
        more = build.Sub(build.Shape("wavs", start=1, end=2), min_samples)
        count = build.Add(build.Div(build.Max(more, 0), token_samples), 1)
        tokens = build.Slice(tokens, 0, count, 1)
    is_single = config.get("problem_type") == "single_label_classification"
    activation = "softmax" if is_single else "sigmoid"
    model.save(
        path,
        ModelInfo(
            labels=complete_names(names),
            sample_rate=options.sample_rate,
            max_samples=options.samples(n_frames),
            min_samples=min_samples,
            frame_samples=options.shift,
            single_label=is_single,
            token_samples=token_samples,
            fixed_length=True,
        ),
        probabilities=add_activation(build, PREFIX + OUTPUT, activation),
        embeddings=embeddings,
        tokens=tokens,
        features=features,
    )
