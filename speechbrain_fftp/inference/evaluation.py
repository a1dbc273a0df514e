"""Scores a model on labelled clips: prepared ones, or a data folder as it is.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import io
import itertools
import logging
from collections import Counter
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm import tqdm

from speechbrain_fftp.datasets.convert import check_missing, encode_clip
from speechbrain_fftp.datasets.manifests import read_classes_csv, read_table
from speechbrain_fftp.datasets.prepare import (
    list_data as list_folder,
    split_clips,
)
from speechbrain_fftp.datasets.prepared import is_complete
from speechbrain_fftp.inference.many_files import tag_many
from speechbrain_fftp.inference.scores import f1_scores, tagging_metrics
from speechbrain_fftp.inference.windows import silent_files_counted

logger = logging.getLogger(__name__)

# The tables of each split. The Speech Commands recipe writes test.csv
SPLITS = {"train": ["train"], "valid": ["valid"], "eval": ["eval", "test"]}
ALL = "all"  # splits


@dataclasses.dataclass(frozen=True)
class LabelledClip:
    """A clip to be scored."""

    id: str
    labels: list
    open: Callable  # returns a path or a binary file


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
    targets: np.ndarray  # [clips, C], 1 for each class that is present
    probs: np.ndarray  # [clips, C]
    labels: list  # of the C classes that both the model and the data have
    skipped: dict  # from the id of a clip that is not scored to the reason
    split: str  # what was scored: train, valid, eval or all


def list_prepared(folder, split=None):
    """Lists the clips of a split of a prepared folder, by default of eval.

    Returns the split; a dict from what the data call classes, such as mids, to
    labels; the ids; and the ``LabelledClip`` objects.
    """
    split = split or "eval"
    tables = sum(SPLITS.values(), []) if split == ALL else SPLITS[split]
    names = [f"{name}.csv" for name in tables]
    paths = [Path(folder, name) for name in names]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise ValueError(
            f"{folder} has no {' or '.join(names)}: choose another split, or "
            "the data folder that it was prepared from."
        )
    classes = read_classes_csv(folder)
    clips = []
    tables = [read_table(path, ("ID", "wav")) for path in paths]
    for _, row in itertools.chain(*tables):
        wav = row["wav"].replace("$data_root", str(folder))
        labels = (row.get("labels") or row.get("label") or "").split(";")
        clips.append(
            LabelledClip(row["ID"], labels, functools.partial(str, wav))
        )
    return split, classes, [clip.id for clip in clips], clips


def list_data(
    data_folder,
    split,
    sample_rate,
    allow_missing=0.2,
    unbalanced=False,
    test_fold=None,
):
    """As ``list_prepared``, of clips as the recipe would prepare them.

    By default, the split is eval, or all if the data have no splits.
    """
    listing = list_folder(data_folder, unbalanced=unbalanced)
    if split is None:
        given = any(clip.split or clip.fold for clip in listing.clips)
        split = "eval" if given else ALL
    clips = listing.clips
    if split != ALL or test_fold is not None:
        clips, _ = split_clips(listing, test_fold=test_fold)
    if split != ALL:
        clips = [clip for clip in clips if clip.split == split]
    check_missing(clips, allow_missing)

    def encode(clip):
        """A clip as a file, which is named by its id."""
        content, _ = encode_clip(clip, sample_rate)
        file = io.BytesIO(content)
        file.name = clip.id
        return file

    labelled = [
        LabelledClip(
            id=clip.id,
            labels=[listing.classes[label] for label in clip.labels],
            open=functools.partial(encode, clip),
        )
        for clip in clips
    ]
    return split, listing.classes, [clip.id for clip in clips], labelled


def list_labelled_clips(tagger, data_folder, split=None, **settings):
    """As ``list_prepared``, of any data folder; also the labels in common.

    Raises
    ------
    ValueError
        If there is no such split, or no class in common.
    """
    if split not in (None, *SPLITS, ALL):
        raise ValueError(
            f"split={split!r} is not one of {', '.join(SPLITS)}, {ALL}."
        )
    if is_complete(data_folder):
        split, classes, ids, clips = list_prepared(data_folder, split)
    else:
        split, classes, ids, clips = list_data(
            data_folder, split, tagger.sample_rate, **settings
        )
    names = list(classes.values())
    labels = [label for label in tagger.labels if label in set(names)]
    if not labels:
        raise ValueError(
            f"The model and {data_folder} have no class in common: the model "
            f"knows {', '.join(tagger.labels[:3])}, ..., the data have "
            f"{', '.join(names[:3])}, ..."
        )
    lacking = sorted(set(names) - set(labels))
    if lacking:
        logger.warning(
            "The model lacks %d of the %d classes of %s, which are not scored, "
            "such as %s",
            len(lacking),
            len(names),
            data_folder,
            ", ".join(lacking[:5]),
        )
    return split, classes, ids, clips, labels


def evaluate(
    tagger,
    read,
    data_folder,
    split=None,
    num_workers=4,
    progress=False,
    **settings,
):
    """Scores a model on a split, see ``AudioTagger.evaluate``.

    ``read`` yields the ``Windows`` of a file.
    """
    split, _, ids, clips, labels = list_labelled_clips(
        tagger, data_folder, split, **settings
    )

    def read_clip(clip):
        """Windows of a clip; it is opened in a thread, too."""
        yield from read(clip.open())

    files = tag_many(
        clips,
        read=read_clip,
        predict=tagger.engine.probabilities,
        num_workers=num_workers,
    )
    scored, probs, skipped = [], [], {}
    with silent_files_counted():
        for file in tqdm(
            files, total=len(ids), unit="clip", disable=not progress
        ):
            if file.error is not None:
                skipped[file.path.id] = file.error
            else:
                scored.append(file.path)
                probs.append(file.probs)
    if skipped:
        reasons = Counter(reason.split(":")[0] for reason in skipped.values())
        logger.warning(
            "%d clips are not scored: %s", len(skipped), dict(reasons)
        )
    if not scored:
        raise ValueError(
            f"No clip of {data_folder} (split {split}) can be read."
        )
    probs = np.stack(probs)
    metrics = {}
    if tagger.engine.single_label:
        right = [
            clip.labels == [tagger.labels[best]]
            for clip, best in zip(scored, probs.argmax(1))
        ]
        metrics["accuracy"] = sum(right) / len(right)
    columns = [tagger.labels.index(label) for label in labels]
    probs = probs[:, columns]
    thresholds = 0.5
    if tagger.thresholds is not None:
        thresholds = np.asarray(tagger.thresholds)[columns]
    targets = np.array(
        [[float(label in clip.labels) for label in labels] for clip in scored],
        np.float32,
    )
    metrics.update(tagging_metrics(targets, probs))
    metrics.update(f1_scores(targets, probs, thresholds))
    return Evaluation(
        metrics=metrics,
        ids=[clip.id for clip in scored],
        targets=targets,
        probs=probs,
        labels=labels,
        skipped=skipped,
        split=split,
    )
