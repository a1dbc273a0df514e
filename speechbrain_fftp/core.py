"""The Brain and the command line of this package's recipes.

A recipe imports them from here in place of SpeechBrain's own, and needs no other
line for what this package adds to a training: checks of the command, the folder
and the data; functions before and after it, which the yaml file names; losses
for which Python does not wait; exact resuming; the clips per second.

The recipe that goes to SpeechBrain is a copy in which these names are
SpeechBrain's own.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os
import sys
import traceback
from pathlib import Path

import torch
from torch.utils.data import SequentialSampler

import speechbrain as sb
from speechbrain.dataio.dataloader import distributed_loader_specifics
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.distributed import get_rank, run_on_main
from speechbrain_fftp.dataio.errors import InputError, one_line_errors
from speechbrain_fftp.training.guard import (
    check_data,
    check_overrides,
    check_settings,
    check_steps,
)
from speechbrain_fftp.training.mixing import MixedClips, MixupSampler
from speechbrain_fftp.training.rows import store_in_arrays
from speechbrain_fftp.training.throughput import Throughput

# Of torch.compile. Graphs reuse the memory of gradients in the next batch.
CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")


def parse_arguments(arg_list):
    """Parses a command, and ends the process if a training would be wasted.

    Adds the folder of the yaml file to those of Python's modules, so that the
    file can name modules beside it. From then on, an error in the user's input
    ends the process with one line.

    Arguments
    ---------
    arg_list : list of str
        See ``speechbrain.parse_arguments``.

    Returns
    -------
    hparams_file, run_opts, overrides
        See ``speechbrain.parse_arguments``.
    """
    sys.excepthook = print_error
    with one_line_errors(ValueError):
        hparams_file, run_opts, overrides = sb.parse_arguments(arg_list)
        check_overrides(hparams_file, overrides)
        if os.environ.get("RANK", "0") == "0":
            check_settings(hparams_file, overrides, run_opts)
    sys.path.append(str(Path(hparams_file).resolve().parent))
    return hparams_file, run_opts, overrides


def print_error(kind, error, trace):
    """Prints an error; one of a user's input, or in a yaml file, in one line."""
    frames = [frame.name for frame in traceback.extract_tb(trace)]
    of_yaml = "load_hyperpyyaml" in frames
    if of_yaml and isinstance(error, ImportError):
        message = f"{error}: is the yaml file for {sys.argv[0]}?"
        print(message, file=sys.stderr)
    elif of_yaml and isinstance(error, TypeError):
        # HyperPyYAML adds the class to its arguments
        print(*error.args, sep=": ", file=sys.stderr)
    elif isinstance(error, (InputError, OSError)) or (
        of_yaml and isinstance(error, ValueError)
    ):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


class Brain(sb.Brain):
    """SpeechBrain's Brain, with what this package adds to a training.

    A step does not wait for the GPU: its loss is read one step later, when the
    GPU has ended it. A loss that is not finite ends the process with one line
    after as many as ``nonfinite_patience`` allows in an epoch; and so do
    weights that are not finite, before a checkpoint of them is saved.

    Each step has a seed, so that a resumed training draws the same random
    numbers as one without interruption.

    A module that is compiled for one shape (``compile_dynamic: False``) is
    compiled once, for the first training batch. Batches of other shapes, such
    as an epoch's last one, and evaluation use it in eager mode.

    Clips that are not trained on are distributed over processes as well. The
    clips per second join ``train_stats``, which a recipe sets at the end of an
    epoch's training.

    Keys of the yaml file: ``before`` and ``after``, lists of functions of the
    Brain and the data sets, which are called before ``fit`` and after
    ``evaluate``, and of which the former may add to ``epoch_ends``, functions that
    are called after each epoch's training; ``batch_size``, ``seed``,
    ``epoch_counter``, and those that ``check_data`` reads.

    Arguments
    ---------
    *args, **kwargs : tuple, dict
        See ``speechbrain.Brain``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.datasets = {}  # train, valid and test
        self.unread_loss = None  # of the last step: the step, and a function
        self.epoch_ends = []  # functions of the epoch that has been trained
        self.throughput = Throughput()
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("throughput", self.throughput)

    def _compile(self):
        """Compiles modules, without an analysis that fails for dynamic shapes.

        See https://github.com/pytorch/pytorch/issues/181563
        """
        uses_graphs = self.compile and self.compile_mode in CUDA_GRAPH_MODES
        if uses_graphs and self.grad_accumulation_factor > 1:
            # https://github.com/pytorch/pytorch/issues/169545
            sys.exit(
                f"--compile_mode {self.compile_mode} cannot accumulate "
                "gradients: give --compile_mode default, or leave out "
                "--grad_accumulation_factor."
            )
        if self.compile:
            from torch._inductor import config

            if hasattr(config.triton, "coalesce_tiling_analysis"):
                config.triton.coalesce_tiling_analysis = False
        super()._compile()

    def make_dataloader(
        self, dataset, stage, ckpt_prefix="dataloader-", **loader_kwargs
    ):
        """Creates a loader, see ``speechbrain.Brain``."""
        self.datasets[stage.name.lower()] = dataset
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
        with one_line_errors(ValueError):  # such as a batch_size of 0
            loader = super().make_dataloader(
                dataset, stage, ckpt_prefix=ckpt_prefix, **loader_kwargs
            )
        if stage == sb.Stage.TRAIN:
            check_steps(loader, self.grad_accumulation_factor)
        return loader

    def fit(self, epoch_counter, train_set, valid_set=None, **options):
        """Checks the data, and trains unless the model is only tested."""
        with one_line_errors():
            run_on_main(check_data, args=[vars(self.hparams), valid_set])
        super().fit(epoch_counter, train_set, valid_set, **options)

    def on_fit_start(self):
        """Calls the functions of ``before``, and prepares the training."""
        with one_line_errors():
            for function in self.hparams.before:
                function(self, self.datasets)
        super().on_fit_start()

    def evaluate(self, test_set, **options):
        """Evaluates, and calls the functions of ``after``."""
        with one_line_errors():
            loss = super().evaluate(test_set, **options)
            for function in self.hparams.after:
                function(self, self.datasets)
        return loss

    def _fit_train(self, train_set, epoch, enable):
        """Trains for an epoch; adds its clips per second to ``train_stats``."""
        self.last_step = len(train_set)
        self.throughput.start()
        super()._fit_train(train_set, epoch, enable)
        self.train_stats.update(self.throughput.stop(self.hparams.batch_size))
        self._check_weights()

    def _fit_valid(self, valid_set, epoch, enable):
        """Calls ``epoch_ends``; then validates, and saves a checkpoint."""
        for function in self.epoch_ends:
            function(epoch)
        super()._fit_valid(valid_set, epoch, enable)

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
        if self.compile and self.compile_using_dynamic_shape_tracing is False:
            torch.compiler.set_stance("eager_on_recompile")
        return loss.detach()

    def update_average(self, loss, avg_loss):
        """Adds a loss to the mean; in training, that of the step before.

        The loss of an epoch's last step is added at once.
        """
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
        avg_loss = self._read_loss(avg_loss) if is_last else avg_loss
        self.throughput.end_step()
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
            self._end(f"The loss of step {step} of this epoch is {loss}")
        return avg_loss

    def _save_intra_epoch_ckpt(self):
        """Saves a checkpoint within an epoch, unless weights are not finite."""
        self.avg_train_loss = self._read_loss(self.avg_train_loss)
        self._check_weights()
        super()._save_intra_epoch_ckpt()

    def _check_weights(self):
        """Ends the process if weights are not finite."""
        finite = [w.isfinite().all() for w in self.modules.parameters()]
        if finite and not bool(torch.stack(finite).all()):
            self._end("Weights are not finite")

    def _end(self, what):
        """Ends the process with one line."""
        sys.exit(
            f"{what}: the last checkpoint is from before. Give a lower --lr, a "
            "longer --warmup_steps or --precision fp32, and another "
            "--output_folder."
        )


def start_copy(loss):
    """Starts to copy a loss from its device; returns a function that reads it.

    The function waits until the device has ended what precedes the copy, and
    not what follows it.
    """
    copy = loss.to("cpu", non_blocking=True)  # to pinned memory
    if not loss.is_cuda:
        return copy.item
    copied = torch.cuda.Event()
    copied.record()

    def read():
        """Waits for the copy."""
        copied.synchronize()
        return copy.item()

    return read
