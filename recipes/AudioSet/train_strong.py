#!/usr/bin/env python3
"""Recipe for training a tagger and sound event detector with strong labels.

Like train.py, but also learns from the times of sounds in training clips:
> python recipes/AudioSet/train_strong.py hparams/ast_fftp_frames.yaml \
>     --data_folder DIR --strong_labels TRAIN.tsv

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

from audioset_prepare import prepare_audioset
from hyperpyyaml import load_hyperpyyaml
from train import TaggingBrain, dataio_prep, train

import speechbrain as sb
from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.dataio.errors import one_line_errors
from speechbrain_fftp.lobes.tagger import (
    augment_clips,
    extract_features,
    load_clips,
)
from speechbrain_fftp.training.strong_labels import (
    add_frame_targets,
    frame_loss,
)
from speechbrain_fftp.utils.run_folder import (
    check_data,
    check_overrides,
    check_settings,
)


class StrongBrain(TaggingBrain):
    """A TaggingBrain that also learns from the times of sounds."""

    def compute_forward(self, batch, stage):
        """Computes the logits of a batch and, in training, of its time steps.

        Arguments
        ---------
        batch : PaddedBatch
            The batch, in training with ``frame_targets`` and ``known``.
        stage : sb.Stage
            The stage; clips are augmented, mixed and masked in training only.

        Returns
        -------
        logits, targets : torch.Tensor
            Both ``[B, C]``. In training, followed by logits, targets and the
            mask of known targets of the time steps, all ``[B, N, C]``.
        """
        if stage != sb.Stage.TRAIN:
            return super().compute_forward(batch, stage)
        wavs, lens = load_clips(batch.sig, self.device)
        if self.hparams.wav_augment is not None:
            augment = self.hparams.wav_augment
            wavs, lens = augment_clips(augment, wavs, lens)
        wavs, lens, mix = self.hparams.mixup(wavs, lens)
        targets, frame_targets, known = (
            mix(item.data.to(self.device, non_blocking=True))
            for item in (batch.targets, batch.frame_targets, batch.known)
        )
        # Targets of a mixture are known where both clips' targets are
        known = known > 0.999

        feats, lens = extract_features(self.modules, wavs, lens)
        feats = self.hparams.masking(feats, lens)
        logits, frame_logits, valid = self.modules.embedding_model(
            feats, lens, return_frames=True
        )
        known = known.unsqueeze(1).expand_as(frame_logits)
        if valid is not None:
            known = known & valid.unsqueeze(2)
        return logits.squeeze(1), targets, frame_logits, frame_targets, known

    def compute_objectives(self, predictions, batch, stage):
        """Adds the loss of the time steps to the loss of the clips.

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


if __name__ == "__main__":
    with one_line_errors():
        hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
        # The yaml file can name modules in its own folder
        sys.path.append(str(Path(hparams_file).resolve().parent))
        sb.utils.distributed.ddp_init_group(run_opts)
        check_overrides(hparams_file, overrides, needs="strong_labels")
        with open(hparams_file, encoding="utf-8") as fin:
            with one_line_errors(ValueError):  # of the values in the yaml
                hparams = load_hyperpyyaml(fin, overrides)

        run_on_main(
            check_settings,
            args=[hparams_file, overrides, hparams, run_opts],
        )
        sb.create_experiment_directory(
            experiment_directory=hparams["output_folder"],
            # A test leaves the settings of the training as they are
            hyperparams_to_save=None if run_opts["test_only"] else hparams_file,
            overrides=overrides,
        )
        # The yaml may plug in the preparation of other data
        prepare = hparams.get("prepare", prepare_audioset)
        run_on_main(prepare, kwargs=hparams["prepare_opts"])
        run_on_main(check_data, args=[hparams])
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
        train(brain, datasets, hparams)
