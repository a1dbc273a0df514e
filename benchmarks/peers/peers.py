"""Models of others, wrapped to be trained by the recipes of this project.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.Xvector import Xvector as _Xvector
from speechbrain.nnet.normalization import BatchNorm1d
from speechbrain_fftp.nnet.schedulers import LinearWarmupCosine


class XvectorFbank(Fbank):
    """SpeechBrain's filterbank, which knows its frames.

    Example
    -------
    >>> compute_features = XvectorFbank(n_mels=24)
    >>> compute_features(torch.rand(2, 16000)).shape
    torch.Size([2, 101, 24])
    """

    def frame_lens(self, wav_lens, n_samples):
        """Relative lengths ``[B]`` in frames: as many as in samples."""
        del n_samples
        return wav_lens


def xvector_classifier(channels, n_classes):
    """The classifier of SpeechBrain's x-vector recipe, as far as the logits.

    Arguments
    ---------
    channels : int
        Channels of the x-vector and of the hidden layer.
    n_classes : int
        Number of classes.

    Returns
    -------
    torch.nn.Sequential
        From ``[B, 1, channels]`` to ``[B, 1, n_classes]``.

    Example
    -------
    >>> xvector_classifier(512, 12)(torch.rand(3, 1, 512)).shape
    torch.Size([3, 1, 12])
    """
    return torch.nn.Sequential(
        torch.nn.LeakyReLU(),
        BatchNorm1d(input_size=channels),
        torch.nn.Linear(channels, channels),
        torch.nn.LeakyReLU(),
        BatchNorm1d(input_size=channels),
        torch.nn.Linear(channels, n_classes),
    )


class LinearDecay(LinearWarmupCosine):
    """A learning rate that falls by the same amount in each step.

    As SpeechBrain's x-vector recipe has it, which lowers it after each epoch.
    The warm-up steps that the recipes ask for are left out.

    Arguments
    ---------
    lr : float
        The highest rate.
    warmup_steps : int
        Not used.
    total_steps : int
        Number of steps.
    final_lr : float
        The rate at the end.

    Example
    -------
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> schedule = LinearDecay(1.0, 0, total_steps=4, final_lr=0.2)
    >>> [round(schedule(optimizer), 1) for _ in range(4)]
    [0.8, 0.6, 0.4, 0.2]
    """

    def __init__(self, lr, warmup_steps, total_steps, final_lr=0.0):
        del warmup_steps
        super().__init__(lr, 0, total_steps, final_lr)

    def rate(self, step):
        """The learning rate of a step, the first of which is 1."""
        done = min(step / self.total_steps, 1.0)
        return self.lr + (self.final_lr - self.lr) * done


class MobileNetV3(torch.nn.Module):
    """timm's MobileNetV3 on a spectrogram, as a picture of one channel.

    What lies beyond a clip's end is set to zero and is left out of the mean
    over the last map. Padding is not without influence: the network's
    squeeze-and-excitation blocks average over all of a map, and so do the
    batch statistics in training.

    Arguments
    ---------
    name : str
        Name of the model in timm.

    Example
    -------
    >>> encoder = MobileNetV3()
    >>> encoder(torch.rand(2, 98, 128), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 1024])
    """

    def __init__(self, name="mobilenetv3_small_050"):
        super().__init__()
        import timm

        self.model = timm.create_model(
            name, in_chans=1, num_classes=0, drop_rate=0.0
        )

    def forward(self, feats, lens=None):
        """Embeds a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lens : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.
        """
        if lens is None:
            lens = feats.new_ones(len(feats))
        feats = feats * inside(lens, feats.shape[1])[:, :, None]
        # [B, T, F] -> [B, 1, F, T] -> [B, C, F', T'] -> [B, C, 1, 1]
        maps = self.model.forward_features(feats.transpose(1, 2).unsqueeze(1))
        weights = inside(lens, maps.shape[3])[:, None, None]
        maps = (maps.mean(2, keepdim=True) * weights).sum(3, keepdim=True)
        maps = maps / weights.sum(3, keepdim=True)
        return self.model.forward_head(maps, pre_logits=True).unsqueeze(1)


def inside(lens, steps):
    """Which steps of a batch lie in its clips, those in part included.

    Arguments
    ---------
    lens : torch.Tensor
        Length ``[B]`` of each clip relative to all steps.
    steps : int
        Number of steps.

    Returns
    -------
    torch.Tensor
        1.0 or 0.0, ``[B, steps]``.

    Example
    -------
    >>> inside(torch.tensor([1.0, 0.3]), 4)
    tensor([[1., 1., 1., 1.],
            [1., 1., 0., 0.]])
    """
    valid = (lens * steps - 1e-3).ceil().clamp(min=1)
    step = torch.arange(steps, device=lens.device)
    return (step < valid[:, None]).float()


class Xvector(_Xvector):
    """SpeechBrain's x-vector of clips of which padding is set to zero.

    The mean and the deviation over time are those of a clip's own frames. The
    last seven of these see the zeros beyond its end, where those of a clip
    without padding see its frames mirrored, and the batch statistics in
    training see all frames: padding is not without influence.

    Example
    -------
    >>> encoder = Xvector(in_channels=24)
    >>> encoder(torch.rand(2, 101, 24), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 512])
    """

    def forward(self, x, lens=None):
        """Embeds features ``[B, T, F]``; gives ``[B, 1, D]``."""
        if lens is not None:
            x = x * inside(lens, x.shape[1])[:, :, None]
        return super().forward(x, lens)
