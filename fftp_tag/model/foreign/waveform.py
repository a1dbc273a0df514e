"""An encoder of waveforms: ``[B, S] -> [B, D]``, described by a JSON file.

``X.onnx`` is described by ``X.json`` beside it, see docs/published.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import bisect
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fftp_tag.audio.decode import MAX_RATE, MIN_RATE
from fftp_tag.data.class_names import class_name
from fftp_tag.errors import InputError
from fftp_tag.files import named_file, read_json, read_text
from fftp_tag.model.foreign.join import (
    PREFIX,
    ForeignFile,
    JoinedModel,
    add_activation,
    add_padding,
    read_number,
)
from fftp_tag.model.info import ModelInfo
from fftp_tag.model.runtime import runtime_errors, start_session

ACCEPTED = "an encoder X.onnx of waveforms with X.json"
REQUIRED = {
    "sample_rate": int,
    "seconds": (int, float),
    "input": str,
    "embedding": str,
}
MIN_SECONDS = "min_seconds"  # of a clip; by default what the graph can run on
OF_CLASSES = {"output": str, "activation": str, "labels": (str, list)}
MAX_CLIP_SECONDS = 600  # of a clip: the model is run once, on the longest
ACTIVATIONS = ("sigmoid", "softmax", "none")
TOKENS = 4  # from the start of a window to its end


def find(path: Path) -> ForeignFile | None:
    """The model that is a file, or alone in a folder, if it has this form."""
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    found = [x for x in files if x.with_suffix(".json").is_file()]
    if len(found) != 1:
        return None
    described_by = found[0].with_suffix(".json")
    try:
        labels = read_json(described_by).get("labels")
    except InputError:  # which matters only if the model is read
        labels = None
    if not isinstance(labels, str):
        return ForeignFile(found[0], (described_by,), write)
    return ForeignFile(
        found[0], (described_by, named_file(described_by, labels)), write
    )


def write(found: ForeignFile, path: str) -> None:
    """Writes it as its description says."""
    described_by, *_ = found.described_by
    given = read_description(described_by)
    model = JoinedModel(found.model)
    rate = given["sample_rate"]
    longest = round(given["seconds"] * rate)
    outputs: dict[str, str] = {}
    labels: list[str] = []
    if "output" in given:
        labels = read_labels(given["labels"], described_by)
        if model.shape(given["output"])[1:] not in ((None,), (len(labels),)):
            raise InputError(
                f"{found.model}: {given['output']} has the shape "
                f"{model.shape(given['output'])}, but there are {len(labels)} "
                "labels."
            )
        outputs["probabilities"] = add_activation(
            model.build, PREFIX + given["output"], given["activation"]
        )
    if len(model.shape(given["embedding"])) != 2:
        raise InputError(
            f"{found.model}: {given['embedding']} has the shape "
            f"{model.shape(given['embedding'])} instead of [clips, sizes]."
        )
    outputs["embeddings"] = PREFIX + given["embedding"]
    save_encoder(
        model,
        path,
        described_by,
        given["input"],
        ModelInfo(
            labels=labels,
            sample_rate=rate,
            max_samples=longest,
            min_samples=round(given[MIN_SECONDS] * rate)
            if MIN_SECONDS in given
            else shortest_clip(model, given, rate // 100, longest),
            frame_samples=rate // 100,
            single_label=given.get("activation") == "softmax",
        ),
        outputs,
    )


def shortest_clip(
    model: JoinedModel, given: dict[str, Any], step: int, longest: int
) -> int:
    """Samples of the shortest clip that an encoder can be run on, in steps.

    Its maximum length if it takes no other.
    """
    shape = model.shape(given["input"])
    if shape[-1] is not None:
        return longest
    session = start_session(str(model.path), threads=None)

    def can_run(n_samples: int) -> bool:
        """Whether a clip of this length has an embedding."""
        wavs = np.full((1,) * (len(shape) - 1) + (n_samples,), 0.1, np.float32)
        try:
            [found] = session.run([given["embedding"]], {given["input"]: wavs})
        except runtime_errors():
            return False
        return bool(np.isfinite(found).all())

    lengths = range(step, longest, step)
    first = bisect.bisect_left(lengths, True, key=can_run)
    return [*lengths, longest][first]


def save_encoder(
    model: JoinedModel,
    path: str,
    described_by: Path,
    name: str,
    info: ModelInfo,
    outputs: dict[str, str],
) -> None:
    """Writes an encoder of waveforms, with embeddings as tokens.

    Arguments
    ---------
    model : JoinedModel
    path : str
        The file to write.
    described_by : Path
        The file that says how long clips are, for messages.
    name : str
        The input for waveforms, ``[B, S]`` or ``[B, 1, S]``.
    info : ModelInfo
        Clips that are shorter than ``min_samples`` are padded to it.
    outputs : dict
        Values by the names of outputs of a model.onnx.
    """
    build = model.build
    sizes = model.shape(name)
    if sizes[-1] is not None and {sizes[-1]} != {
        info.min_samples,
        info.max_samples,
    }:
        raise InputError(
            f"{model.path} takes {sizes[-1]} samples, but {described_by} says "
            f"{info.min_samples} to {info.max_samples}: times sample_rate."
        )
    if len(sizes) not in (2, 3):
        raise InputError(
            f"{model.path}: {name} has the shape {sizes} instead of [clips, "
            "samples]."
        )
    wavs = add_padding(build, "wavs", info.min_samples)
    wavs = build.Slice(wavs, 0, info.max_samples, 1)
    model.run(**{name: build.Unsqueeze(wavs, 1) if len(sizes) == 3 else wavs})
    # A token is the embedding of a window; they are a quarter of one apart
    frames_apart = max(info.max_samples // TOKENS // info.frame_samples, 1)
    model.save(
        path,
        dataclasses.replace(
            info,
            token_samples=frames_apart * info.frame_samples,
            fixed_length=info.min_samples == info.max_samples,
        ),
        **outputs,
        tokens=build.Unsqueeze(outputs["embeddings"], 1),
    )


def read_description(path: Path) -> dict[str, Any]:
    """Reads the JSON file; raises an InputError that names what is wrong."""
    given = read_json(path)
    wanted: dict[str, Any] = dict(REQUIRED)
    if OF_CLASSES.keys() & given.keys():
        wanted.update(OF_CLASSES)
    wrong = [x for x in wanted if not isinstance(given.get(x), wanted[x])]
    wrong += given.keys() - {*REQUIRED, *OF_CLASSES, MIN_SECONDS}
    if given.get("activation", "none") not in ACTIVATIONS:
        wrong.append("activation")
    if wrong:
        raise InputError(
            f"{path} has a wrong value, or none, or no such key: "
            f"{', '.join(wrong)}. It needs {', '.join(REQUIRED)} and, for "
            f"classes, {', '.join(OF_CLASSES)} ({', '.join(ACTIVATIONS)})."
        )
    read_number(path, given, "sample_rate", MIN_RATE, MAX_RATE)
    least = 1 / given["sample_rate"]
    longest = read_number(path, given, "seconds", least, MAX_CLIP_SECONDS)
    read_number(path, given, MIN_SECONDS, least, longest, default=longest)
    return given


def read_labels(labels: Any, described_by: Path) -> list:
    """The names in a list, or in a text file beside the JSON file."""
    if isinstance(labels, str):
        text = read_text(named_file(described_by, labels))
        labels = text.rstrip().splitlines()
    names = [class_name(str(label), described_by) for label in labels]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{described_by}: the label {twice[0]!r} is there twice"
        )
    return names
