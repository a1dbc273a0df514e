"""The training loop that the recipes share: clips in, one vector each out.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import math
import os

import torch

import speechbrain as sb
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.batches import collate_clips
from speechbrain_fftp.inference.folder import export_inference
from speechbrain_fftp.training.ddp import (
    gather_clips,
    leave_group,
    mean_over_ranks,
    sampler_of_rank,
    seed_step,
)
from speechbrain_fftp.training.predictions import write_predictions
from speechbrain_fftp.training.reports import add_predictions, add_spectrograms

logger = get_logger(__name__)


class ClipBrain(sb.core.Brain):
    """Trains and evaluates an encoder of clips and its classifier.

    A recipe says by ``compute_forward``, ``compute_objectives``, ``criterion``,
    ``probabilities``, ``score`` and ``report`` what is to be learnt. A batch
    has ``id``, ``sig`` (waveforms ``[B, S]``), ``targets`` (``[B, C]``, 1 for
    the classes of a clip) and ``left_out``. The schedule of the learning rate
    is set by ``set_schedule`` when the number of steps is known.

    Arguments
    ---------
    labels : list of str
        The name of each class.
    train_logger : speechbrain.utils.train_logger.FileTrainLogger
        The log of the epochs.
    tensorboard_logger : speechbrain.utils.train_logger.TensorboardLogger
        Where curves and pictures go.
    avg_checkpoints : int
        How many checkpoints to keep and to average for the evaluation.
    *args : tuple
        Arguments of ``speechbrain.core.Brain``.
    **kwargs : dict
        Further arguments of ``speechbrain.core.Brain``.

    Example
    -------
    >>> class Tagger(ClipBrain):
    ...     def probabilities(self, logits):
    ...         return logits.sigmoid()
    >>> tagger = Tagger(["Speech"], None, None, 1, run_opts={"device": "cpu"})
    >>> tagger.probabilities(torch.zeros(1, 1))
    tensor([[0.5000]])
    """

    criterion = None  # the metric, greater for better, that selects checkpoints
    train_stream = None  # the training clips, if they are in shards

    def __init__(
        self,
        labels,
        train_logger,
        tensorboard_logger,
        avg_checkpoints,
        *args,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.labels = labels
        self.train_logger = train_logger
        self.tensorboard_logger = tensorboard_logger
        self.avg_checkpoints = avg_checkpoints

    def probabilities(self, logits):
        """Probabilities of all classes ``[B, C]``.

        Arguments
        ---------
        logits : torch.Tensor
            ``[B, C]``.
        """
        raise NotImplementedError

    def score(self, targets, probs):
        """Metrics of a split by name, that of ``criterion`` among them.

        Arguments
        ---------
        targets : torch.Tensor
            Labels ``[clips, C]``.
        probs : torch.Tensor
            Probabilities ``[clips, C]``.
        """
        raise NotImplementedError

    def report(self, metrics, **more):
        """Writes the results of the evaluation; gives a table to print.

        Arguments
        ---------
        metrics : dict
            What ``score`` gave.
        **more : dict
            Further facts for metrics.json.
        """
        raise NotImplementedError

    @property
    def writer(self):
        """The TensorBoard writer, on the main process."""
        return self.tensorboard_logger.writer

    @property
    def epoch(self):
        """Number of the epoch."""
        return self.hparams.epoch_counter.current

    def augment(self, augmenter, signals, lens, targets):
        """Augments a batch.

        Arguments
        ---------
        augmenter : speechbrain.augment.augmenter.Augmenter
            What does it.
        signals : torch.Tensor
            Waveforms ``[B, S]`` or features ``[B, T, F]``.
        lens : torch.Tensor
            Relative lengths ``[B]``.
        targets : torch.Tensor
            Labels ``[B, C]``.

        Returns
        -------
        signals : torch.Tensor
            What has become of them.
        lens : torch.Tensor
            Relative lengths ``[B]``.
        targets : torch.Tensor
            Labels ``[B, C]``.
        """
        plain = signals[0]
        signals, lens = augmenter(signals, lens)
        if signals.ndim == 3 and self.step == 1 and if_main_process():
            add_spectrograms(self.writer, plain, signals[0], self.epoch)
        return signals, lens, augmenter.replicate_labels(targets)

    def features(self, wavs, lens):
        """Normalised features of waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.
        lens : torch.Tensor
            Relative lengths ``[B]``.

        Returns
        -------
        feats : torch.Tensor
            Features ``[B, T, F]``.
        lens : torch.Tensor
            Their relative lengths ``[B]``.
        """
        feats = self.modules.compute_features(wavs)
        lens = self.modules.compute_features.frame_lens(lens, wavs.shape[1])
        return self.modules.mean_var_norm(feats, lens), lens

    def logits(self, feats, lens, stage):
        """What the classifier makes of features.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``.
        lens : torch.Tensor
            Relative lengths ``[B]``.
        stage : speechbrain.Stage
            The stage.

        Returns
        -------
        torch.Tensor
            ``[B, C]``.
        """
        with self.frozen_encoder(stage):
            embeddings = self.modules.embedding_model(feats, lens)
        return self.modules.classifier(embeddings).squeeze(1).float()

    def frozen_encoder(self, stage):
        """Within it the encoder learns nothing, if that is due.

        It then works as in evaluation and gets no gradients at all, so that
        the optimiser, weight decay included, leaves it as it is. (Parameters
        that require none would not be those that DDP was set up with.)

        Arguments
        ---------
        stage : speechbrain.Stage
            The stage.

        Returns
        -------
        contextlib.AbstractContextManager
            For the encoder's forward pass.
        """
        if stage != sb.Stage.TRAIN or self.epoch > self.hparams.frozen_epochs:
            return contextlib.nullcontext()
        self.modules.embedding_model.eval()
        return torch.no_grad()

    def keep(self, batch, logits, targets):
        """Keeps what a batch of an evaluation has given, to score the split.

        Arguments
        ---------
        batch : PaddedBatch
            The clips.
        logits : torch.Tensor
            ``[B, C]``.
        targets : torch.Tensor
            Labels ``[B, C]``.
        """
        self.ids.extend(batch.id)
        self.left_out.extend(batch.left_out)
        self.kept_logits.append(logits.cpu())
        self.kept_targets.append(targets.cpu())

    def on_fit_batch_start(self, batch, should_step):
        """Seeds the coming step and sets its learning rate.

        Arguments
        ---------
        batch : PaddedBatch
            Not used.
        should_step : bool
            Whether the optimiser steps.
        """
        seed_step(self.hparams.seed, self.epoch, self.step)
        if should_step:
            self.lr_schedule(self.optimizer)

    def check_loss_isfinite(self, loss):
        """Says where the loss stopped being finite, and what to do.

        Arguments
        ---------
        loss : torch.Tensor
            The loss.

        Raises
        ------
        ValueError
            If it has been infinite too often.
        """
        try:
            super().check_loss_isfinite(loss)
        except ValueError as error:
            raise ValueError(
                f"The loss is {loss.item()} in step {self.step} of epoch "
                f"{self.epoch}. Start again with a lower lr than "
                f"{self.hparams.lr}; it goes on from the last checkpoint."
            ) from error

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Logs the loss and the learning rate of each step.

        Arguments
        ---------
        batch : PaddedBatch
            Not used.
        outputs : tuple
            Not used.
        loss : torch.Tensor
            The loss.
        should_step : bool
            Whether the optimiser has stepped.
        """
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
        """Forgets the scores of the stage before; finds the next clip.

        Arguments
        ---------
        stage : speechbrain.Stage
            The stage.
        epoch : int, optional
            Number of the epoch.
        """
        self.ids, self.left_out = [], []
        self.kept_logits, self.kept_targets = [], []
        if stage == sb.Stage.TRAIN and self.train_stream is not None:
            self.train_stream.set_position(epoch, batches_done=self.step)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Metrics, logs, and a checkpoint after each validation.

        Arguments
        ---------
        stage : speechbrain.Stage
            The stage.
        stage_loss : float
            Mean loss of its batches.
        epoch : int, optional
            Number of the epoch.
        """
        if stage == sb.Stage.TRAIN:
            loss = torch.tensor(stage_loss, device=self.device)
            self.train_loss = mean_over_ranks(loss)
            return
        ids, logits, targets = gather_clips(
            self.ids, torch.cat(self.kept_logits), torch.cat(self.kept_targets)
        )
        (left_out,) = gather_clips(self.left_out)
        probs = self.probabilities(logits)
        metrics = self.score(targets, probs)
        value = metrics[self.criterion]
        loss = self.hparams.compute_cost(logits, targets).item()
        stats = {"loss": loss, self.criterion: value}
        if stage == sb.Stage.TEST:
            self.train_logger.log_stats({"epoch": self.epoch}, test_stats=stats)
            if if_main_process():
                path = os.path.join(
                    self.hparams.output_folder, "predictions.csv"
                )
                write_predictions(path, ids, targets, probs, self.labels)
                data = self.hparams.data_description
                self.results = self.report(
                    metrics, loss=loss, data=data, unreadable=left_out
                )
            return
        self.train_logger.log_stats(
            stats_meta={"epoch": epoch},
            train_stats={"loss": self.train_loss},
            valid_stats=stats,
        )
        if if_main_process():
            self.writer.add_scalar("loss/train", self.train_loss, epoch)
            for name, number in stats.items():
                self.writer.add_scalar(f"{name}/valid", number, epoch)
            shown = ids[:8], probs[:8], targets[:8]
            add_predictions(self.writer, *shown, self.labels, epoch)
        self.checkpointer.save_and_keep_only(
            meta={self.criterion: value, "epoch": epoch},
            max_keys=[self.criterion],
            importance_keys=[],
            num_to_keep=self.avg_checkpoints,
        )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Averages the weights of the best checkpoints.

        Arguments
        ---------
        max_key : str, optional
            The metric by which they are the best.
        min_key : str, optional
            Not used.

        Raises
        ------
        FileNotFoundError
            If there is no checkpoint.
        """
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        checkpoints = self.checkpointer.find_checkpoints(
            max_key=max_key, max_num_checkpoints=self.avg_checkpoints
        )
        if not checkpoints:
            raise FileNotFoundError(
                f"There is no checkpoint with a validation {max_key} in "
                f"{self.hparams.save_folder}: train first, without --test_only."
            )
        for name in ("embedding_model", "classifier"):
            average = average_checkpoints(checkpoints, name)
            self.checkpointer.recoverables[name].load_state_dict(average)

    def set_schedule(self, lr_schedule, train_loader, epochs, warmup_steps):
        """Sets the learning rate of each step, when their number is known.

        Arguments
        ---------
        lr_schedule : callable
            Makes a schedule of ``warmup_steps`` and ``total_steps``.
        train_loader : torch.utils.data.DataLoader
            The training clips.
        epochs : int
            Number of epochs.
        warmup_steps : int
            Steps in which it rises, at most a tenth of all.
        """
        steps = len(train_loader) // self.grad_accumulation_factor
        steps = max(steps * epochs, 1)
        self.lr_schedule = lr_schedule(
            warmup_steps=min(warmup_steps, steps // 10), total_steps=steps
        )
        self.checkpointer.add_recoverable("lr_schedule", self.lr_schedule)

    def loader_to_score(self, dataset, stage, **opts):
        """The loader of a split, of which each process gets a part.

        Arguments
        ---------
        dataset : torch.utils.data.Dataset
            The split.
        stage : speechbrain.Stage
            ``VALID`` or ``TEST``.
        **opts : dict
            Options of the loader.

        Returns
        -------
        torch.utils.data.DataLoader
            The loader.
        """
        return self.make_dataloader(
            dataset,
            stage,
            ckpt_prefix=None,
            collate_fn=collate_clips,
            sampler=sampler_of_rank(dataset),
            **opts,
        )

    def export(self, label_encoder, single_label=False):
        """Writes the folder ``inference`` and logs the results.

        Arguments
        ---------
        label_encoder : speechbrain.dataio.encoder.CategoricalEncoder
            Maps class indices to labels.
        single_label : bool
            Whether a clip has one class only.
        """
        folder = os.path.join(self.hparams.output_folder, "inference")
        run_on_main(
            export_inference,
            args=[
                os.path.join(self.hparams.output_folder, "hyperparams.yaml"),
                self.hparams.modules,
                label_encoder,
                folder,
            ],
            kwargs={"single_label": single_label},
        )
        if if_main_process():
            logger.info(
                "Evaluation on %s:\n%s\nModel: %s",
                self.hparams.data_description,
                self.results,
                folder,
            )
        if self.distributed_launch:
            self.modules.clear()
            leave_group()
