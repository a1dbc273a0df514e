"""What is checked and logged before a training: features and patches.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging

import torch

from fftp_tag.errors import InputError
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.lobes.features import DatasetNormalization

logger = get_logger(__name__)


def compare_features(brain, datasets, *, num_clips=64):
    """Logs mean and standard deviation of training features, and the yaml's.

    Warns if they are far apart. Raises an InputError if the longest training
    clip is shorter than a patch, or longer than ``max_frames``. For
    ``before`` in a yaml file.
    """
    _check_lengths(brain, datasets)
    norm = brain.modules["mean_var_norm"]
    if not isinstance(norm, DatasetNormalization):
        return
    feats = [_features(brain, x) for x in _some(datasets, num_clips)]
    feats = torch.cat(feats)
    mean, std = feats.mean().item(), feats.std().item()
    is_far = abs(mean - norm.mean) > norm.std or not 0.5 < std / norm.std < 2
    logger.log(
        logging.WARNING if is_far else logging.INFO,
        "Log-mel features of the training clips: mean %.2f, standard deviation "
        "%.2f; mean_var_norm in the yaml has %.2f and %.2f.",
        mean,
        std,
        norm.mean,
        norm.std,
    )


def report_start(brain, datasets, *, started_from):
    """Logs what ``start_from`` loaded, if it did; for ``before`` in a yaml file."""
    if started_from:
        logger.info(started_from)


def _check_lengths(brain, datasets):
    """Raises an InputError if clips are too short or too long."""
    rows = datasets["train"].data.values()
    durations = [float(row["duration"]) for row in rows]
    seconds = max(durations)
    silence = torch.zeros(round(seconds * brain.hparams.sample_rate))
    longest = len(_features(brain, silence))
    embedding = getattr(brain.hparams, "embedding", None)
    if embedding is not None and embedding.patch_frames > longest:
        raise InputError(
            f"patch_frames {embedding.patch_frames} is more than the {longest} "
            "frames of the longest training clip: give a smaller one."
        )
    max_frames = brain.hparams.max_frames
    if max_frames < longest:
        raise InputError(
            f"max_frames {max_frames} is less than the {longest} frames of the "
            f"longest training clip, {seconds:g} s: give --max_frames "
            f"{longest}, or let the preparation cut clips to a shorter length."
        )


def _some(datasets, count):
    """Samples ``[S]`` of clips at equal distances in the training set."""
    dataset = datasets["train"]
    step = max(len(dataset) // count, 1)
    with dataset.output_keys_as(["sig"]):
        for index in range(0, len(dataset), step)[:count]:
            yield dataset[index]["sig"]


@torch.no_grad()
def _features(brain, samples):
    """Filterbanks ``[T, F]`` of a clip in 16 bits."""
    wavs = samples[None].to(brain.device) / 32768
    return brain.modules["compute_features"](wavs)[0]
