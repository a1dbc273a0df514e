#!/usr/bin/env python3
"""Recipe for training a tagger and sound event detector with strong labels.

Like train.py, but also learns from the times of sounds in training clips:
> python recipes/AudioSet/train_strong.py hparams/ast_fftp_frames.yaml \
>     --data_folder DIR --strong_labels TRAIN.tsv

Authors
 * The speechbrain_fftp authors 2026
"""

from train import TaggingBrain, dataio_prep, main

import speechbrain as sb
from speechbrain_fftp.lobes.tagger import (
    augment_clips,
    augment_features,
    extract_features,
    unequal_lengths,
)
from speechbrain_fftp.training.strong_labels import (
    add_frame_targets,
    frame_loss,
)


class StrongBrain(TaggingBrain):
    """A TaggingBrain that also learns from the times of sounds."""

    def compute_forward(self, batch, stage):
        """Computes the logits of a batch; in training, also frame-level ones.

        Arguments
        ---------
        batch : PaddedBatch
            The batch, in training with ``frame_targets`` and ``known``.
        stage : sb.Stage
            The stage; clips are augmented, mixed and masked in training only.

        Returns
        -------
        logits, targets : torch.Tensor
            Both ``[B, C]``. In training, followed by the frame-level logits,
            targets and mask of known targets, all ``[B, N, C]``.
        """
        if stage != sb.Stage.TRAIN:
            return super().compute_forward(batch, stage)
        lens = unequal_lengths(batch.sig.lengths)
        batch = batch.to(self.device, non_blocking=True)
        wavs = batch.sig.data / 32768
        items = [batch.targets.data, batch.frame_targets.data, batch.known.data]
        if self.hparams.wav_augment is not None:
            augment = self.hparams.wav_augment
            wavs, lens = augment_clips(augment, wavs, lens)
            items = [augment.replicate_labels(item) for item in items]
        wavs, lens, mix = self.hparams.mixup(wavs, lens)
        items = [mix(item) for item in items]

        feats, lens = extract_features(self.modules, wavs, lens)
        if self.hparams.fea_augment is not None:
            augment = self.hparams.fea_augment
            feats, lens = augment_features(augment, feats, lens)
            items = [augment.replicate_labels(item) for item in items]
        targets, frame_targets, known = items
        # Targets of a mixture are known where both clips' targets are
        known = known > 0.999
        found = self.modules.embedding_model(feats, lens, return_frames=True)
        known = known.unsqueeze(1).expand_as(found.frame_logits)
        if found.valid is not None:
            known = known & found.valid.unsqueeze(2)
        logits = found.logits.squeeze(1)
        return logits, targets, found.frame_logits, frame_targets, known

    def compute_objectives(self, predictions, batch, stage):
        """Adds the frame-level loss to the loss of the clips.

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
        if stage != sb.Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        logits, targets, frame_logits, frame_targets, known = predictions
        loss = super().compute_objectives((logits, targets), batch, stage)
        return loss + frame_loss(frame_logits, frame_targets, known)


def strong_dataio_prep(hparams):
    """Creates the datasets, with frame-level targets for training.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    dict of DynamicItemDataset
        ``train``, ``valid`` and ``test``.
    """
    datasets = dataio_prep(hparams)
    add_frame_targets(
        datasets["train"],
        hparams["strong_labels"],
        hparams["prepared_folder"],
        n_classes=len(hparams["label_encoder"]),
        front_end=hparams["compute_features"],
        embedding=hparams["embedding"],
    )
    return datasets


if __name__ == "__main__":
    main(StrongBrain, strong_dataio_prep)
