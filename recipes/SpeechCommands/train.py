#!/usr/bin/env python3
"""Recipe for training a keyword spotter on Speech Commands v2.

To run it on Speech Commands:
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml --data_folder DIR

The classes are all 35 words; with --task 12, ten commands, other words and
silence; with --task folders, custom words, one folder per word.

The same command resumes an interrupted training from its last checkpoint.

It is the AudioSet recipe for clips with one class each: a softmax, accuracy and
one-hot targets.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

import torch

import speechbrain as sb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "AudioSet"))
from train import TaggingBrain, main, make_datasets


class CommandsBrain(TaggingBrain):
    """A TaggingBrain for clips with one class each."""

    def compute_objectives(self, predictions, batch, stage):
        """Computes the loss, and collects predictions for the accuracy.

        Arguments
        ---------
        predictions : tuple
            The output of ``compute_forward``.
        batch : PaddedBatch
            The batch.
        stage : sb.Stage
            The stage of the experiment.

        Returns
        -------
        torch.Tensor
            The loss.
        """
        logits, targets = predictions
        if stage != sb.Stage.TRAIN:
            self.metrics.append(batch.id, logits.softmax(-1), targets)
        return self.hparams.compute_cost(logits, targets)

    def score_clips(self):
        """Scores the clips of a stage.

        Returns
        -------
        dict
            ``accuracy``: the fraction of clips whose word is the most probable.
        """
        _, probs, targets = self.metrics.gather()
        is_right = probs.argmax(1) == targets.argmax(1)
        return {"accuracy": float(is_right.mean())}


def dataio_prep(hparams):
    """Creates the datasets, with one-hot targets.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    dict of DynamicItemDataset
        ``train``, ``valid`` and ``test``.
    """
    label_encoder = hparams["label_encoder"]

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(word):
        """One-hot vector ``[C]`` of a clip's only label."""
        index = torch.tensor(label_encoder.encode_label(word))
        return torch.nn.functional.one_hot(index, len(label_encoder)).float()

    return make_datasets(hparams, label_pipeline)


if __name__ == "__main__":
    main(CommandsBrain, dataio_prep, needs="clip_seconds")
