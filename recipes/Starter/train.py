#!/usr/bin/env python3
"""Recipe for the starter model, which learns what a published tagger answers.

Recordings of any sounds are mixed in each step; a teacher, any model that
fftp-tag reads, tells which classes it hears in each mixture and in parts of it.
To run it:
> python recipes/Starter/train.py hparams/starter.yaml \
>     --audio_folders "[DIR, DIR]" --teacher MODEL

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import csv
import sys

import torch
from mixtures import Mixtures, Numbers, log_odds
from starter_prepare import select_rows
from torch.nn.functional import cosine_similarity

import speechbrain as sb
from fftp_tag.errors import InputError
from speechbrain.dataio.dataio import load_data_csv
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
from speechbrain_fftp.lobes.frame_classifier import frame_level_times
from speechbrain_fftp.lobes.tagger import extract_features, unequal_lengths
from speechbrain_fftp.nnet.schedulers import count_steps


class StarterBrain(PluginBrain):
    """A Brain whose targets are the answers of a teacher."""

    def compute_forward(self, batch, stage):
        """Computes what a batch is taught by.

        Arguments
        ---------
        batch : PaddedBatch
            A batch of ``Mixtures``.
        stage : sb.Stage
            The stage, which makes no difference.

        Returns
        -------
        probs : torch.Tensor
            Probabilities ``[B, C]`` of clips.
        part_probs : torch.Tensor
            Those of their parts, ``[B, P, C]``.
        projected : torch.Tensor
            Embeddings ``[B, E]`` as the teacher has them.
        """
        lens = unequal_lengths(batch.sig.lengths)
        batch = batch.to(self.device)
        wavs = batch.sig.data / 32768
        feats, lens = extract_features(self.modules, wavs, lens)
        tagger = self.modules.embedding_model
        found = tagger(feats, lens, return_frames=True)
        times = frame_level_times(
            self.modules.compute_features, tagger.embedding, wavs.shape[1]
        ).to(self.device)
        starts, ends = batch.parts.data.unsqueeze(3).unbind(2)  # [B, P, 1]
        inside = (starts <= times) & (times < ends)
        if found.valid is not None:
            inside &= found.valid.unsqueeze(1)
        frame_probs = found.frame_logits.sigmoid()
        part_probs = torch.stack(
            [
                tagger.frame_classifier.pooling(frame_probs * each.unsqueeze(2))
                for each in inside.unbind(1)
            ],
            1,
        )
        projected = self.modules.projection(found.embedding).squeeze(1)
        return found.logits.squeeze(1).sigmoid(), part_probs, projected

    def compute_objectives(self, predictions, batch, stage):
        """The divergence of clips and of parts from the teacher's answers, in
        nats, plus the distance of embeddings, ``1 - cosine``.
        """
        batch = batch.to(self.device)
        probs, part_probs, projected = predictions
        targets = batch.targets.data
        of_clips = divergence(probs, targets)
        of_parts = divergence(part_probs, batch.part_targets.data)
        distance = 1 - cosine_similarity(projected, batch.embedding.data)
        if stage != sb.Stage.TRAIN:
            self.divergences += of_clips.tolist()
            self.distances += distance.tolist()
            agrees = probs.argmax(1) == targets.argmax(1)
            self.agreements += agrees.tolist()
        weight = self.hparams.embedding_weight
        return (of_clips.mean() + of_parts.mean()) + weight * distance.mean()

    def on_fit_batch_start(self, batch, should_step):
        """Sets the learning rate of a step."""
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def on_stage_start(self, stage, epoch=None):
        """Resets the statistics."""
        self.divergences, self.distances, self.agreements = [], [], []

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs the agreement with the teacher; saves a checkpoint."""
        if stage == sb.Stage.TRAIN:
            self.train_stats = {"loss": stage_loss}
            return
        count = len(self.divergences)
        stats = {
            "divergence": sum(self.divergences) / count,
            "distance": sum(self.distances) / count,
            "same best class": sum(self.agreements) / count,
        }
        if stage == sb.Stage.TEST:
            self.hparams.train_logger.log_stats(
                stats_meta={"Epoch loaded": self.hparams.epoch_counter.current},
                test_stats=stats,
            )
            return
        logged = {
            "stats_meta": {
                "epoch": epoch,
                "lr": self.optimizer.param_groups[0]["lr"],
            },
            "train_stats": self.train_stats,
            "valid_stats": stats,
        }
        self.hparams.train_logger.log_stats(**logged)
        if self.hparams.use_tensorboard:
            self.hparams.tensorboard_train_logger.log_stats(**logged)
        self.checkpointer.save_and_keep_only(meta={"epoch": epoch, **stats})


def divergence(probs, targets, margin=1e-6):
    """How far probabilities are from targets, summed over the classes.

    Arguments
    ---------
    probs, targets : torch.Tensor
        Probabilities ``[..., C]`` of several labels.
    margin : float
        How near to 0 and 1 probabilities are taken to be at most.

    Returns
    -------
    torch.Tensor
        The Kullback-Leibler divergence ``[...]`` in nats.

    Example
    -------
    >>> divergence(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.5]))
    tensor(0.6931)
    """
    probs = probs.clamp(margin, 1 - margin)
    targets = targets.clamp(margin, 1 - margin)
    heard = targets * (targets / probs).log()
    unheard = (1 - targets) * ((1 - targets) / (1 - probs)).log()
    return (heard + unheard).sum(-1)


def start_from_teacher(brain, datasets):
    """Sets the classifier's bias to log-odds of the teacher's answers.

    Raises an InputError if the teacher has other embeddings than
    ``embedding_size``.
    """
    # A copy, whose teacher no worker inherits
    clips = copy.copy(datasets["train"])
    size = len(clips[0]["embedding"])
    if size != brain.hparams.embedding_size:
        raise InputError(
            f"The teacher's embeddings have {size} dimensions: give "
            f"--embedding_size {size}."
        )
    layer = brain.modules.embedding_model.frame_classifier.layers[-1]
    with torch.no_grad():
        layer.bias.copy_(log_odds(clips))


def dataio_prep(hparams):
    """Creates the datasets, and fills the label encoder.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    dict of Mixtures
        ``train``; and ``valid``, recordings that are not trained on, as they
        are.
    """
    with open(hparams["class_list"], newline="", encoding="utf-8") as fin:
        names = [row["display_name"] for row in csv.DictReader(fin)]
    hparams["label_encoder"].update_from_iterable(names)
    hparams["label_encoder"].expect_len(hparams["n_classes"])
    rows = {
        split: load_data_csv(
            hparams[f"{split}_annotation"], {"data_root": hparams["data_root"]}
        )
        for split in ("train", "valid")
    }
    rows["train"] = select_rows(rows["train"], **hparams["select_opts"])
    options = {
        "teacher": hparams["teacher"],
        "sample_rate": hparams["sample_rate"],
        "seed": hparams["seed"],
        "seconds": hparams["clip_seconds"],
        "part_seconds": hparams["part_seconds"],
        "num_parts": hparams["num_parts"],
        "background_folders": hparams["background_folders"],
    }
    return {
        "train": Mixtures(
            rows["train"],
            size=hparams["clips_per_epoch"],
            weights=hparams["folder_weights"],
            **options,
        ),
        "valid": Mixtures(
            rows["valid"], size=len(rows["valid"]), is_mixed=False, **options
        ),
    }


@one_line_errors()
def main():
    """Trains a model and evaluates it."""
    hparams_file, run_opts, overrides = parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=None if run_opts["test_only"] else hparams_file,
        overrides=overrides,
    )
    if hparams["use_tensorboard"]:
        hparams["tensorboard_train_logger"] = TensorboardLogger(
            hparams["tensorboard_logs_folder"]
        )
    run_on_main(hparams["prepare"], kwargs=hparams["prepare_opts"])
    datasets = dataio_prep(hparams)
    brain = StarterBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    check_training(brain, datasets)
    if brain.checkpointer.find_checkpoint() is None:
        start_from_teacher(brain, datasets)
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
    brain.train_sampler = Numbers(datasets["train"], hparams["uses"])
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
        datasets["valid"], test_loader_kwargs=hparams["valid_dataloader_opts"]
    )
    report_results(brain, datasets)


if __name__ == "__main__":
    main()
