"""Scores a model on labelled clips: prepared ones, or a data folder as it is.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import io
import json
from collections import Counter
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.convert import encode_clip
from speechbrain_fftp.datasets.manifests import (
    check_missing,
    choose_clips,
    read_table,
)
from speechbrain_fftp.datasets.prepare import open_data
from speechbrain_fftp.datasets.prepared import DONE
from speechbrain_fftp.inference.many_files import tag_many
from speechbrain_fftp.metrics.tagging import f1_scores, tagging_metrics

logger = get_logger(__name__)

SPLITS = {"train": ["train"], "valid": ["valid"], "eval": ["eval", "test"]}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Probabilities of labelled clips, and the metrics of a model.

    ``metrics`` are those of ``tagging_metrics``, of ``f1_scores`` with the
    model's thresholds, or with 0.5 if it has none, and, if every clip has
    exactly one class, ``accuracy``, for which a class that the model lacks is
    an error.
    """

    metrics: dict
    ids: list  # of the clips
    targets: torch.Tensor  # [clips, C], 1 for each class that is present
    probs: torch.Tensor  # [clips, C]
    labels: list  # of the C classes that both the model and the data have
    skipped: dict  # from the id of a clip that is not scored to the reason


def _list_prepared(folder, split):
    """Classes, ids, and clips: the id of each, what opens it, and labels.

    The classes are a dict from what data call them, such as mids, to labels;
    what opens a clip is a function that returns a path or a file.
    """
    names = [f"{name}.csv" for name in SPLITS[split]]
    paths = [Path(folder, name) for name in names]
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        raise ValueError(
            f"{folder} has no {' or '.join(names)}: choose another split, or "
            "the data folder that it was prepared from."
        )
    done = json.loads(Path(folder, DONE).read_text("utf-8"))
    places = {**done["settings"], "data_root": folder}
    classes = read_table(Path(folder, "classes.csv"), ("index",))
    names = {
        row.get("mid") or row["label"]: row.get("display_name") or row["label"]
        for _, row in classes
    }
    clips = []
    for _, row in read_table(path, ("ID", "wav")):
        wav = row["wav"]
        for name in ("data_root", "data_folder", "test_set"):
            wav = wav.replace(f"${name}", str(places.get(name)))
        own = row["labels"].split(";") if "labels" in row else [row["label"]]
        clips.append((row["ID"], functools.partial(str, wav), own))
    return names, [clip_id for clip_id, *_ in clips], clips


def _list_data(data_folder, split, sample_rate, allow_missing=0.2, **settings):
    """As ``_list_prepared``, of clips as the recipe would prepare them."""
    data = open_data(data_folder, **settings)
    listed = data.list_clips()
    if not listed.get(split):
        raise ValueError(
            f"{data_folder} has no {split} split: choose one of "
            f"{', '.join(name for name in listed if listed[name])}."
        )
    chosen, *_ = choose_clips(listed, data.classes)
    clips = {clip.id: clip for clip in chosen[split]}
    check_missing({split: chosen[split]}, data, allow_missing)
    always = settings.get("cut_segments") == "yes"

    def encode(audio, clip):
        """A clip as a file, which is named by its id."""
        limits = clip.end - clip.start, clip.start, always
        file = io.BytesIO(encode_clip(audio, sample_rate, *limits)[0])
        file.name = clip.id
        return file

    def items():
        """Yields what is listed, in the order of the audio."""
        for clip_id, audio in data.audio[split].iter_audio(clips):
            clip = clips[clip_id]
            own = [data.classes[m] for m in clip.mids if m in data.classes]
            yield clip_id, functools.partial(encode, audio, clip), own

    return data.classes, list(clips), items()


def list_labelled_clips(tagger, data_folder, split, **settings):
    """As ``_list_prepared``, of any data folder; also the labels in common."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(SPLITS)}.")
    if all(Path(data_folder, x).is_file() for x in (DONE, "classes.csv")):
        names, ids, clips = _list_prepared(data_folder, split)
    else:
        rate = tagger.hparams.sample_rate
        names, ids, clips = _list_data(data_folder, split, rate, **settings)
    classes = list(names.values())
    labels = [label for label in tagger.labels if label in set(classes)]
    if not labels:
        raise ValueError(
            f"The model and {data_folder} have no class in common: the model "
            f"knows {', '.join(tagger.labels[:3])}, ..., the data have "
            f"{', '.join(classes[:3])}, ..."
        )
    if lacking := sorted(set(classes) - set(labels)):
        lacked = ", ".join(lacking[:5]) + ", ..." * (len(lacking) > 5)
        logger.warning(
            f"The model lacks {len(lacking)} of the {len(classes)} classes of "
            f"{data_folder}, which are not scored: {lacked}"
        )
    return names, ids, clips, labels


def evaluate(
    tagger, read, data_folder, split, num_workers=4, progress=False, **settings
):
    """Scores a model on a split, see ``AudioTagger.evaluate``.

    ``read`` returns the windows of a file as ``tag_many`` needs them.
    """
    _, ids, clips, labels = list_labelled_clips(
        tagger, data_folder, split, **settings
    )
    results = tag_many(
        tagger.tag_batch, lambda clip: read(clip[1]()), clips, num_workers
    )
    bar = {"total": len(ids), "unit": "clip", "disable": not progress}
    rows, probs, skipped = [], [], {}
    for (clip_id, _, own), result in tqdm(results, **bar):
        if isinstance(result, str):
            skipped[clip_id] = result
        else:
            rows.append((clip_id, own))
            probs.append(result)
    if skipped:
        reasons = Counter(reason.split(":")[0] for reason in skipped.values())
        logger.warning(f"{len(skipped)} clips are not scored: {dict(reasons)}")
    if not rows:
        raise ValueError(
            f"No clip of the {split} split of {data_folder} can be read."
        )
    ids, truth = zip(*rows)
    probs, metrics = torch.stack(probs), {}
    if getattr(tagger.hparams, "single_label", False):
        best = [tagger.labels[n] for n in probs.argmax(1)]
        right = [[name] == own for name, own in zip(best, truth)]
        metrics["accuracy"] = sum(right) / len(right)
    columns = [tagger.labels.index(label) for label in labels]
    probs, limits = probs[:, columns], 0.5
    if tagger.thresholds is not None:
        limits = tagger.thresholds[columns].numpy()
    targets = torch.tensor([[float(x in own) for x in labels] for own in truth])
    metrics.update(tagging_metrics(targets.numpy(), probs.numpy()))
    metrics.update(f1_scores(targets.numpy(), probs.numpy(), limits))
    return Evaluation(metrics, list(ids), targets, probs, labels, skipped)
