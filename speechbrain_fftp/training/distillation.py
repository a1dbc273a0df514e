"""Learns from a teacher's probabilities as well as from labels.

Knowledge distillation (https://arxiv.org/abs/1503.02531): a loss compares the
student's and the teacher's distributions on the same augmented clips.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    kl_div,
    log_softmax,
)

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.inference.loading import AudioTagger
from speechbrain_fftp.pretrained.hub import find_model

logger = get_logger(__name__)

SMALLEST = 1e-6  # of a teacher's probabilities, and of 1 minus them


class Distillation:
    """A teacher, and the loss of a student that learns from it.

    ``source`` is a model that ``AudioTagger.from_pretrained`` loads, which runs
    on each batch, or an npz file with the probabilities of the training clips.
    Classes are matched by name with the student's ``labels``; those that the
    teacher lacks are learned from the labels of the clips alone. ``weight`` is
    the teacher's share in the loss, ``temperature`` divides the logits that are
    compared. An OSError or a ValueError names a teacher that does not fit.
    """

    def __init__(
        self,
        source,
        labels,
        single_label,
        sample_rate,
        weight=0.5,
        temperature=1.0,
        device="cpu",
    ):
        if not 0 <= weight <= 1 or temperature <= 0:
            raise ValueError(
                f"distill_weight={weight} must be in 0..1 and "
                f"distill_temperature={temperature} positive."
            )
        self.source, self.single_label = source, single_label
        self.weight, self.temperature = weight, temperature
        self.tagger, self.stored = None, None
        if str(source).endswith(".npz"):
            theirs = self._read(Path(source))
        else:
            run_on_main(find_model, args=[source])  # one process downloads it
            self.tagger = AudioTagger.from_pretrained(source, device=device)
            self._check(single_label, sample_rate)
            theirs = self.tagger.labels
        numbers = {label: number for number, label in enumerate(theirs)}
        own = [i for i, label in enumerate(labels) if label in numbers]
        if not own:
            raise ValueError(
                f"The teacher {source} has none of the classes, such as "
                f"{labels[0]!r}; its own are {', '.join(theirs[:3])} ..."
            )
        if len(own) < len(labels):
            text = "The teacher %s knows %d of %d classes"
            logger.warning(text, source, len(own), len(labels))
        self.own = torch.tensor(own, device=device)
        self.theirs = torch.tensor([numbers[labels[i]] for i in own])

    def _read(self, path):
        """Reads probabilities of clips by id; returns the classes."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        try:
            with np.load(path) as found:
                ids, labels = found["ids"].tolist(), found["labels"].tolist()
                self.stored = dict(zip(ids, torch.from_numpy(found["probs"])))
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} does not hold the probabilities of clips: {error}"
            ) from error
        return labels

    def _check(self, single_label, sample_rate):
        """Raises a ValueError if the model cannot teach this student."""
        hparams = self.tagger.hparams
        if hparams.sample_rate != sample_rate:
            raise ValueError(
                f"The teacher {self.source} needs {hparams.sample_rate} Hz, "
                f"but the clips have {sample_rate} Hz."
            )
        if getattr(hparams, "single_label", False) != single_label:
            raise ValueError(
                f"The teacher {self.source} gives a clip "
                f"{'any number of labels' if single_label else 'one label'}: "
                "it cannot teach this recipe."
            )

    def look_up(self, ids, targets):
        """Adds stored probabilities of clips to targets ``[B, C]``, if any."""
        if self.stored is None:
            return targets
        missing = [clip for clip in ids if clip not in self.stored]
        if missing:
            raise ValueError(
                f"{self.source} lacks the clip {missing[0]}: it must hold the "
                "probabilities of all training clips."
            )
        probs = torch.stack([self.stored[clip] for clip in ids])
        return torch.cat([targets, probs.to(targets)[:, self.theirs]], 1)

    @torch.no_grad()
    def listen(self, wavs, lens, targets):
        """Adds what the model hears in waveforms ``[B, S]``, if it is one."""
        if self.tagger is None:
            return targets
        probs = self.tagger.probabilities(self.tagger.tagger(wavs, lens))
        return torch.cat([targets, probs[:, self.theirs].to(targets)], 1)

    def loss(self, logits, targets, cost):
        """The weighted mean of the labels' cost and of the divergence.

        ``targets`` are ``[B, C + K]``, with the teacher's probabilities. The
        divergence replaces a share of the cost of the classes it knows only.
        """
        targets, probs = targets.tensor_split([logits.shape[1]], 1)
        own, labels = logits[:, self.own], targets[:, self.own]
        divergence, loss = self.divergence(own, probs), cost(logits, targets)
        if self.single_label:
            known, share = loss, labels.sum(1).mean()
        else:
            known, share = cost(own, labels), own.shape[1] / logits.shape[1]
        return loss + self.weight * share * (divergence - known)

    def divergence(self, logits, probs):
        """Kullback-Leibler divergence: per class, or over one label's classes.

        The squared temperature keeps the size of its gradients.
        """
        t = self.temperature
        if self.single_label:
            theirs = log_softmax(probs.clamp(min=SMALLEST).log() / t, -1)
            ours = log_softmax(logits / t, -1)
            kl = kl_div(ours, theirs, reduction="batchmean", log_target=True)
            return t**2 * kl
        theirs = torch.logit(probs, SMALLEST) / t
        soft = theirs.sigmoid()
        cross = binary_cross_entropy_with_logits(logits / t, soft)
        entropy = binary_cross_entropy_with_logits(theirs, soft)
        return t**2 * (cross - entropy)
