#!/usr/bin/env python3
"""Recipe for training an audio tagger on AudioSet (multi-label, 527 classes).

To run it on AudioSet:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml --data_folder DIR

The same on sounds of your own, in a folder that has one folder per class, or
clips.csv (see README.md); n_classes then follows from it.

Without --data_folder it generates a small synthetic set and trains a tiny
model on that, in minutes on a laptop:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml

On several GPUs, or several machines (see README.md), under torchrun:
> torchrun --standalone --nproc_per_node 8 recipes/AudioSet/train.py ...

An interrupted training goes on from its last checkpoint when it is started
again with the same command.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import math
import os
import sys
from pathlib import Path

import ruamel.yaml
import torch
from audioset_prepare import prepare_audioset
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.dataio.sampler import (
    ReproducibleRandomSampler,
    ReproducibleWeightedRandomSampler,
)
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import get_rank, if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audioset import read_class_list
from speechbrain_fftp.dataio.clips import collate_clips, load_clip
from speechbrain_fftp.dataio.labels import (
    class_balanced_weight,
    count_labels,
    labels_of,
    prior_log_odds,
    scorable_labels,
)
from speechbrain_fftp.dataio.own_sounds import find_own_sounds
from speechbrain_fftp.dataio.streams import ShardStream, decode_clip
from speechbrain_fftp.dataio.synthetic import make_demo_set
from speechbrain_fftp.inference.export import export_inference
from speechbrain_fftp.utils.ddp import (
    gather_clips,
    mean_over_ranks,
    sampler_of_rank,
    seed_step,
)
from speechbrain_fftp.utils.metrics import tagging_metrics, write_results
from speechbrain_fftp.utils.pretrained import load_encoder
from speechbrain_fftp.utils.tensorboard import add_predictions, add_spectrograms

logger = get_logger(__name__)


class TaggingBrain(sb.core.Brain):
    """Trains and evaluates the encoder and its classifier.

    ``labels`` (the name of each class) and ``lr_schedule`` are set after
    construction, from the data, and ``train_stream`` if that is in shards.
    """

    train_stream = None

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

        with self.frozen_encoder(stage):
            embeddings = self.modules.embedding_model(feats, lens)
        logits = self.modules.classifier(embeddings).squeeze(1)
        return logits.float(), targets

    def frozen_encoder(self, stage):
        """Within it the encoder learns nothing, if that is due.

        It then works as in evaluation and gets no gradients at all, so that
        the optimiser, weight decay included, leaves it as it is. (Parameters
        that require none would not be those that DDP was set up with.)
        """
        epoch = self.hparams.epoch_counter.current
        if stage != sb.Stage.TRAIN or epoch > self.hparams.frozen_epochs:
            return contextlib.nullcontext()
        self.modules.embedding_model.eval()
        return torch.no_grad()

    def compute_objectives(self, predictions, batch, stage):
        """Binary cross-entropy; keeps the scores of evaluation batches."""
        logits, targets = predictions
        if stage != sb.Stage.TRAIN:
            self.ids.extend(batch.id)
            self.left_out.extend(batch.left_out)
            self.logits.append(logits.cpu())
            self.targets.append(targets.cpu())
        return self.hparams.compute_cost(logits, targets)

    def on_fit_batch_start(self, batch, should_step):
        """Seeds the coming step and sets its learning rate."""
        epoch = self.hparams.epoch_counter.current
        seed_step(self.hparams.seed, epoch, self.step)
        if should_step:
            self.lr_schedule(self.optimizer)

    def check_loss_isfinite(self, loss):
        """Says where the loss stopped being finite, and what to do."""
        try:
            super().check_loss_isfinite(loss)
        except ValueError as error:
            raise ValueError(
                f"The loss is {loss.item()} in step {self.step} of epoch "
                f"{self.hparams.epoch_counter.current}. Start again with a "
                f"lower lr than {self.hparams.lr}; it goes on from the last "
                "checkpoint."
            ) from error

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Logs the loss and the learning rate of each step."""
        if should_step:
            self.step_loss = mean_over_ranks(loss)
        if should_step and if_main_process():
            step, lr = self.optimizer_step, self.optimizer.param_groups[0]["lr"]
            self.writer.add_scalar("loss/step", self.step_loss, step)
            self.writer.add_scalar("lr/step", lr, step)

    def _should_save_intra_epoch_ckpt(self, *args):
        """Never while gradients are accumulated, nor after a NaN."""
        due = super()._should_save_intra_epoch_ckpt(*args)
        whole_step = self.step % self.grad_accumulation_factor == 0
        return due and whole_step and math.isfinite(self.step_loss)

    def on_stage_start(self, stage, epoch=None):
        """Forgets the scores of the stage before; finds the next clip."""
        self.ids, self.left_out = [], []
        self.logits, self.targets = [], []
        if stage == sb.Stage.TRAIN and self.train_stream is not None:
            self.train_stream.set_position(epoch, batches_done=self.step)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Metrics, logs, and a checkpoint after each validation."""
        if stage == sb.Stage.TRAIN:
            loss = torch.tensor(stage_loss, device=self.device)
            self.train_loss = mean_over_ranks(loss)
            return
        ids, logits, targets = gather_clips(
            self.ids, torch.cat(self.logits), torch.cat(self.targets)
        )
        (left_out,) = gather_clips(self.left_out)
        scores = logits.sigmoid()
        metrics = tagging_metrics(targets.numpy(), scores.numpy())
        loss = self.hparams.compute_cost(logits, targets).item()
        stats = {"loss": loss, "mAP": metrics["mAP"]}
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
                    ids[clips],
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
                loss=loss,
                data=self.hparams.data_description,
                unreadable=left_out,
            )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Averages the weights of the best checkpoints."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        checkpoints = self.checkpointer.find_checkpoints(
            max_key=max_key, max_num_checkpoints=self.hparams.avg_checkpoints
        )
        if not checkpoints:
            raise FileNotFoundError(
                f"There is no checkpoint with a validation {max_key} in "
                f"{self.hparams.save_folder}: train first, without --test_only."
            )
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
    datasets : dict of Dataset
        ``train`` (a ``ShardStream`` if it is in shards), ``valid``, ``test``.
    label_encoder : CategoricalEncoder
        Maps class indices to display names.
    """
    classes = read_class_list(Path(hparams["prepared_folder"]) / "classes.csv")
    label_encoder = sb.dataio.encoder.CategoricalEncoder()
    label_encoder.update_from_iterable(classes.values())
    label_encoder.expect_len(hparams["n_classes"])
    if len(label_encoder) != hparams["n_classes"]:
        raise ValueError(
            f"The class list has {len(label_encoder)} classes, but n_classes "
            f"is {hparams['n_classes']}: pass --n_classes {len(label_encoder)}."
        )

    def multi_hot(labels):
        """Vector ``[C]`` with 1 for each of the labels."""
        indices = label_encoder.encode_sequence_torch(labels)
        return torch.zeros(len(label_encoder)).index_fill(0, indices, 1.0)

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav):
        """Loads a prepared clip, ``[S]``."""
        return load_clip(wav)

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(labels):
        """Multi-hot vector ``[C]`` of a clip's labels."""
        return multi_hot(labels.split(";"))

    def load_item(sample):
        """Decodes a clip of a shard."""
        clip = decode_clip(sample)
        targets = multi_hot(clip["labels"])
        return {"id": clip["id"], "sig": clip["sig"], "targets": targets}

    datasets, in_files = {}, ["valid", "test"]
    if hparams["format"] == "webdataset":
        datasets["train"] = ShardStream(
            hparams["train_index"],
            load_item,
            hparams["batch_size"],
            hparams["seed"],
            shuffle_buffer=hparams["shuffle_buffer"],
            balanced=hparams["class_balanced"],
            rank=get_rank() or 0,
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
        )
    else:
        in_files.append("train")
    for split in in_files:
        datasets[split] = sb.dataio.dataset.DynamicItemDataset.from_csv(
            csv_path=hparams[f"{split}_annotation"],
            replacements={"data_root": hparams["prepared_folder"]},
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
    return datasets, label_encoder


def make_train_loader(brain, train_set, counts, hparams):
    """The loader of the training clips, in another order each epoch.

    Arguments
    ---------
    brain : TaggingBrain
        What is to be trained.
    train_set : DynamicItemDataset or ShardStream
        The clips.
    counts : dict
        From label to number of training clips.
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    torch.utils.data.DataLoader
        Of several processes, each gets clips of its own.
    """
    opts = {"collate_fn": collate_clips, **hparams["train_dataloader_opts"]}
    if isinstance(train_set, ShardStream):
        brain.train_stream = train_set
        return torch.utils.data.DataLoader(train_set, **opts)
    seed = hparams["seed"]
    brain.train_sampler = ReproducibleRandomSampler(train_set, seed=seed)
    if hparams["class_balanced"]:
        rows = labels_of(train_set)
        brain.train_sampler = ReproducibleWeightedRandomSampler(
            [class_balanced_weight(row, counts) for row in rows],
            num_samples=len(rows),
            replacement=True,
            seed=seed,
        )
    opts["sampler"] = brain.train_sampler
    return brain.make_dataloader(train_set, sb.Stage.TRAIN, **opts)


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


def data_overrides(data_folder):
    """Overrides that follow from the data.

    Arguments
    ---------
    data_folder : str
        The folder given by the user.

    Returns
    -------
    dict
        The number of classes, if the folder holds sounds of the user's own.
    """
    own = find_own_sounds(data_folder)
    return {} if own is None else {"n_classes": len(own.classes)}


def start_from_pretrained(hparams):
    """Loads the weights to start from into the encoder; the head stays new.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.
    """
    encoder, source = hparams["embedding_model"], hparams["pretrained"]
    loaded = load_encoder(encoder, source) if source else []
    new = sorted(set(encoder.state_dict()) - set(loaded))
    if new and hparams["frozen_epochs"] > 0:
        lacks = (
            f"{source} lacks {', '.join(new)}" if source else "there is none"
        )
        raise ValueError(
            "frozen_epochs is for an encoder that is --pretrained as a whole: "
            f"{lacks}, so that random weights would stay as they are."
        )


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    overrides = ruamel.yaml.YAML().load(overrides) or {}
    is_demo = "data_folder" not in overrides
    if is_demo:
        overrides = {**demo_overrides(hparams_file), **overrides}
    else:
        overrides = {**data_overrides(overrides["data_folder"]), **overrides}
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
            "unbalanced": hparams["unbalanced"],
            "format": hparams["format"],
        },
    )
    datasets, label_encoder = dataio_prep(hparams)
    labels = [label_encoder.ind2lab[c] for c in range(len(label_encoder))]
    for split in ("valid", "test"):
        if not scorable_labels(labels_of(datasets[split])):
            raise ValueError(
                f"No class has both clips with and clips without it in "
                f"{hparams[split + '_annotation']}, so that there is nothing "
                "to score: give that split more clips."
            )
    if isinstance(datasets["train"], ShardStream):
        counts = datasets["train"].labels_counts
        num_clips = datasets["train"].num_clips
    else:
        counts = count_labels(labels_of(datasets["train"]))
        num_clips = len(datasets["train"])
    bias = prior_log_odds(counts, num_clips, labels)
    hparams["classifier"][-1].bias.data = bias
    start_from_pretrained(hparams)

    brain = TaggingBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.labels = labels

    train_loader = make_train_loader(brain, datasets["train"], counts, hparams)
    steps = len(train_loader) // brain.grad_accumulation_factor
    steps = max(steps * hparams["number_of_epochs"], 1)
    brain.lr_schedule = hparams["lr_schedule"](
        warmup_steps=min(hparams["warmup_steps"], steps // 10),
        total_steps=steps,
    )
    brain.checkpointer.add_recoverable("lr_schedule", brain.lr_schedule)

    loaders = {
        split: brain.make_dataloader(
            datasets[split],
            stage,
            ckpt_prefix=None,
            collate_fn=collate_clips,
            sampler=sampler_of_rank(datasets[split]),
            **hparams["valid_dataloader_opts"],
        )
        for split, stage in (("valid", sb.Stage.VALID), ("test", sb.Stage.TEST))
    }
    brain.fit(hparams["epoch_counter"], train_loader, loaders["valid"])
    brain.evaluate(loaders["test"], max_key="mAP")

    folder = os.path.join(hparams["output_folder"], "inference")
    run_on_main(
        export_inference,
        args=[
            os.path.join(hparams["output_folder"], "hyperparams.yaml"),
            {key: hparams[key] for key in ("embedding_model", "classifier")},
            label_encoder,
            folder,
        ],
    )
    if if_main_process():
        logger.info(
            "Evaluation on %s:\n%s\nModel: %s",
            hparams["data_description"],
            brain.results,
            folder,
        )
    if brain.distributed_launch:
        torch.distributed.destroy_process_group()
