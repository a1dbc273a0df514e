"""TaggingModel: a trained model that tags batches of waveforms.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from contextlib import nullcontext

import torch

from speechbrain.inference.interfaces import Pretrained
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.inference import packed_linear
from speechbrain_fftp.inference.clip_sizes import ClipSizes
from speechbrain_fftp.inference.cuda_graphs import CudaGraphs, keep_bfloat16
from speechbrain_fftp.inference.frames import frame_classifier
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST, CLASS_TOKENS
from speechbrain_fftp.lobes.tagger import MODULES, Tagger
from speechbrain_fftp.nnet.tokens import own_tokens, pool_tokens

logger = get_logger(__name__)


class TaggingModel(ClipSizes, Pretrained):
    """A trained model that tags batches of waveforms.

    ``from_hparams`` loads it from its yaml, which can execute code: only use it
    with sources that you trust. The attribute ``tagger`` joins the modules in a
    ``Tagger``; to replace one of them, build a new model.

    Arguments
    ---------
    modules, hparams : dict
        The modules ``MODULES_NEEDED``, see ``Tagger``; ``label_encoder``,
        ``sample_rate`` in Hz, ``max_frames`` (the maximum clip length),
        ``single_label`` if a clip has exactly one label, and ``thresholds``
        ``[C]``, if any.
    run_opts, freeze_params : dict, bool, optional
        See ``Pretrained``.
    packed : bool
        Whether to call ``pack_linear``, which makes fp32 inference faster on
        some CPUs, at the cost of a second copy of the weights.
    threads : int, optional
        Number of torch's CPU threads in each call; by default, one for little
        work.
    stride : int, optional
        Frames from one token to the next, if not the model's own. Logs a
        warning if it is none of the model's ``strides``, see ``FFTPEmbedding``.
    cuda_graphs : bool
        Whether to replay a CUDA graph for waveforms, without ``wav_lens``, of a
        size that occurs again, such as the windows of a timeline.

    Raises
    ------
    ValueError
        If modules or labels are not complete, ``threads`` or ``stride`` wrong,
        or ``cuda_graphs`` without a GPU.

    Example
    -------
    >>> TaggingModel.MODULES_NEEDED
    ['compute_features', 'mean_var_norm', 'embedding_model', 'classifier']
    """

    MODULES_NEEDED = list(MODULES)
    HPARAMS_NEEDED = ["label_encoder", "sample_rate", "max_frames"]

    def __init__(
        self,
        modules,
        hparams,
        run_opts=None,
        freeze_params=True,
        packed=True,
        threads=None,
        stride=None,
        cuda_graphs=False,
    ):
        super().__init__(modules, hparams, run_opts, freeze_params)
        if missing := set(self.MODULES_NEEDED) - set(self.mods):
            raise ValueError(
                "The model's hyperparams.yaml lacks the modules "
                f"{', '.join(sorted(missing))}: it is not a tagging model."
            )
        encoder = self.hparams.label_encoder
        numbers = sorted(encoder.ind2lab)
        if not numbers or numbers != list(range(len(encoder))):
            fault = f"needs labels from 0 on, not {numbers}"
            raise ValueError(
                f"The model {fault if numbers else 'has no labels'}: its "
                "label_encoder.ckpt is missing, empty or damaged. Export the "
                "model again."
            )
        encoder.ignore_len()
        model = self.mods.embedding_model
        if stride is not None:
            trained = packed_linear.set_stride(model, stride)
            if stride not in trained:
                logger.warning(
                    f"The model was not trained for a stride of {stride}, but "
                    f"for {trained}: its results are less accurate."
                )
        if packed and self.device == "cpu" and self.precision == "fp32":
            packed_linear.pack_linear(self.mods)
        on_gpu = torch.device(self.device).type == "cuda"
        if on_gpu and self.precision == "bf16":
            keep_bfloat16(self.mods)
        self.tagger = Tagger(*(self.mods[name] for name in self.MODULES_NEEDED))
        if cuda_graphs and not on_gpu:
            raise ValueError(f"cuda_graphs needs a GPU, not {self.device}.")
        self.embed = CudaGraphs(self._embed) if cuda_graphs else self._embed
        # Of encode_batch alone: autocast cannot be entered again within itself
        self.encode_ctx = self.inference_ctx if on_gpu else nullcontext()
        sizes = self.hparams.max_frames, self.hparams.sample_rate
        if isinstance(model, AST) and model.pooling == "cls":
            model.blocks[-1].outputs = CLASS_TOKENS
        self.call_threads = packed_linear.CallThreads(threads, model, *sizes)

    @property
    def labels(self):
        """Labels of the classes, a list of str."""
        labels = self.hparams.label_encoder.ind2lab
        return [labels[number] for number in range(len(labels))]

    @property
    def thresholds(self):
        """Learned thresholds of the classes ``[C]``, or None without them."""
        return getattr(self.hparams, "thresholds", None)

    def encode_batch(self, wavs, wav_lens=None):
        """Computes embeddings, which do not depend on padding.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor, optional
            Waveforms ``[B, S]`` or ``[S]`` at the model's sampling rate, and
            lengths ``[B]`` relative to S.

        Returns
        -------
        torch.Tensor
            Embeddings ``[B, 1, D]``.
        """
        with self.encode_ctx:
            embeddings = self._encode(wavs, wav_lens)
        if embeddings.shape[1] == 1:
            return embeddings
        return pool_tokens("mean", None, embeddings, own_tokens(embeddings))

    def _encode(self, wavs, wav_lens=None):
        """Embeddings ``[B, 1, D]``, or those of time steps ``[B, N, D]``."""
        with self.call_threads.set(wavs):
            if not wavs.is_floating_point():
                raise ValueError(
                    "Waveforms must be floating-point numbers of full scale 1, "
                    f"not {wavs.dtype}."
                )
            wavs = torch.atleast_2d(wavs).to(self.device).float()
            if wav_lens is None:
                return self.embed(wavs)
            return self._embed(wavs, wav_lens.to(self.device))

    def _embed(self, wavs, wav_lens=None):
        """What ``_encode`` returns, from waveforms on the model's device."""
        feats, lens = self.tagger.features(wavs, wav_lens)
        return self.tagger.embedding_model(feats, lens)

    def _classify(self, classify, wavs, wav_lens):
        """Applies a function to the embeddings, without gradients."""
        with torch.inference_mode(), self.inference_ctx:
            with self.call_threads.set(wavs):
                return classify(self._encode(wavs, wav_lens))

    def tag_batch(self, wavs, wav_lens=None):
        """Computes the probabilities of all classes.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor, optional
            See ``encode_batch``.

        Returns
        -------
        torch.Tensor
            Probabilities ``[B, C]``, which sum up to 1 if ``single_label``.

        Raises
        ------
        ValueError
            If the numbers of classes and labels differ.
        """
        logits = self._classify(self.tagger.classify, wavs, wav_lens)
        if logits.shape[-1] != len(self.labels):
            raise ValueError(
                f"The model has {logits.shape[-1]} classes, but its "
                f"label_encoder.ckpt has {len(self.labels)} labels."
            )
        return self.probabilities(logits)

    forward = tag_batch

    def tag_frames(self, wavs, wav_lens=None):
        """Computes the probabilities of all classes at each time step.

        For models with a ``FrameClassifier``.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor, optional
            See ``encode_batch``.

        Returns
        -------
        times, probs : torch.Tensor
            The center of each time step ``[N]`` in seconds, and probabilities
            ``[B, N, C]``, which mean nothing after the end of a shorter clip.

        Raises
        ------
        ValueError
            If the model classifies only whole clips.
        """
        classify = frame_classifier(self).frame_logits
        logits = self._classify(classify, wavs, wav_lens)
        return self.tagger.step_times(wavs.shape[-1]), logits.sigmoid()

    @property
    def has_frames(self):
        """Whether the model classifies time steps, and not only clips."""
        return isinstance(self.mods.classifier, FrameClassifier)

    @property
    def probabilities(self):
        """What maps logits to probabilities: softmax if ``single_label``."""
        if getattr(self.hparams, "single_label", False):
            return functools.partial(torch.softmax, dim=-1)
        return torch.sigmoid
