#!/usr/bin/env python3
"""Recipe for training an audio tagger on AudioSet (multi-label, 527 classes).

To run it:
> python train.py hparams/ast_fftp.yaml --data_folder LISTS --audio_folder CLIPS

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import torch
from audio_shards import steps_per_epoch, stream_shards
from audioset_prepare import prepare_audioset, read_classes
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain_fftp.metrics.tagging import tagging_metrics


class TaggingBrain(sb.Brain):
    """Brain for multi-label audio tagging."""

    def compute_forward(self, batch, stage):
        """Computes the logits of a batch.

        Arguments
        ---------
        batch : PaddedBatch
            Its ``sig`` are waveforms, its ``targets`` multi-hot labels.
        stage : sb.Stage
            In training, clips are mixed and masked.

        Returns
        -------
        logits, targets : torch.Tensor
            Both ``[B, C]``; the targets of mixed clips are mixed as well.
        """
        batch = batch.to(self.device)
        wavs, lens = batch.sig
        targets = batch.targets.data
        training = stage == sb.Stage.TRAIN
        if training:
            wavs, lens, targets = self.hparams.mixup(wavs, lens, targets)
        n_samples = wavs.shape[1]
        feats = self.modules.compute_features(wavs, lens)
        lens = self.modules.compute_features.frame_lens(lens, n_samples)
        feats = self.modules.mean_var_norm(feats, lens)
        if training:
            feats, lens = self.hparams.fea_augment(feats, lens)
        embeddings = self.modules.embedding_model(feats, lens)
        logits = self.modules.classifier(embeddings)
        return logits.squeeze(1).float(), targets

    def compute_objectives(self, predictions, batch, stage):
        """Computes the loss, and keeps predictions to be scored.

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
        if stage != sb.Stage.TRAIN:
            self.scored.append([x.detach().cpu() for x in predictions])
        return self.hparams.compute_cost(*predictions)

    def on_fit_batch_start(self, batch, should_step):
        """Sets the learning rate of a step.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.
        should_step : bool
            Whether the optimiser steps after it.
        """
        super().on_fit_batch_start(batch, should_step)
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def on_stage_start(self, stage, epoch=None):
        """Resets the predictions.

        Arguments
        ---------
        stage : sb.Stage
            The stage that starts.
        epoch : int, optional
            The epoch; None in the test stage.
        """
        self.scored = []

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Scores and logs a stage; saves a checkpoint after validation.

        Arguments
        ---------
        stage : sb.Stage
            The stage that ends.
        stage_loss : float
            Its mean loss.
        epoch : int, optional
            The epoch; None in the test stage.
        """
        if stage == sb.Stage.TRAIN:
            self.train_stats = {"loss": stage_loss}
            return
        logits, targets = map(torch.cat, zip(*self.scored))
        metrics = tagging_metrics(targets.numpy(), logits.sigmoid().numpy())
        names = "mAP", "AUC", "d_prime", "num_classes_scored"
        stats = {"loss": stage_loss, **{k: metrics[k] for k in names}}
        if stage == sb.Stage.VALID:
            rate = self.optimizer.param_groups[0]["lr"]
            self.hparams.train_logger.log_stats(
                stats_meta={"epoch": epoch, "lr": rate},
                train_stats=self.train_stats,
                valid_stats=stats,
            )
            self.checkpointer.save_and_keep_only(
                meta={"mAP": stats["mAP"]},
                max_keys=["mAP"],
                num_to_keep=self.hparams.avg_checkpoints,
            )
        else:
            self.hparams.train_logger.log_stats(
                stats_meta={"Epoch loaded": self.hparams.epoch_counter.current},
                test_stats=stats,
            )
            self.per_class = metrics["per_class"]

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Loads the mean of the weights of the best checkpoints.

        Arguments
        ---------
        max_key : str, optional
            Key of the checkpoints' meta data; the highest values are best.
        min_key : str, optional
            Not used.
        """
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        found = self.checkpointer.find_checkpoints(
            max_key=max_key, max_num_checkpoints=self.hparams.avg_checkpoints
        )
        for name in ("embedding_model", "classifier"):
            weights = average_checkpoints(found, name)
            getattr(self.hparams, name).load_state_dict(weights)


def dataio_prep(hparams, mids):
    """Creates the datasets.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.
    mids : list of str
        The ids of the classes; their place is their index.

    Returns
    -------
    dict of DynamicItemDataset
        ``train``, ``valid`` and ``test``.
    """
    normalize = AudioNormalizer(hparams["sample_rate"])
    label_encoder = sb.dataio.encoder.CategoricalEncoder()
    label_encoder.update_from_iterable(mids)
    label_encoder.expect_len(hparams["n_classes"])
    if if_main_process():  # for whoever loads the model
        label_encoder.save(f"{hparams['save_folder']}/label_encoder.txt")

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav):
        """Loads the first ``max_seconds`` of a clip."""
        sig, rate = audio_io.load(wav, channels_first=False)
        return normalize(sig[: int(hparams["max_seconds"] * rate)], rate)

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(labels):
        """Multi-hot vector of a clip's labels."""
        indices = label_encoder.encode_sequence_torch(labels.split(";"))
        return torch.zeros(len(mids)).index_fill(0, indices, 1.0)

    return {
        split: sb.dataio.dataset.DynamicItemDataset.from_csv(
            csv_path=hparams[f"{split}_annotation"],
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
        for split in ("train", "valid", "test")
    }


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)

    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(
        prepare_audioset,
        kwargs={
            "data_folder": hparams["data_folder"],
            "audio_folder": hparams["audio_folder"],
            "train_annotation": hparams["train_annotation"],
            "valid_annotation": hparams["valid_annotation"],
            "test_annotation": hparams["test_annotation"],
            "splits": hparams["train_splits"],
            "valid_fraction": hparams["valid_fraction"],
            "skip_prep": hparams["skip_prep"],
        },
    )
    classes = read_classes(hparams["data_folder"])
    datasets = dataio_prep(hparams, list(classes))

    brain = TaggingBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    opts = hparams["train_dataloader_opts"]
    if "shards_folder" in hparams:  # the clips come in shards, without end
        opts["looped_nominal_epoch"] = steps_per_epoch(
            datasets["train"], opts["batch_size"]
        )
        datasets["train"] = stream_shards(
            datasets["train"],
            hparams["shards_folder"],
            hparams["sample_rate"],
            hparams["clips_per_shard"],
            seed=hparams["seed"],
        )
    train_loader = brain.make_dataloader(
        datasets["train"], sb.Stage.TRAIN, **opts
    )
    # The schedule needs the number of steps of the optimiser
    steps = len(train_loader) // brain.grad_accumulation_factor
    total_steps = hparams["number_of_epochs"] * max(steps, 1)
    brain.hparams.lr_annealing = hparams["lr_annealing"](
        warmup_steps=min(hparams["warmup_steps"], total_steps // 10),
        total_steps=total_steps,
    )
    brain.checkpointer.add_recoverable("lr", brain.hparams.lr_annealing)
    brain.fit(
        brain.hparams.epoch_counter,
        train_loader,
        datasets["valid"],
        valid_loader_kwargs=hparams["test_dataloader_opts"],
    )
    brain.evaluate(
        datasets["test"],
        max_key="mAP",
        test_loader_kwargs=hparams["test_dataloader_opts"],
    )
    if if_main_process():
        names = list(classes.values())
        with open(hparams["per_class"], "w", encoding="utf-8") as file:
            file.write("AP\tAUC\tclips\tclass\n")
            for index, row in brain.per_class.items():
                scores = f"{row['AP']:.4f}\t{row['AUC']:.4f}"
                file.write(f"{scores}\t{row['positives']}\t{names[index]}\n")
