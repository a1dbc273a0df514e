"""A moving average of the weights.

It is what is validated, tested and exported, in place of the weights that are
trained (https://docs.pytorch.org/docs/stable/optim.html#weight-averaging).

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """An exponential moving average of the weights of a model.

    Checkpoints are saved and loaded with the average ``in_place``: the model's
    files then hold the average, and this one's the weights that are trained.
    """

    def __init__(self, model, decay):
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay))

    @contextlib.contextmanager
    def in_place(self, model):
        """Exchanges the weights of the model and their average, for a block."""
        self._exchange(model)
        yield
        self._exchange(model)

    @torch.no_grad()
    def _exchange(self, model):
        pairs = zip(self.module.parameters(), model.parameters(), strict=True)
        for average, weight in pairs:
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)


def keep_average(brain, datasets, *, decay):
    """Keeps a moving average of all weights, and uses it; for ``before``.

    Does nothing with a decay of 0.
    """
    if decay:
        brain.moving_average = MovingAverage(brain.modules, decay)
        brain.checkpointer.add_recoverable(
            "moving_average", brain.moving_average
        )
