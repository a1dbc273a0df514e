#!/usr/bin/env python3
"""Recipe for training a keyword spotter on Speech Commands v2.

To run it on Speech Commands:
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml --data_folder DIR

The classes are all 35 words; with --task 12, ten commands, other words and
silence; with --task folders, custom words, one folder per word.

The same command resumes an interrupted training from its last checkpoint.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
import sys

import torch
from speechcommands_prepare import prepare_speech_commands

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.train_logger import TensorboardLogger
from speechbrain_fftp.core import (
    PluginBrain,
    check_training,
    load_hyperpyyaml,
    one_line_errors,
    parse_arguments,
    report_results,
)
from speechbrain_fftp.lobes.tagger import (
    augment_clips,
    augment_features,
    classify,
    extract_features,
    unequal_lengths,
)
from speechbrain_fftp.nnet.schedulers import count_steps
from speechbrain_fftp.utils.metric_stats import MultiLabelStats


class CommandsBrain(PluginBrain):
    """Brain for clips with one class each."""

    def compute_forward(self, batch, stage):
        """Computes the logits of a batch.

        Arguments
        ---------
        batch : PaddedBatch
            The batch, with clips ``sig`` in 16 bits and one-hot ``targets``.
        stage : sb.Stage
            The stage; clips are augmented, mixed and masked in training only.

        Returns
        -------
        logits, targets : torch.Tensor
            Both ``[B, C]``; the targets of mixed clips are mixed, too.
        """
        # Lengths on the CPU are known without waiting for a GPU
        lens = unequal_lengths(batch.sig.lengths)
        batch = batch.to(self.device, non_blocking=True)
        # From 16 bits to -1..1
        wavs, targets = batch.sig.data / 32768, batch.targets.data
        if stage == sb.Stage.TRAIN:
            if self.hparams.wav_augment is not None:
                augment = self.hparams.wav_augment
                wavs, lens = augment_clips(augment, wavs, lens)
                targets = augment.replicate_labels(targets)
            wavs, lens, mix = self.hparams.mixup(wavs, lens)
            targets = mix(targets)
        feats, lens = extract_features(self.modules, wavs, lens)
        if stage == sb.Stage.TRAIN and self.hparams.fea_augment is not None:
            augment = self.hparams.fea_augment
            feats, lens = augment_features(augment, feats, lens)
            targets = augment.replicate_labels(targets)
        embeddings = self.modules.embedding_model(feats, lens)
        return classify(self.modules.classifier, embeddings), targets

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

    def on_fit_start(self):
        """Saves the names of the classes beside the checkpoints."""
        super().on_fit_start()
        path = os.path.join(self.hparams.save_folder, "label_encoder.txt")
        run_on_main(self.hparams.label_encoder.save, args=[path])

    def on_fit_batch_start(self, batch, should_step):
        """Sets the learning rate of a step.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.
        should_step : bool
            Whether the optimiser steps after this batch.
        """
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def on_stage_start(self, stage, epoch=None):
        """Resets the metrics.

        Arguments
        ---------
        stage : sb.Stage
            The stage that starts.
        epoch : int, optional
            The epoch; None in the test stage.
        """
        self.metrics = MultiLabelStats()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs the metrics of a stage; saves a checkpoint after validation.

        Arguments
        ---------
        stage : sb.Stage
            The stage that ends.
        stage_loss : float
            The mean loss of the stage.
        epoch : int, optional
            The epoch; None in the test stage.
        """
        if stage == sb.Stage.TRAIN:
            self.train_stats = {"loss": stage_loss}
            return
        stats = {"loss": stage_loss, "accuracy": self.score_words()}
        if stage == sb.Stage.VALID:
            lr = self.optimizer.param_groups[0]["lr"]
            self.hparams.train_logger.log_stats(
                stats_meta={"epoch": epoch, "lr": lr},
                train_stats=self.train_stats,
                valid_stats=stats,
            )
            if self.hparams.use_tensorboard:
                self.hparams.tensorboard_train_logger.log_stats(
                    stats_meta={"lr": lr},
                    train_stats=self.train_stats,
                    valid_stats=stats,
                )
            self.checkpointer.save_and_keep_only(
                meta={"epoch": epoch, **stats},
                max_keys=[self.hparams.average_by],
                num_to_keep=self.hparams.avg_checkpoints,
            )
        else:
            self.hparams.train_logger.log_stats(
                stats_meta={"Epoch loaded": self.hparams.epoch_counter.current},
                test_stats=stats,
            )

    def score_words(self):
        """The fraction of clips whose word is the most probable.

        Returns
        -------
        float
        """
        _, probs, targets = self.metrics.gather()
        is_right = probs.argmax(1) == targets.argmax(1)
        return is_right.float().mean().item()

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Loads the average weights of the kept checkpoints.

        Arguments
        ---------
        max_key : str, optional
            Key of the checkpoints' metadata; higher values are better.
        min_key : str, optional
            Ignored.
        """
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        best = self.checkpointer.find_checkpoints(
            max_key=max_key, max_num_checkpoints=self.hparams.avg_checkpoints
        )
        for name in ("embedding_model", "classifier"):
            weights = average_checkpoints(best, name)
            self.checkpointer.recoverables[name].load_state_dict(weights)


def dataio_prep(hparams):
    """Creates the datasets, with one-hot targets, and fills the label encoder.

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
    with open(hparams["class_list"], newline="", encoding="utf-8") as fin:
        names = [row["display_name"] for row in csv.DictReader(fin)]
    label_encoder.update_from_iterable(names)
    label_encoder.expect_len(hparams["n_classes"])
    sample_rate = hparams["sample_rate"]

    @sb.utils.data_pipeline.takes("wav", "start", "stop")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav, start, stop):
        """Loads a clip ``[S]`` in 16 bits."""
        sig, rate = audio_io.load(
            wav,
            dtype=torch.int16,
            always_2d=False,
            frame_offset=int(start),
            num_frames=int(stop) - int(start),
        )
        if rate != sample_rate or sig.dim() > 1:
            raise ValueError(
                f"{wav} is not mono at {sample_rate} Hz: give the --sample_rate "
                "that it was prepared with, or prepare it without --skip_prep."
            )
        return sig

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(word):
        """One-hot vector ``[C]`` of a clip's only label."""
        index = torch.tensor(label_encoder.encode_label(word))
        return torch.nn.functional.one_hot(index, len(label_encoder)).float()

    datasets = {}
    for split in ("train", "valid", "test"):
        datasets[split] = DynamicItemDataset.from_csv(
            hparams[f"{split}_annotation"],
            replacements={"data_root": hparams["data_root"]},
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
        if split != "train":  # batches of clips of similar length
            datasets[split] = datasets[split].filtered_sorted(
                sort_key="duration"
            )
    return datasets


@one_line_errors()
def main():
    """Trains a model and evaluates it."""
    hparams_file, run_opts, overrides = parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)

    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        # A test leaves the settings of the training as they are
        hyperparams_to_save=None if run_opts["test_only"] else hparams_file,
        overrides=overrides,
    )
    if hparams["use_tensorboard"]:
        hparams["tensorboard_train_logger"] = TensorboardLogger(
            hparams["tensorboard_logs_folder"]
        )

    run_on_main(prepare_speech_commands, kwargs=hparams["prepare_opts"])
    datasets = dataio_prep(hparams)

    brain = CommandsBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    check_training(brain, datasets)
    # The schedule needs the number of optimiser steps
    total_steps = count_steps(
        len(datasets["train"]),
        hparams["batch_size"],
        hparams["number_of_epochs"],
        brain.grad_accumulation_factor,
    )
    brain.hparams.lr_annealing = hparams["lr_annealing"](
        warmup_steps=min(hparams["warmup_steps"], total_steps // 10),
        total_steps=total_steps,
    )
    brain.checkpointer.add_recoverable("lr", brain.hparams.lr_annealing)
    # A sampler, since several processes would not draw by the seed otherwise
    brain.train_sampler = hparams["train_sampler"](datasets["train"])
    brain.fit(
        brain.hparams.epoch_counter,
        datasets["train"],
        datasets["valid"],
        train_loader_kwargs={
            "sampler": brain.train_sampler,
            **hparams["train_dataloader_opts"],
        },
        valid_loader_kwargs=hparams["valid_dataloader_opts"],
    )
    brain.evaluate(
        datasets["test"],
        max_key=hparams["average_by"],
        test_loader_kwargs=hparams["valid_dataloader_opts"],
    )
    report_results(brain, datasets)


if __name__ == "__main__":
    main()
