"""Frame-level predictions, and their pooling to those of clips.

The tokens of full-frequency temporal patches form a time sequence, so a model
trained on clip labels can localise sounds in time: multiple instance learning,
with the pooling functions of Wang et al. (https://arxiv.org/abs/1810.09050).

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

import torch

from speechbrain_fftp.nnet.tokens import EncodedClips, mean_token

MIN_PROBABILITY = 1e-6  # of a clip; at most 1 less this


def frame_level_times(front_end, embedding, n_samples):
    """The centre of each prediction of a clip.

    Arguments
    ---------
    front_end : torch.nn.Module
        Features with windows of constant size, such as ``KaldiFbank``.
    embedding : torch.nn.Module
        A patch embedding of ``speechbrain_fftp.nnet.patching``.
    n_samples : int
        Number of samples of the clip.

    Returns
    -------
    torch.Tensor
        Times ``[T']`` in seconds.

    Example
    -------
    >>> from speechbrain_fftp.lobes.features import KaldiFbank
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> embedding = FFTPEmbedding(128, 192, patch_frames=10, stride_frames=10)
    >>> frame_level_times(KaldiFbank(), embedding, n_samples=8000)
    tensor([0.0575, 0.1575, 0.2575, 0.3575])
    """
    n_time_patches = embedding.time_patches(front_end.num_frames(n_samples))
    first = (embedding.patch_frames - 1) * front_end.shift + front_end.window
    starts = (
        torch.arange(n_time_patches) * embedding.stride_frames * front_end.shift
    )
    return (starts + first / 2) / front_end.sample_rate


class LinearSoftmaxPooling(torch.nn.Module):
    """The mean of probabilities, weighted by the probabilities.

    Times at which the sound is heard dominate, however few they are.

    Example
    -------
    >>> probs = torch.tensor([[[0.8], [0.0], [0.8]]])
    >>> LinearSoftmaxPooling()(probs)
    tensor([[0.8000]])
    """

    def forward(self, probs):
        """Pools the frame-level probabilities.

        Arguments
        ---------
        probs : torch.Tensor
            Frame-level probabilities ``[B, N, C]``, 0.0 in padding.

        Returns
        -------
        torch.Tensor
            Probabilities ``[B, C]``.
        """
        return probs.square().sum(1) / probs.sum(1).clamp(min=MIN_PROBABILITY)


class FrameClassifier(torch.nn.Module):
    """Classifies frames and clips; several classes may be heard at once.

    Always computed in float32, even under autocast.

    Arguments
    ---------
    embed_dim, n_classes : int
        Number of channels D of a token, and of classes C.
    pooling : torch.nn.Module, optional
        Pools the frame-level probabilities; by default,
        ``LinearSoftmaxPooling``.

    Example
    -------
    >>> classifier = FrameClassifier(48, 10)
    >>> logits, frame_logits = classifier(torch.rand(2, 196, 48))
    >>> logits.shape, frame_logits.shape
    (torch.Size([2, 1, 10]), torch.Size([2, 196, 10]))
    """

    def __init__(self, embed_dim, n_classes, pooling=None):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.LayerNorm(embed_dim),
            torch.nn.Linear(embed_dim, n_classes),
        )
        self.pooling = LinearSoftmaxPooling() if pooling is None else pooling

    def forward(self, tokens, valid=None):
        """Computes logits of clips, and frame-level ones.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``.
        valid : torch.Tensor, optional
            True for a clip's valid tokens ``[B, N]``; by default, all are.

        Returns
        -------
        logits : torch.Tensor
            Logits ``[B, 1, C]`` of clips.
        frame_logits : torch.Tensor
            Frame-level logits ``[B, N, C]``, of any value in padding.
        """
        tokens = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        with torch.autocast(tokens.device.type, enabled=False):
            frame_logits = self.layers(tokens)
            probs = frame_logits.sigmoid()
            if valid is not None:
                probs = probs.masked_fill(~valid.unsqueeze(2), 0.0)
            probs = self.pooling(probs).clamp(
                MIN_PROBABILITY, 1 - MIN_PROBABILITY
            )
            return probs.logit().unsqueeze(1), frame_logits


class FrameOutputs(NamedTuple):
    """What a ``FrameTagger`` finds in a batch.

    Arguments
    ---------
    logits : torch.Tensor
        Logits ``[B, 1, C]`` of clips.
    frame_logits : torch.Tensor
        Frame-level logits ``[B, N, C]``, of any value in padding.
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor or None
        True for a clip's valid tokens ``[B, N]``; None if all are.

    Example
    -------
    >>> zeros = torch.zeros(2, 196, 48)
    >>> FrameOutputs(zeros[:, :1], zeros, zeros, None).embedding.shape
    torch.Size([2, 1, 48])
    """

    logits: torch.Tensor
    frame_logits: torch.Tensor
    tokens: torch.Tensor
    valid: Optional[torch.Tensor]

    @property
    def embedding(self):
        """Embeddings ``[B, 1, D]`` of clips: their mean tokens."""
        return mean_token(self.tokens, self.valid)


class FrameTagger(torch.nn.Module):
    """An encoder and a frame classifier, whose embeddings are logits.

    It takes the place of an encoder, with no classifier after it.

    Arguments
    ---------
    encoder : torch.nn.Module
        An encoder whose ``encode`` returns tokens over time, such as ``AST``.
    frame_classifier : FrameClassifier
        Classifies the tokens.

    Example
    -------
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> tagger = FrameTagger(
    ...     AST(embed_dim=48, depth=1, num_heads=3), FrameClassifier(48, 10)
    ... )
    >>> tagger(torch.rand(2, 1000, 128), torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 10])
    """

    def __init__(self, encoder, frame_classifier):
        super().__init__()
        self.encoder = encoder
        self.frame_classifier = frame_classifier

    def forward(self, feats, lengths=None, return_frames=False):
        """Classifies clips.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T.
        return_frames : bool
            Whether to return the frame-level outputs as well.

        Returns
        -------
        torch.Tensor or FrameOutputs
            Logits ``[B, 1, C]`` of clips; with ``return_frames``, all outputs.
        """
        _, tokens, valid = self.encoder.encode(feats, lengths)
        logits, frame_logits = self.frame_classifier(tokens, valid)
        if not return_frames:
            return logits
        return FrameOutputs(logits, frame_logits, tokens, valid)

    def encode(self, feats, lengths=None):
        """Encodes a batch: the embedding of a clip is its mean token.

        Arguments
        ---------
        feats, lengths : torch.Tensor
            See ``forward``.

        Returns
        -------
        EncodedClips
            Embeddings, tokens over time, and their mask.
        """
        _, tokens, valid = self.encoder.encode(feats, lengths)
        return EncodedClips(mean_token(tokens, valid), tokens, valid)

    @property
    def embedding(self):
        """The patch embedding of the encoder."""
        return self.encoder.embedding
