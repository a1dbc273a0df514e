"""A Brain whose training steps do not wait for the GPU.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import sys

import torch

import speechbrain as sb

READ_EVERY = 50  # steps


class DeviceLossBrain(sb.Brain):
    """A ``speechbrain.Brain`` that leaves losses of steps on the device.

    In each step, ``speechbrain.Brain`` asks the GPU whether the loss is finite,
    and copies the loss, so that it cannot launch the next step before the GPU
    has ended this one. Here losses are read every 50 steps, before a checkpoint
    and at the end of an epoch. Then losses that are not finite end the process
    with one line that names the first one's step, after as many as
    ``nonfinite_patience`` allows in an epoch; and so do weights that are not
    finite before a checkpoint, which is not saved.

    Arguments
    ---------
    *args, **kwargs : tuple, dict
        See ``speechbrain.Brain``.

    Example
    -------
    >>> class Fit(DeviceLossBrain):
    ...     def compute_forward(self, batch, stage):
    ...         return self.modules.model(batch)
    ...
    ...     def compute_objectives(self, predictions, batch, stage):
    ...         return predictions.square().mean()
    ...
    ...     def on_stage_end(self, stage, stage_loss, epoch=None):
    ...         if stage == sb.Stage.TRAIN:
    ...             print(self.average_loss() > 0)
    >>> brain = Fit({"model": torch.nn.Linear(4, 1)}, torch.optim.AdamW)
    >>> brain.fit(range(1), [torch.ones(2, 4)] * 3, progressbar=False)
    True
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.unread_losses = []

    def _compile(self):
        """Compiles the modules that are to be compiled.

        Disables an analysis of PyTorch 2.11 that fails for dynamic shapes, see
        https://github.com/pytorch/pytorch/issues/181563
        """
        if self.compile:
            from torch._inductor import config

            config.triton.coalesce_tiling_analysis = False
        super()._compile()

    def fit_batch(self, batch):
        """Trains on a batch.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.

        Returns
        -------
        torch.Tensor
            The loss, on the device.
        """
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
        """Adds a loss to the mean; that of a training step, only later.

        Arguments
        ---------
        loss : torch.Tensor
            The loss of a batch.
        avg_loss : float
            The mean of the losses so far.

        Returns
        -------
        float
            The mean; in training, that of the losses that have been read.
        """
        if not self.modules.training:
            return super().update_average(loss, avg_loss)
        self.unread_losses.append(loss)
        if len(self.unread_losses) == READ_EVERY:
            return self.read_losses()
        return avg_loss

    def read_losses(self):
        """Copies the losses of the last steps from the device.

        Returns
        -------
        float
            The mean of the finite losses of this epoch.
        """
        if not self.unread_losses:
            return self.avg_train_loss
        losses = torch.stack(self.unread_losses).tolist()
        self.unread_losses = []
        for step, loss in enumerate(losses, self.step - len(losses) + 1):
            if math.isfinite(loss):
                # In the order of speechbrain.Brain, for equal results
                self.avg_train_loss -= self.avg_train_loss / step
                self.avg_train_loss += loss / step
                continue
            self.nonfinite_count += 1
            if self.nonfinite_count == 1:
                self.first_nonfinite = step
            if self.nonfinite_count > self.nonfinite_patience:
                self._end(f"the loss is {loss}", self.first_nonfinite)
        return self.avg_train_loss

    def average_loss(self):
        """The mean loss of this epoch; to be called before a checkpoint.

        Ends the process if the weights are not finite.

        Returns
        -------
        float
            The mean.
        """
        average = self.read_losses()
        finite = [w.isfinite().all() for w in self.modules.parameters()]
        if finite and not bool(torch.stack(finite).all()):
            self._end("weights are not finite", self.step)
        return average

    def _end(self, what, step):
        """Ends the process with one line."""
        sys.exit(
            f"From step {step} of this epoch on, {what}: the last checkpoint "
            "is from before. Give a lower --lr, a longer --warmup_steps or "
            "--precision fp32, and another --output_folder."
        )

    def _save_intra_epoch_ckpt(self):
        """Saves a checkpoint within an epoch, unless weights are not finite."""
        self.average_loss()
        super()._save_intra_epoch_ckpt()
