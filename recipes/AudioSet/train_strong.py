#!/usr/bin/env python3
"""Recipe for training a tagger and sound event detector with strong labels.

As train.py, but the times of sounds in training clips are learnt as well, and
events are scored at the end:
> python recipes/AudioSet/train_strong.py hparams/ast_fftp_frames.yaml \
>     --data_folder DIR --strong_labels TRAIN.tsv --strong_eval EVAL.tsv

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from train import TaggingBrain, dataio_prep, train

import speechbrain as sb
from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.lobes.frame_classifier import step_times
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.tokens import own_tokens
from speechbrain_fftp.training.strong_labels import (
    add_frame_targets,
    frame_loss,
    read_events,
    score_events,
)


class StrongBrain(TaggingBrain):
    """A TaggingBrain that learns from the times of sounds as well."""

    def compute_forward(self, batch, stage):
        """Computes the logits of a batch, in training also of its time steps.

        Arguments
        ---------
        batch : PaddedBatch
            In training, it has ``frame_targets`` and ``known`` as well.
        stage : sb.Stage
            In training, clips are augmented, mixed and masked.

        Returns
        -------
        logits, targets : torch.Tensor
            Both ``[B, C]``; then, in training, logits and targets of the time
            steps, and where these are known, all ``[B, N, C]``.
        """
        if stage != sb.Stage.TRAIN:
            return super().compute_forward(batch, stage)
        batch = batch.to(self.device)
        wavs, lens = self.hparams.wav_augment(*batch.sig)
        # Labels, what is known, and time steps are mixed together
        stacked = torch.cat(
            [
                batch.targets.data.unsqueeze(1),  # [B, 1, C]
                batch.known.data.unsqueeze(1),  # [B, 1, C]
                batch.frame_targets.data,  # [B, N, C]
            ],
            dim=1,
        )
        wavs, lens, stacked = self.hparams.mixup(wavs, lens, stacked)
        targets, known, frames = stacked.tensor_split([1, 2], dim=1)

        tagger = Tagger(**self.modules)
        feats, lens = tagger.features(wavs, lens)
        feats, lens = self.hparams.fea_augment(feats, lens)
        tokens = tagger.embedding_model(feats, lens)
        logits = tagger.classify(tokens)
        frame_logits = self.hparams.classifier.frame_logits(tokens)
        # A mixture is known where both of its clips are; padding is not
        known = (known > 0.999) & own_tokens(tokens).unsqueeze(2)
        return logits, targets.squeeze(1), frame_logits, frames, known.float()

    def compute_objectives(self, predictions, batch, stage):
        """Adds the loss of time steps to that of clips.

        Arguments
        ---------
        predictions : tuple
            What ``compute_forward`` returned.
        batch : PaddedBatch
            The batch.
        stage : sb.Stage
            The stage of the experiment.

        Returns
        -------
        torch.Tensor
            The loss.
        """
        logits, targets, *frames = predictions
        loss = super().compute_objectives((logits, targets), batch, stage)
        if stage == sb.Stage.TRAIN:
            loss = loss + frame_loss(*frames)
        return loss

    def step_times(self, n_samples):
        """The center of each time step of a clip.

        Arguments
        ---------
        n_samples : int
            Number of samples of the clip.

        Returns
        -------
        torch.Tensor
            Seconds ``[N]``.
        """
        return step_times(
            self.hparams.compute_features,
            self.hparams.embedding_model.embedding,
            n_samples,
        )


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    # Modules beside the yaml file can be named in it
    sys.path.append(str(Path(hparams_file).resolve().parent))
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)

    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(hparams["prepare"])
    datasets = dataio_prep(hparams)

    brain = StrongBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    add_frame_targets(
        brain,
        datasets,
        strong_labels=hparams["strong_labels"],
        prepared_folder=hparams["prepared_folder"],
    )
    for split, key in (("valid", "strong_valid"), ("test", "strong_eval")):
        # Errors in a table come before the training
        read_events(
            hparams[key],
            datasets[split],
            prepared_folder=hparams["prepared_folder"],
            split=split,
        )
    train(brain, datasets, hparams)
    score_events(
        brain,
        datasets,
        folder=hparams["output_folder"],
        prepared_folder=hparams["prepared_folder"],
        strong_valid=hparams["strong_valid"],
        strong_eval=hparams["strong_eval"],
    )
