"""What this package adds to a recipe.

The recipe that goes to SpeechBrain is a copy without it, in which ``PluginBrain``,
``parse_arguments`` and ``load_hyperpyyaml`` are those of SpeechBrain and
HyperPyYAML, see ``tools/upstream.py``.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os

from torch.utils.data import SequentialSampler

import speechbrain as sb
from fftp_tag.errors import InputError, one_line_errors
from speechbrain.dataio.dataloader import distributed_loader_specifics
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.distributed import get_rank, run_on_main
from speechbrain_fftp.nnet.schedulers import count_steps
from speechbrain_fftp.training.command import load_hyperpyyaml, parse_arguments
from speechbrain_fftp.training.compile import compile_encoder
from speechbrain_fftp.training.guard import (
    check_data,
    check_weights,
    not_finite,
)
from speechbrain_fftp.training.losses import mean_of_processes, start_copy
from speechbrain_fftp.training.mixing import MixedClips, MixupSampler
from speechbrain_fftp.training.rows import store_in_arrays
from speechbrain_fftp.training.throughput import Throughput

__all__ = [
    "PluginBrain",
    "check_training",
    "load_hyperpyyaml",
    "one_line_errors",
    "parse_arguments",
    "report_results",
]


def check_training(brain, datasets):
    """Checks the data, and calls the functions of ``before`` in the yaml file.

    These take the Brain and the data sets, and are not called if the model is
    only tested.

    Arguments
    ---------
    brain : PluginBrain
        The Brain, before ``fit``.
    datasets : dict
        The data sets ``train``, ``valid`` and, in most recipes, ``test``.

    Raises
    ------
    InputError
        If a training would be wasted.
    """
    run_on_main(check_data, args=[vars(brain.hparams), datasets["valid"]])
    for split, dataset in datasets.items():
        if isinstance(dataset, DynamicItemDataset):
            check_clips(dataset)
            if split != "train":
                check_labels(dataset, split)
    if brain.test_only:
        return
    accumulated = brain.grad_accumulation_factor
    size = brain.hparams.batch_size
    if not count_steps(len(datasets["train"]), size, 1, accumulated):
        raise InputError(
            f"An epoch has fewer batches of {size} clips than "
            f"--grad_accumulation_factor {accumulated}: give less of either."
        )
    for function in brain.hparams.before:
        function(brain, datasets)


def check_clips(dataset):
    """Raises an InputError if a clip is missing, or the first one unusable."""
    for row in dataset.data.values():
        if not os.path.isfile(row["wav"]):
            raise InputError(
                f"{row['wav']} is missing: prepare the data, without --skip_prep."
            )
    try:
        dataset[0]
    except (RuntimeError, ValueError) as error:
        raise InputError(str(error)) from error


def check_labels(dataset, split):
    """Raises an InputError if no class can be scored by a split's clips."""
    labels = [row["labels"] for row in dataset.data.values() if "labels" in row]
    if labels and len({frozenset(x.split(";")) for x in labels}) == 1:
        raise InputError(
            f"The {len(labels)} clips of the {split} split all have the same "
            "labels, so that no class can be scored: give it other clips, too."
        )


def report_results(brain, datasets):
    """Calls the functions of ``after`` in the yaml file, see ``check_training``."""
    for function in brain.hparams.after:
        function(brain, datasets)


class PluginBrain(sb.Brain):
    """SpeechBrain's Brain, with what this package adds to a training.

    * A step does not wait for the GPU: its loss, the mean over all processes, is
      read one step later. Losses that are not finite more often than
      ``nonfinite_patience`` allows, and such weights, are an InputError.
    * Each step has a seed, so that a resumed training draws the same numbers.
    * Encoders are compiled block by block.
    * Clips that are not trained on are distributed over processes as well.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.unread_loss = None  # of the last step: the step, and a function
        self.throughput = Throughput()

    def make_dataloader(
        self, dataset, stage, ckpt_prefix="dataloader-", **loader_kwargs
    ):
        """Creates a loader, see ``speechbrain.Brain``."""
        if isinstance(dataset, DynamicItemDataset):
            store_in_arrays(dataset)
        # There may be no validation clips to distribute
        if stage != sb.Stage.TRAIN and len(dataset):
            # Explicit, since several processes would shuffle otherwise
            loader_kwargs["sampler"] = SequentialSampler(dataset)
            loader_kwargs = distributed_loader_specifics(
                self.distributed_launch, get_rank(), dataset, loader_kwargs
            )
        if isinstance(loader_kwargs.get("sampler"), MixupSampler):
            dataset = MixedClips(dataset)
        loader = super().make_dataloader(
            dataset, stage, ckpt_prefix=ckpt_prefix, **loader_kwargs
        )
        if stage == sb.Stage.TRAIN:
            self.last_step = len(loader)
        return loader

    def _compile(self):
        """Compiles encoders in blocks; SpeechBrain's compiles them whole."""
        if not self.compile:
            return super()._compile()
        for name in self.compile_module_keys or ["embedding_model"]:
            compile_encoder(
                self.modules[name],
                mode=self.compile_mode,
                fullgraph=self.compile_using_fullgraph,
                dynamic=self.compile_using_dynamic_shape_tracing,
            )

    def fit_batch(self, batch):
        """Trains on a batch; returns the loss, on the device."""
        self.throughput.start_step()
        epoch = self.hparams.epoch_counter.current
        step = (self.hparams.seed, epoch, self.step, get_rank() or 0)
        sb.utils.seed_everything(hash(step) % 2**32, verbose=False)
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            self.scaler.scale(loss / self.grad_accumulation_factor).backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        return loss.detach()

    def update_average(self, loss, avg_loss):
        """Adds a loss to the mean; in training, that of the step before.

        Losses of an epoch's first step and of its last are added at once.
        """
        loss = mean_of_processes(loss, self.device)
        if not self.modules.training:
            return super().update_average(loss, avg_loss)
        read = start_copy(loss)
        avg_loss = self._read_loss(avg_loss)
        self.unread_loss = self.step, read
        is_last = (
            self.step == self.last_step
            or (self.debug and self.step == self.debug_batches)
            or self._optimizer_step_limit_exceeded
        )
        if is_last or self.step == 1:
            avg_loss = self._read_loss(avg_loss)
        self.throughput.end_step(self.hparams.batch_size)
        if is_last:
            check_weights(self.modules)
            self.throughput.end_epoch()
        return avg_loss

    def _read_loss(self, avg_loss):
        """Adds the loss that has not been read yet, if any, to the mean."""
        if self.unread_loss is None:
            return avg_loss
        step, read = self.unread_loss
        self.unread_loss = None
        loss = read()
        if math.isfinite(loss):  # as in speechbrain.Brain, for equal results
            avg_loss -= avg_loss / step
            return avg_loss + loss / step
        self.nonfinite_count += 1
        if self.nonfinite_count > self.nonfinite_patience:
            raise not_finite(f"The loss of step {step} of this epoch is {loss}")
        return avg_loss

    def _save_intra_epoch_ckpt(self):
        """Saves a checkpoint, unless weights are not finite.

        With the last loss, which would be lost: no hook comes before.
        """
        self.avg_train_loss = self._read_loss(self.avg_train_loss)
        check_weights(self.modules)
        super()._save_intra_epoch_ckpt()
