"""An encoder of waveforms with a classifier, as Optimum exports it.

A folder with config.json, which names the classes, and ``onnx/model.onnx`` or
``model.onnx``, or the file itself. CED has this form.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.audio.decode import MAX_RATE, MIN_RATE
from fftp_tag.data.audioset import complete_names, read_id2label
from fftp_tag.errors import InputError
from fftp_tag.files import read_json
from fftp_tag.model.foreign.join import (
    PREFIX,
    SETTINGS,
    ForeignFile,
    JoinedModel,
    add_activation,
    find_config,
    read_number,
)
from fftp_tag.model.foreign.waveform import MAX_CLIP_SECONDS, save_encoder
from fftp_tag.model.info import ModelInfo

ACCEPTED = "an encoder of waveforms by Optimum (with config.json)"
RATE = "sampling_rate"
# Of a clip, where the file takes any
MAX_SECONDS, MIN_SECONDS = 10, 1


def find(path: Path) -> ForeignFile | None:
    """The model that is a file, or in a folder, if it has this form."""
    model, config = find_config(path)
    if model is None or config is None:
        return None
    if not isinstance(read_json(config).get("id2label"), dict):
        return None
    settings = config.with_name(SETTINGS)
    files = [file for file in (config, settings) if file.is_file()]
    return ForeignFile(model, tuple(files), write)


def write(found: ForeignFile, path: str) -> None:
    """Writes it; its classifier is given the embeddings."""
    config_path, *more = found.described_by
    config = read_json(config_path)
    settings = read_json(more[0]) if more else {}
    model = JoinedModel(found.model)
    if len(model.inputs) != 1:
        raise InputError(
            f"{found.model} has the inputs {', '.join(model.inputs)}: an "
            "encoder of waveforms has one."
        )
    [(name, sizes)] = model.inputs.items()
    if len(sizes) != 2 and sizes[1:2] != (1,):
        raise InputError(
            f"{found.model}: {name} has the shape {sizes} instead of [clips, "
            "samples]: what it is made from is not known."
        )
    if settings.get("do_normalize"):
        raise InputError(
            f"{more[0]}: do_normalize asks for waveforms that are normalised, "
            "which is not done here."
        )
    described_by, given = config_path, config
    if RATE in settings:
        described_by, given = more[0], settings
    rate = read_number(described_by, given, RATE, MIN_RATE, MAX_RATE)
    longest = sizes[-1] or MAX_SECONDS * rate
    if longest > MAX_CLIP_SECONDS * rate:
        raise InputError(
            f"{found.model} takes clips of {longest / rate:.0f} s: at most "
            f"{MAX_CLIP_SECONDS} s are read."
        )
    # There may be embeddings as well
    names = config["id2label"]
    output = next(
        (x for x, shape in model.outputs.items() if shape[1:] == (len(names),)),
        next(iter(model.outputs)),
    )
    labels = read_id2label(names, model.shape(output)[-1], config_path)
    is_single = config.get("problem_type") == "single_label_classification"
    activation = "softmax" if is_single else "sigmoid"
    if model.are_probabilities(output):
        activation = "none"
    save_encoder(
        model,
        path,
        described_by,
        name,
        ModelInfo(
            labels=complete_names(labels),
            sample_rate=rate,
            max_samples=longest,
            min_samples=sizes[-1] or MIN_SECONDS * rate,
            frame_samples=rate // 100,
            single_label=is_single,
        ),
        {
            "probabilities": add_activation(
                model.build, PREFIX + output, activation
            ),
            "embeddings": model.embedding_of(output),
        },
    )
