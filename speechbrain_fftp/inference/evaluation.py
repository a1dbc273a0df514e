"""Scores a model on labelled clips: prepared ones, or a data folder as it is.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import os
from collections import Counter

import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.convert import encode_clip
from speechbrain_fftp.dataio.prepared import DONE
from speechbrain_fftp.datasets.audioset.layouts import (
    audio_reader,
    check_missing,
)
from speechbrain_fftp.datasets.audioset.lists import read_table
from speechbrain_fftp.datasets.audioset.manifests import choose_clips
from speechbrain_fftp.datasets.tagging_data import open_data
from speechbrain_fftp.inference.many_files import tag_many
from speechbrain_fftp.inference.windows import file_windows
from speechbrain_fftp.utils.metrics import tagging_metrics

logger = get_logger(__name__)

SPLITS = {"train": ["train"], "valid": ["valid"], "eval": ["eval", "test"]}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Probabilities of labelled clips, and the metrics of a model.

    Arguments
    ---------
    metrics : dict
        What ``tagging_metrics`` returns and, if every clip has exactly one
        class, ``accuracy``, for which a class that the model lacks is an error.
    ids : list of str
        The clips.
    targets : torch.Tensor
        Their classes ``[clips, C]``, 1 for each that is present.
    probs : torch.Tensor
        Probabilities ``[clips, C]``.
    labels : list of str
        Labels of the C classes that both the model and the data have.
    skipped : dict
        From the id of a clip that is not scored to the reason.

    Example
    -------
    >>> found = Evaluation({"mAP": 0.5}, ["a"], None, None, ["Siren"], {})
    >>> found.metrics["mAP"]
    0.5
    """

    metrics: dict
    ids: list
    targets: torch.Tensor
    probs: torch.Tensor
    labels: list
    skipped: dict


def list_prepared(folder, split):
    """Lists the clips of a folder that a recipe has prepared.

    Arguments
    ---------
    folder : str
        The prepared folder.
    split : str
        ``train``, ``valid`` or ``eval``.

    Returns
    -------
    classes : list of str
        The labels.
    clips : list
        Id, path and labels of each clip.

    Raises
    ------
    ValueError
        If the folder has no table of the split.

    Example
    -------
    >>> list_prepared(str(getfixture("tmpdir")), "eval")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ... has no eval.csv or test.csv ...
    """
    names = [f"{name}.csv" for name in SPLITS[split]]
    paths = [os.path.join(folder, name) for name in names]
    path = next(filter(os.path.isfile, paths), None)
    if path is None:
        raise ValueError(
            f"{folder} has no {' or '.join(names)}: choose another split, or "
            "the data folder that it was prepared from."
        )
    with open(os.path.join(folder, DONE), encoding="utf-8") as file:
        places = json.load(file)["settings"]
    classes = read_table(os.path.join(folder, "classes.csv"), ("index",))
    labels = [row.get("display_name") or row["label"] for _, row in classes]
    clips = []
    for _, row in read_table(path, ("ID", "wav")):
        wav = row["wav"].replace("$data_root", str(folder))
        for name in ("data_folder", "test_set"):
            wav = wav.replace(f"${name}", str(places.get(name)))
        own = row["labels"].split(";") if "labels" in row else [row["label"]]
        clips.append((row["ID"], wav, own))
    return labels, clips


def list_data(data_folder, split, sample_rate, allow_missing=0.2, **settings):
    """Lists the clips of AudioSet or of custom data, which are not converted.

    Arguments
    ---------
    data_folder : str
        The data folder, as of the recipe.
    split : str
        ``train``, ``valid`` or ``eval``.
    sample_rate : int
        Sampling rate of the clips in Hz.
    allow_missing : float
        Fraction of the clips that may have no audio.
    **settings : dict
        ``unbalanced``, ``test_fold`` and ``cut_segments``, see ``open_data``.

    Returns
    -------
    classes : list of str
        The labels.
    clips : iterator
        Id, a function that returns the content of a file, and labels of each
        clip.

    Raises
    ------
    ValueError
        If the data have no such split.

    Example
    -------
    >>> list_data("no_folder", "eval", 16000)
    Traceback (most recent call last):
    FileNotFoundError: data_folder no_folder does not exist
    """
    settings = {"unbalanced": False, **settings, "data_folder": data_folder}
    data = open_data(settings)
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
        """What the preparation would write: the same samples are tagged."""
        seconds = clip.end - clip.start
        content, *_ = encode_clip(
            audio, sample_rate, seconds, clip.start, always
        )
        return content

    def items():
        """Yields what is listed, in the order of the audio."""
        for clip_id, audio in audio_reader(data.audio[split])(list(clips)):
            clip = clips[clip_id]
            own = [data.classes[m] for m in clip.mids if m in data.classes]
            yield clip_id, lambda a=audio, c=clip: encode(a, c), own

    return list(data.classes.values()), items()


def evaluate(
    tagger,
    data_folder,
    split="eval",
    window=None,
    hop=None,
    num_workers=4,
    progress=False,
    **settings,
):
    """Scores a model on a split, see ``AudioTagger.evaluate``.

    Arguments
    ---------
    tagger : AudioTagger
        The model.
    data_folder : str
        A folder that a recipe has prepared, or AudioSet or custom data.
    split : str
        ``train``, ``valid`` or ``eval``.
    window, hop : float, optional
        Cuts clips into windows, see ``AudioTagger.check_window``; the
        probability of a label is its maximum over them. By default, only clips
        that are longer than the model's are cut.
    num_workers : int
        Number of threads that read clips.
    progress : bool
        Whether to show a progress bar.
    **settings : dict
        See ``list_data``.

    Returns
    -------
    Evaluation
        Metrics and probabilities.

    Raises
    ------
    ValueError
        If model and data have no class in common, or no clip can be scored.

    Example
    -------
    >>> evaluate(None, "data", split="evaluation")
    Traceback (most recent call last):
    ValueError: split='evaluation' is not one of train, valid, eval.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(SPLITS)}.")
    rate = tagger.hparams.sample_rate
    tables = [os.path.join(data_folder, x) for x in (DONE, "classes.csv")]
    if all(map(os.path.isfile, tables)):
        classes, clips = list_prepared(data_folder, split)
    else:
        classes, clips = list_data(data_folder, split, rate, **settings)
    labels = [label for label in tagger.labels if label in set(classes)]
    if not labels:
        raise ValueError(
            f"The model and {data_folder} have no class in common: the model "
            f"knows {', '.join(tagger.labels[:3])}, ..., the data have "
            f"{', '.join(classes[:3])}, ..."
        )
    if lacking := sorted(set(classes) - set(labels)):
        logger.warning(
            "The model lacks %d of the %d classes of %s, which are not scored: "
            "%s",
            len(lacking),
            len(classes),
            data_folder,
            ", ".join(lacking[:5]) + ", ..." * (len(lacking) > 5),
        )
    longest = tagger.max_window
    if window is not None or hop is not None:
        window, hop = tagger.check_window(window, hop)
    grid = round((window or longest) * rate), (hop or longest) * rate

    def read(item):
        """Windows of a clip ``[B, S]``, as ``tag_many`` needs them."""
        source = item[1]() if callable(item[1]) else item[1]
        return (wavs for *_, wavs in file_windows(source, rate, [grid]))

    rows, probs, skipped = [], [], {}
    found = tag_many(tagger.tag_batch, read, clips, num_workers)
    total = len(clips) if isinstance(clips, list) else None
    for (clip_id, _, own), result in tqdm(
        found, total=total, unit="clip", disable=not progress
    ):
        if isinstance(result, Exception):
            skipped[clip_id] = " ".join(str(result).splitlines())
        else:
            rows.append((clip_id, own))
            probs.append(result)
    if skipped:
        reasons = Counter(reason.split(":")[0] for reason in skipped.values())
        logger.warning(
            "%d clips are not scored: %s", len(skipped), dict(reasons)
        )
    if not rows:
        raise ValueError(
            f"No clip of the {split} split of {data_folder} can be read."
        )
    probs = torch.stack(probs)
    metrics = {}
    if getattr(tagger.hparams, "single_label", False):
        best = [tagger.labels[n] for n in probs.argmax(1)]
        right = [[name] == own for name, (_, own) in zip(best, rows)]
        metrics["accuracy"] = sum(right) / len(right)
    probs = probs[:, [tagger.labels.index(label) for label in labels]]
    targets = torch.tensor(
        [[float(label in own) for label in labels] for _, own in rows]
    )
    metrics.update(tagging_metrics(targets.numpy(), probs.numpy()))
    return Evaluation(
        metrics,
        [clip_id for clip_id, _ in rows],
        targets,
        probs,
        labels,
        skipped,
    )
