"""The training loop that the recipes share.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import itertools
import math

import torch
from torch.nn.utils import get_total_norm

import speechbrain as sb
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.batches import collate_clips
from speechbrain_fftp.inference.folder import export_inference
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.training import ddp, reports
from speechbrain_fftp.training.checkpoints import average_best
from speechbrain_fftp.training.history import TrainingHistory
from speechbrain_fftp.training.setup import num_processes

logger = get_logger(__name__)


class ClipBrain(ddp.DistributedBrain):
    """Trains, evaluates and exports a model that classifies clips.

    A recipe's Brain adds what depends on the task:

    - ``criterion``, the metric that selects checkpoints (higher is better),
    - ``probabilities(logits)``, from ``[B, C]`` to ``[B, C]``,
    - ``score(targets, probs)``, a dict of metrics of a split, and
    - ``report(targets, probs, metrics, **more)``, which writes the results of
      the test split, with ``more`` in metrics.json, and returns a table.

    Batches are those of ``collate_clips``, with targets ``[B, C]``. Most
    arguments are keys of the recipes' yaml files, the modules those of
    ``Tagger``; ``run`` is a ``RunFolder``, ``data_description`` the data's
    name.
    """

    train_stream = None  # a ShardStream, if the training clips are in shards
    teacher = None  # a Distillation, if there is a teacher
    strong_labels = None  # StrongLabels, if the times of sounds are known
    thresholds = ()  # what learn_thresholds returns, for the inference folder

    def __init__(
        self,
        label_encoder,
        modules,
        *,
        wav_augment,
        mixup,
        fea_augment,
        compute_cost,
        epoch_counter,
        frozen_epochs,
        avg_checkpoints,
        seed,
        train_logger,
        tensorboard_logger,
        run,
        data_description,
        **kwargs,
    ):
        super().__init__(modules, **kwargs)
        self.label_encoder = label_encoder
        self.labels = list(label_encoder.lab2ind)
        self.plain_modules = modules  # fit wraps those of self.modules for DDP
        self.wav_augment = wav_augment
        self.mixup = mixup
        self.fea_augment = fea_augment
        self.compute_cost = compute_cost
        self.epoch_counter = epoch_counter
        self.frozen_epochs = frozen_epochs
        self.avg_checkpoints = avg_checkpoints
        self.seed = seed
        self.run, self.output_folder = run, str(run.folder)
        about = train_logger, tensorboard_logger, self.labels, self.criterion
        self.history = TrainingHistory(run.folder, *about)
        self.data_description = data_description
        if self.optimizer_step_limit is not None:  # text to SpeechBrain
            self.optimizer_step_limit = int(self.optimizer_step_limit)
        minutes = self.ckpt_interval_minutes
        self.ckpt_intervals = minutes, self.ckpt_interval_steps
        self.checkpointer.add_recoverable("history", self.history)

    @property
    def lr(self):
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    @property
    def epoch(self):
        """Number of the current epoch."""
        return self.epoch_counter.current

    def compute_forward(self, batch, stage):
        """Returns logits ``[B, C]`` and targets, then the teacher's."""
        batch = batch.to(self.device)
        (signals, lens), (targets, _) = batch.sig, batch.targets
        if stage == sb.Stage.TRAIN:
            if self.strong_labels:
                targets = self.strong_labels.add(batch.id, signals, targets)
            if self.teacher:
                targets = self.teacher.look_up(batch.id, targets)
            augmented = self.augment(self.wav_augment, signals, lens, targets)
            signals, lens, targets = self.mixup(*augmented)
            if self.teacher:
                targets = self.teacher.listen(signals, lens, targets)
        tagger = Tagger(**self.modules)  # in DDP, of the wrapped modules
        feats, lens = tagger.features(signals, lens)
        if stage == sb.Stage.TRAIN:
            augmented = self.augment(self.fea_augment, feats, lens, targets)
            feats, lens, targets = augmented
        with self.frozen_encoder(stage):
            embeddings = tagger.embedding_model(feats, lens)
        self.frame_loss = 0.0
        if stage == sb.Stage.TRAIN and self.strong_labels:
            about = tagger.classifier, embeddings, targets
            targets, self.frame_loss = self.strong_labels.compare(*about)
        return tagger.classify(embeddings), targets

    def compute_objectives(self, predictions, batch, stage):
        """Returns the loss; in evaluation, keeps the predictions to score."""
        logits, targets = predictions
        cost = self.compute_cost
        if stage != sb.Stage.TRAIN:
            self.kept.add(batch, logits, targets)
        elif self.teacher:
            cost = functools.partial(self.teacher.loss, cost=cost)
        loss = cost(logits, targets) + self.frame_loss
        return 0 * loss if batch.unreadable == batch.id else loss

    def augment(self, augmenter, signals, lens, targets):
        """Augments waveforms ``[B, S]`` or features ``[B, T, F]``, or not."""
        if augmenter is None:
            return signals, lens, targets
        plain = signals[0]
        signals, lens = augmenter(signals, lens)
        if signals.ndim == 3 and self.step == 1 and if_main_process():
            about = self.history.writer, plain, signals[0], self.epoch
            reports.add_spectrograms(*about)
        return signals, lens, augmenter.replicate_labels(targets)

    def frozen_encoder(self, stage):
        """Context of the encoder: no gradients in the frozen epochs."""
        if stage != sb.Stage.TRAIN or self.epoch > self.frozen_epochs:
            return contextlib.nullcontext()
        self.modules.embedding_model.eval()
        # Not requires_grad, which DDP expects to stay as it was.
        return torch.no_grad()

    def on_fit_start(self):
        """Loads the last checkpoint; the logs end where it was saved."""
        super().on_fit_start()
        self.history.resume(self.epoch, self.optimizer_step)

    def on_fit_batch_start(self, batch, should_step):
        """Seeds the step and sets its learning rate."""
        ddp.seed_step(self.seed, self.epoch, self.step)
        if should_step:
            self.lr_schedule(self.optimizer)

    def check_loss_isfinite(self, loss):
        """Says in which step the loss became infinite, and what to do."""
        try:
            super().check_loss_isfinite(loss)
        except ValueError as error:
            text = f"The loss is {loss.item()} in step {self.step} of epoch "
            text += f"{self.epoch}. Start again with a lower lr and another "
            raise ValueError(text + "--output_folder.") from error

    def optimizers_step(self):
        """Notes the norm of the gradients before it is clipped."""
        grads = [p.grad for p in self.modules.parameters()]
        norm = get_total_norm([g for g in grads if g is not None])
        self.grad_norm = norm.item() / self.scaler.get_scale()
        super().optimizers_step()

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Logs the step, and allows or forbids a checkpoint after it."""
        self.history.add_batch(len(batch.id) * num_processes())
        self.batch_loss = ddp.mean_over_ranks(loss)
        if should_step:
            values = self.optimizer_step, self.batch_loss, self.lr
            self.history.add_step(*values, self.grad_norm)
            self.run.begin()
        # SpeechBrain reads the intervals after each batch, and 0 means never.
        # A checkpoint would lose accumulated gradients, or keep NaNs.
        allowed = should_step and math.isfinite(self.batch_loss)
        intervals = self.ckpt_intervals if allowed else (0, 0)
        self.ckpt_interval_minutes, self.ckpt_interval_steps = intervals

    def fit_batch(self, batch):
        """Returns the mean loss of all processes: one of them saves it."""
        super().fit_batch(batch)
        return torch.tensor(self.batch_loss, dtype=torch.float64)

    def on_stage_start(self, stage, epoch=None):
        """Forgets the predictions of the last stage; positions the stream."""
        self.kept = ddp.Predictions()
        if stage != sb.Stage.TRAIN:
            return
        self.history.start_epoch(resumed=self.step > 0)
        if self.train_stream is not None:
            self.train_stream.set_position(epoch, batches_done=self.step)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Computes and logs metrics; saves a checkpoint after validation."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            return
        ids, logits, targets, unreadable = self.kept.gather()
        probs = self.probabilities(logits)
        metrics = self.score(targets, probs)
        loss = self.compute_cost(logits, targets).item()
        means = {k: v for k, v in metrics.items() if isinstance(v, float)}
        stats = {"loss": loss, **means}
        if stage == sb.Stage.VALID:
            return self.end_epoch(ids, targets, probs, stats)
        epochs, per_class = self.tested["epochs"], metrics.get("per_class", {})
        self.history.add_test(epochs, stats, per_class)
        if if_main_process():
            clips = ids, targets, probs, self.labels
            reports.write_predictions(self.output_folder, *clips)
            more = {"data": self.data_description, "unreadable": unreadable}
            more.update(**self.run.facts(), **self.tested)
            table = self.report(targets, probs, metrics, loss=loss, **more)
            logger.info("Evaluation on %s:\n%s", self.data_description, table)

    def end_epoch(self, ids, targets, probs, stats):
        """Logs an epoch and saves its checkpoint."""
        best, about = self.criterion, (self.epoch, self.lr, self.train_loss)
        self.history.add_epoch(*about, stats, ids, probs, targets)
        self.checkpointer.save_and_keep_only(
            meta={best: stats[best], "epoch": self.epoch},
            max_keys=[best],
            importance_keys=[],
            num_to_keep=self.avg_checkpoints,
        )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Averages the weights of the best checkpoints."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        about = ("embedding_model", "classifier"), max_key, self.avg_checkpoints
        found = average_best(self.checkpointer, *about)
        saved = self.checkpointer.list_checkpoints()
        self.tested = {
            "epochs": max(c.meta.get("epoch", 0) for c in saved),
            "averaged_epochs": sorted(c.meta["epoch"] for c in found),
            f"valid_{max_key}": max(c.meta[max_key] for c in found),
        }

    def predict(self, loader):
        """Returns targets and probabilities ``[clips, C]`` of a split."""
        self.kept = ddp.Predictions()
        self.modules.eval()
        limit = self.debug_batches if self.debug else None
        with torch.no_grad():
            for batch in itertools.islice(loader, limit):
                self.evaluate_batch(batch, sb.Stage.VALID)
        _, logits, targets, _ = self.kept.gather()
        return targets, self.probabilities(logits)

    def set_schedule(self, lr_schedule, warmup_steps, train_loader):
        """Creates the schedule; warm-up takes at most a tenth of all steps."""
        steps = len(train_loader) // self.grad_accumulation_factor
        if not steps:
            text = "grad_accumulation_factor must be at most the number of "
            raise ValueError(f"{text}batches of an epoch, {len(train_loader)}.")
        steps *= self.epoch_counter.limit
        self.lr_schedule = lr_schedule(
            warmup_steps=min(warmup_steps, steps // 10), total_steps=steps
        )
        self.checkpointer.add_recoverable("lr_schedule", self.lr_schedule)

    def evaluation_loader(self, dataset, stage, loader_opts):
        """Returns the loader of a split, of which each process gets a share."""
        opts = {"collate_fn": collate_clips, **loader_opts}
        if self.distributed_launch:  # some clips twice: see Predictions
            sampler = torch.utils.data.DistributedSampler
            opts["sampler"] = sampler(dataset, shuffle=False)
        return self.make_dataloader(dataset, stage, ckpt_prefix=None, **opts)

    def export(self, single_label=False):
        """Writes the inference folder, and ends the process group if any."""
        folder = self.run.folder / "inference"
        recipe = self.run.folder / "hyperparams.yaml"
        about = self.plain_modules, self.label_encoder, folder, single_label
        run_on_main(export_inference, args=[recipe, *about, self.thresholds])
        if if_main_process():
            logger.info("Model: %s", folder)
        if self.distributed_launch:
            self.modules.clear()  # DDP's wrappers refer to the process group
            ddp.leave_group()
