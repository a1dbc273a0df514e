"""Learns from the times of sounds as well as from the labels of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
from collections import Counter

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.audioset import lists
from speechbrain_fftp.inference.event_scores import (
    calibrate_events,
    evaluate_events,
)
from speechbrain_fftp.inference.frames import step_targets
from speechbrain_fftp.inference.loading import AudioTagger
from speechbrain_fftp.metrics.events import event_packages
from speechbrain_fftp.nnet.tokens import own_tokens

logger = get_logger(__name__)

# Augmentations of SpeechBrain and of this package that move sounds in time
MOVING = {"CutCat", "RandomShift", "Resample", "SpeedPerturb", "Warping"}


class EventScores:
    """Scores the events of a trained model on tables as of ``StrongLabels``.

    ``tables`` maps "valid", for learning thresholds and the moving average of
    time steps, and "eval" to paths, or None to do nothing. ``datasets`` maps
    these splits to their clips, of which a table must list some, with events
    of the ``classes``.
    """

    def __init__(self, tables, datasets, classes):
        self.tables = {k: path for k, path in tables.items() if path}
        for split, path in self.tables.items():
            event_packages()  # errors before the training
            clips = datasets[split].data
            lists.read_strong_labels(path, clips, classes, split)

    def report(self, run_folder, prepared_folder, device):
        """Scores a run's model; adds to its metrics.json, and logs them."""
        folder = run_folder / "inference"
        load = functools.partial(AudioTagger.from_pretrained, folder, device)
        if path := self.tables.get("valid"):
            calibrate_events(folder, load(), prepared_folder, path)
        if path := self.tables.get("eval"):
            scores = evaluate_events(load(), prepared_folder, path)
            metrics = run_folder / "metrics.json"
            found = json.loads(metrics.read_text("utf-8"))
            write_json(metrics, {**found, "events": scores}, strict=True)
            lines = (f"{name} {value:.4f}" for name, value in scores.items())
            logger.info("%s", "\n".join(["Events:", *lines]))


class StrongLabels:
    """The sounds of some clips with their times, as targets of time steps.

    ``path`` is a table that ``read_strong_labels`` reads, and ``classes`` maps
    its labels to the model's ``labels``. The ``Tagger`` has a
    ``FrameClassifier``. What the table lacks, clips or classes, has no targets
    of time steps; labels that the model lacks are counted and skipped.
    ``augmenters`` maps keys of the yaml to an ``Augmenter``: none may move
    sounds in time.
    """

    def __init__(self, path, labels, classes, train_set, tagger, augmenters):
        if not isinstance(train_set, DynamicItemDataset):
            raise ValueError("strong_labels needs format: flac.")
        if tagger.embedding_model.embedding.strides:
            raise ValueError("strong_labels and strides cannot be combined.")
        _check_augmentations(augmenters)
        self.n_classes, self.tagger = len(labels), tagger
        numbers = {label: number for number, label in enumerate(labels)}
        clips = {k: row["duration"] for k, row in train_set.data.items()}
        listed = lists.read_strong_labels(path, clips, classes, "train")
        listed = lists.cut_events(listed, clips, path)
        names = (x for events in listed.values() for *_, x in events)
        unknown = Counter(x for x in names if x not in numbers)
        self.events = {
            clip: [(a, b, numbers[x]) for a, b, x in events if x in numbers]
            for clip, events in listed.items()
        }
        found = {number for x in self.events.values() for *_, number in x}
        if not found:
            raise ValueError(f"{path}: all events begin after their clip ends.")
        self.timed = torch.zeros(len(labels))  # 1.0 for classes with times
        self.timed[list(found)] = 1.0
        if unknown:
            text = "%s: skipped %d events of %d other classes, such as %s"
            about = sum(unknown.values()), len(unknown), next(iter(unknown))
            logger.warning(text, path, *about)
        text = "%s: times of %d of %d classes in %d of %d training clips"
        sizes = len(found), len(labels), len(self.events), len(train_set)
        logger.info(text, path, *sizes)

    def add(self, ids, wavs, targets):
        """Adds the targets of time steps to those of clips ``[B, C]``.

        They are ``N * C`` more columns, for the N time steps of the waveforms
        ``[B, S]``, and one that is 1 for clips with times. Mixup mixes all.
        """
        times = self.tagger.step_times(wavs.shape[1])
        events = (self.events.get(clip, ()) for clip in ids)
        steps = [step_targets(times, x, self.n_classes) for x in events]
        known = torch.tensor([[float(clip in self.events)] for clip in ids])
        more = torch.cat([torch.stack(steps).flatten(1), known], 1)
        return torch.cat([targets, more.to(targets)], 1)

    def compare(self, classifier, tokens, targets):
        """Takes out the columns of ``add``; returns the rest, and a loss.

        It is the mean binary cross-entropy of the clips' own time steps among
        the tokens ``[B, N, D]``, without classes that have no times and clips
        of which a part has none.
        """
        classifier = getattr(classifier, "module", classifier)  # in DDP
        logits = classifier.frame_logits(tokens)
        sizes = self.n_classes, logits[0].numel(), 1
        sizes = *sizes, targets.shape[1] - sum(sizes)
        targets, steps, known, theirs = targets.split(sizes, 1)
        weights = ((known > 0.999) & own_tokens(tokens)).unsqueeze(2)
        loss = binary_cross_entropy_with_logits(
            logits, steps.view_as(logits), reduction="none"
        )
        weights = weights * self.timed.to(loss)
        loss = (loss * weights).sum() / weights.sum().clamp(min=1)
        return torch.cat([targets, theirs], 1), loss


def _check_augmentations(augmenters):
    """Raises a ValueError for an augmentation that moves sounds in time."""
    for key, augmenter in augmenters.items():
        for each in augmenter.augmentations.values() if augmenter else ():
            names = {parent.__name__ for parent in type(each).__mro__}
            if names & MOVING and getattr(each, "dim", 1) == 1:  # 2: frequency
                raise ValueError(
                    f"{type(each).__name__} moves sounds away from the times "
                    f"in strong_labels: remove it from {key}."
                )
