"""SpeechBrain's ``Augmenter`` in a form that never waits for the device.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.utils.callchains import lengths_arg_exists


class AllInOrder(torch.nn.Module):
    """Applies all augmentations to each batch, in their order.

    As ``speechbrain.augment.augmenter.Augmenter`` does if it may apply neither
    fewer nor others; but that draws on the device how many to apply, and waits
    for the number.

    Arguments
    ---------
    augmentations : list of torch.nn.Module
        Each maps waveforms or features ``[B, T, ...]`` to the same, given their
        lengths as well if its ``forward`` has the argument ``lengths``.

    Example
    -------
    >>> from speechbrain_fftp.augment.specmask import SpecMask
    >>> augment = AllInOrder([SpecMask(0.2)])
    >>> feats, lengths = augment(torch.rand(4, 100, 128), torch.ones(4))
    >>> feats.shape
    torch.Size([4, 100, 128])
    """

    def __init__(self, augmentations):
        super().__init__()
        self.augmentations = augmentations

    def forward(self, x, lengths):
        """Augments a batch.

        Arguments
        ---------
        x : torch.Tensor
            Waveforms ``[B, S]`` or features ``[B, T, F]``.
        lengths : torch.Tensor
            Their relative lengths ``[B]``.

        Returns
        -------
        x, lengths : torch.Tensor
            What was augmented, and the same lengths.
        """
        for augment in self.augmentations:
            if lengths_arg_exists(augment.forward):
                x = augment(x, lengths=lengths)
            else:
                x = augment(x)
        return x, lengths

    def replicate_labels(self, labels):
        """The labels of the augmented clips: those of the clips.

        Arguments
        ---------
        labels : torch.Tensor
            Labels ``[B, ...]``.

        Returns
        -------
        torch.Tensor
            The same.
        """
        return labels
