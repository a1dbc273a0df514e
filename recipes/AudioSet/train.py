#!/usr/bin/env python3
"""Recipe for training an audio tagger on AudioSet (multi-label, 527 classes).

To run it on AudioSet:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml --data_folder DIR

Without --data_folder it generates a small synthetic set and trains a tiny
model on that, in minutes on a laptop:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml

An interrupted training goes on from its last checkpoint when it is started
again with the same command.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import sys
from pathlib import Path

import ruamel.yaml
import torch
from audioset_prepare import prepare_audioset
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.sampler import ReproducibleWeightedRandomSampler
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audioset import read_class_list
from speechbrain_fftp.dataio.labels import (
    class_balanced_weights,
    prior_log_odds,
    scorable_labels,
)
from speechbrain_fftp.dataio.synthetic import make_demo_set
from speechbrain_fftp.inference.export import export_inference
from speechbrain_fftp.utils.metrics import tagging_metrics, write_results
from speechbrain_fftp.utils.pretrained import load_encoder
from speechbrain_fftp.utils.tensorboard import add_predictions, add_spectrograms

logger = get_logger(__name__)


class TaggingBrain(sb.core.Brain):
    """Trains and evaluates the encoder and its classifier.

    ``labels`` (the name of each class) and ``lr_schedule`` are set after
    construction, from the data.
    """

    @property
    def writer(self):
        """The TensorBoard writer, on the main process."""
        return self.hparams.tensorboard_logger.writer

    def compute_forward(self, batch, stage):
        """From waveforms to the logits of each class.

        Returns
        -------
        logits : torch.Tensor
            ``[B, C]``.
        targets : torch.Tensor
            Labels ``[B, C]``, mixed as the waveforms are.
        """
        batch = batch.to(self.device)
        wavs, lens = batch.sig
        targets, _ = batch.targets
        if stage == sb.Stage.TRAIN:
            wavs, lens = self.hparams.wav_augment(wavs, lens)
            targets = self.hparams.wav_augment.replicate_labels(targets)
            wavs, lens, targets = self.hparams.mixup(wavs, lens, targets)

        feats = self.modules.compute_features(wavs)
        lens = self.modules.compute_features.frame_lens(lens, wavs.shape[1])
        feats = self.modules.mean_var_norm(feats, lens)
        if stage == sb.Stage.TRAIN:
            plain = feats[0]
            feats, lens = self.hparams.fea_augment(feats, lens)
            targets = self.hparams.fea_augment.replicate_labels(targets)
            if self.step == 1 and if_main_process():
                epoch = self.hparams.epoch_counter.current
                add_spectrograms(self.writer, plain, feats[0], epoch)

        embeddings = self.modules.embedding_model(feats, lens)
        logits = self.modules.classifier(embeddings).squeeze(1)
        return logits.float(), targets

    def compute_objectives(self, predictions, batch, stage):
        """Binary cross-entropy; keeps the scores of evaluation batches."""
        logits, targets = predictions
        loss = self.hparams.compute_cost(logits, targets)
        if stage != sb.Stage.TRAIN:
            self.ids.extend(batch.id)
            self.scores.append(logits.sigmoid().cpu())
            self.targets.append(targets.cpu())
        return loss

    def on_fit_batch_start(self, batch, should_step):
        """Sets the learning rate of the coming step."""
        if should_step:
            self.lr_schedule(self.optimizer)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Logs the loss and the learning rate of each step."""
        if should_step and if_main_process():
            step, lr = self.optimizer_step, self.optimizer.param_groups[0]["lr"]
            self.writer.add_scalar("loss/step", loss.item(), step)
            self.writer.add_scalar("lr/step", lr, step)

    def _should_save_intra_epoch_ckpt(self, *args):
        """Never between two batches whose gradients are accumulated."""
        due = super()._should_save_intra_epoch_ckpt(*args)
        return due and self.step % self.grad_accumulation_factor == 0

    def on_stage_start(self, stage, epoch=None):
        """Forgets the scores of the stage before."""
        self.ids, self.scores, self.targets = [], [], []

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Metrics, logs, and a checkpoint after each validation."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = float(stage_loss)
            return
        scores, targets = torch.cat(self.scores), torch.cat(self.targets)
        metrics = tagging_metrics(targets.numpy(), scores.numpy())
        stats = {"loss": float(stage_loss), "mAP": metrics["mAP"]}
        if stage == sb.Stage.VALID:
            self.hparams.train_logger.log_stats(
                stats_meta={"epoch": epoch},
                train_stats={"loss": self.train_loss},
                valid_stats=stats,
            )
            if if_main_process():
                self.writer.add_scalar("loss/train", self.train_loss, epoch)
                for name, value in stats.items():
                    self.writer.add_scalar(f"{name}/valid", value, epoch)
                clips = slice(0, 8)
                add_predictions(
                    self.writer,
                    self.ids[clips],
                    scores[clips],
                    targets[clips],
                    self.labels,
                    epoch,
                )
            self.checkpointer.save_and_keep_only(
                meta={"mAP": metrics["mAP"], "epoch": epoch},
                max_keys=["mAP"],
                importance_keys=[],
                num_to_keep=self.hparams.avg_checkpoints,
            )
            return
        self.hparams.train_logger.log_stats(
            {"epoch": self.hparams.epoch_counter.current}, test_stats=stats
        )
        if if_main_process():
            self.results = write_results(
                metrics,
                self.labels,
                self.hparams.output_folder,
                loss=float(stage_loss),
                data=self.hparams.data_description,
            )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Averages the weights of the best checkpoints."""
        checkpoints = self.checkpointer.find_checkpoints(
            max_key=max_key, max_num_checkpoints=self.hparams.avg_checkpoints
        )
        if not checkpoints:
            raise FileNotFoundError(
                f"There is no checkpoint with a validation {max_key} in "
                f"{self.hparams.save_folder}: train first, without --test_only."
            )
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        for name in ("embedding_model", "classifier"):
            average = average_checkpoints(checkpoints, name)
            self.checkpointer.recoverables[name].load_state_dict(average)


def dataio_prep(hparams):
    """Creates the datasets and the label encoder.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    datasets : dict of DynamicItemDataset
        ``train``, ``valid`` and ``test``.
    label_encoder : CategoricalEncoder
        Maps class indices to display names.
    """
    classes = read_class_list(Path(hparams["prepared_folder"]) / "classes.csv")
    label_encoder = sb.dataio.encoder.CategoricalEncoder()
    label_encoder.load_or_create(
        path=os.path.join(hparams["save_folder"], "label_encoder.txt"),
        from_iterables=[classes.values()],
    )
    label_encoder.expect_len(hparams["n_classes"])
    if len(label_encoder) != hparams["n_classes"]:
        raise ValueError(
            f"The class list has {len(label_encoder)} classes, but n_classes "
            f"is {hparams['n_classes']}: pass --n_classes {len(label_encoder)}."
        )

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav):
        """Loads a prepared clip, ``[S]``."""
        return audio_io.load(wav, always_2d=False)[0]

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(labels):
        """Multi-hot vector ``[C]`` of a clip's labels."""
        indices = label_encoder.encode_sequence_torch(labels.split(";"))
        return torch.zeros(len(label_encoder)).index_fill(0, indices, 1.0)

    datasets = {}
    for split in ("train", "valid", "test"):
        datasets[split] = sb.dataio.dataset.DynamicItemDataset.from_csv(
            csv_path=hparams[f"{split}_annotation"],
            replacements={"data_root": hparams["prepared_folder"]},
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
    return datasets, label_encoder


def demo_overrides(hparams_file):
    """Overrides for a run without ``data_folder``, on the demo set.

    Arguments
    ---------
    hparams_file : str
        The yaml of the run.

    Returns
    -------
    dict
        What stands under its key ``demo``.
    """
    logger.warning(
        "No --data_folder given: training a tiny model on a SYNTHETIC demo "
        "set, with the sizes under 'demo' in %s. Pass --data_folder DIR for "
        "AudioSet.",
        hparams_file,
    )
    return ruamel.yaml.YAML().load(Path(hparams_file))["demo"]


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    overrides = ruamel.yaml.YAML().load(overrides) or {}
    is_demo = "data_folder" not in overrides
    if is_demo:
        overrides = {**demo_overrides(hparams_file), **overrides}
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    if hparams["num_threads"]:
        torch.set_num_threads(hparams["num_threads"])
    if "ckpt_interval_steps" in run_opts.overridden_args:
        hparams["ckpt_interval_minutes"] = 0  # one excludes the other

    sb.core.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    if is_demo:
        run_on_main(make_demo_set, kwargs={"folder": hparams["data_folder"]})
    hparams["data_description"] = (
        "synthetic demo set" if is_demo else str(hparams["data_folder"])
    )
    run_on_main(
        prepare_audioset,
        kwargs={
            "data_folder": hparams["data_folder"],
            "save_folder": hparams["prepared_folder"],
            "valid_fraction": hparams["valid_fraction"],
            "sample_rate": hparams["sample_rate"],
            "skip_prep": hparams["skip_prep"],
        },
    )
    datasets, label_encoder = dataio_prep(hparams)
    labels = [label_encoder.ind2lab[c] for c in range(len(label_encoder))]
    clip_labels = {
        split: [row["labels"].split(";") for row in dataset.data.values()]
        for split, dataset in datasets.items()
    }
    for split in ("valid", "test"):
        if not scorable_labels(clip_labels[split]):
            raise ValueError(
                f"No class has both clips with and clips without it in "
                f"{hparams[split + '_annotation']}, so that there is nothing "
                "to score: give that split more clips."
            )
    clip_labels = clip_labels["train"]
    hparams["classifier"][-1].bias.data = prior_log_odds(clip_labels, labels)
    if hparams["pretrained"]:
        load_encoder(hparams["embedding_model"], hparams["pretrained"])

    brain = TaggingBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.labels = labels

    train_opts = dict(hparams["train_dataloader_opts"])
    if hparams["class_balanced"]:
        train_opts["shuffle"] = False
        brain.train_sampler = ReproducibleWeightedRandomSampler(
            class_balanced_weights(clip_labels),
            num_samples=len(clip_labels),
            replacement=True,
            seed=hparams["seed"],
        )
        train_opts["sampler"] = brain.train_sampler
    train_loader = brain.make_dataloader(
        datasets["train"], sb.Stage.TRAIN, **train_opts
    )

    steps = len(train_loader) // brain.grad_accumulation_factor
    steps = max(steps * hparams["number_of_epochs"], 1)
    brain.lr_schedule = hparams["lr_schedule"](
        warmup_steps=min(hparams["warmup_steps"], steps // 10),
        total_steps=steps,
    )
    brain.checkpointer.add_recoverable("lr_schedule", brain.lr_schedule)

    brain.fit(
        hparams["epoch_counter"],
        train_loader,
        datasets["valid"],
        valid_loader_kwargs=hparams["valid_dataloader_opts"],
    )
    brain.evaluate(
        datasets["test"],
        max_key="mAP",
        test_loader_kwargs=dict(hparams["valid_dataloader_opts"]),
    )

    if if_main_process():
        folder = export_inference(
            os.path.join(hparams["output_folder"], "hyperparams.yaml"),
            {key: hparams[key] for key in ("embedding_model", "classifier")},
            label_encoder,
            os.path.join(hparams["output_folder"], "inference"),
        )
        logger.info(
            "Evaluation on %s:\n%s\nModel: %s",
            hparams["data_description"],
            brain.results,
            folder,
        )
