"""TorchEngine: a trained model of SpeechBrain modules that tags batches.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain.inference.interfaces import Pretrained
from speechbrain_fftp.inference.config import MODULES
from speechbrain_fftp.inference.engine import NO_CLASSES
from speechbrain_fftp.inference.folder import has_classes
from speechbrain_fftp.inference.published import load_model
from speechbrain_fftp.inference.threads import CallThreads, use_threads
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, step_times
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.tokens import own_tokens, pool_tokens
from speechbrain_fftp.pretrained.hub import find_model


class TorchEngine(Pretrained):
    """A trained model that tags batches of waveforms.

    The attribute ``tagger`` joins the modules in a ``Tagger``; to replace one of
    them, build a new engine.

    Arguments
    ---------
    modules, hparams : dict
        The modules ``MODULES_NEEDED``, see ``Tagger``; ``label_encoder``,
        ``sample_rate`` in Hz, ``max_frames`` (the maximum clip length),
        ``single_label`` if a clip has exactly one label, and ``thresholds``
        ``[C]``, if any.
    run_opts, freeze_params : dict, bool, optional
        See ``Pretrained``.
    threads : int, optional
        Number of CPU threads in each call; by default, as many as are worth it,
        at most torch's number.

    Raises
    ------
    ValueError
        If modules or labels are not complete, or ``threads`` wrong.

    Example
    -------
    >>> TorchEngine.MODULES_NEEDED
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
        threads=None,
    ):
        super().__init__(modules, hparams, run_opts, freeze_params)
        missing = [name for name in self.MODULES_NEEDED if name not in modules]
        if missing:
            raise ValueError(
                f"The model's hyperparams.yaml lacks the modules "
                f"{', '.join(missing)}: it is not a tagging model."
            )
        encoder = self.hparams.label_encoder
        expected = list(range(len(encoder)))
        if not expected and has_classes(self.mods.classifier):
            expected = [0]
        if sorted(encoder.ind2lab) != expected:
            raise ValueError(
                "The labels of the model are missing or damaged "
                "(label_encoder.ckpt): export the model again."
            )
        encoder.ignore_len()
        self.labels = [encoder.ind2lab[n] for n in range(len(encoder))]
        self.sample_rate = self.hparams.sample_rate
        self.single_label = getattr(self.hparams, "single_label", False)
        self.thresholds = getattr(self.hparams, "thresholds", None)
        self.tagger = Tagger(**{name: self.mods[name] for name in MODULES})
        self.has_frames = isinstance(self.mods.classifier, FrameClassifier)
        self.call_threads = CallThreads(
            threads=threads,
            encoder=self.mods.embedding_model,
            max_frames=self.hparams.max_frames,
            max_samples=self.max_samples,
        )

    @property
    def frame_samples(self):
        """Samples from the start of one frame to that of the next."""
        return frame_size(self.mods.compute_features)[1]

    @property
    def min_samples(self):
        """Samples of one patch."""
        embedding = getattr(self.mods.embedding_model, "embedding", None)
        return self.num_samples(getattr(embedding, "patch_frames", 1))

    @property
    def max_samples(self):
        """Samples of the maximum clip length."""
        return self.num_samples(self.hparams.max_frames)

    @property
    def step_samples(self):
        """Samples from one time step to the next."""
        embedding = self.mods.embedding_model.embedding
        return embedding.stride_frames * self.frame_samples

    @property
    def mean_seconds(self):
        """Length of the moving average in which events are found."""
        return getattr(self.mods.classifier, "mean_seconds", 0.0)

    def num_samples(self, frames):
        """Samples of the shortest clip with so many frames, at least one."""
        window, shift, margin = frame_size(self.mods.compute_features)
        return max((frames - 1) * shift + window - margin, 1)

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
        number = self.call_threads.torch_threads(wavs)
        with use_threads(number):
            return self.pool(self.encode(wavs, wav_lens))

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
            If the model has no classes, or their number and that of the labels
            differ.
        """
        if not self.labels:
            raise ValueError(NO_CLASSES)
        logits = torch.cat(self.infer(self.tagger.classify, wavs, wav_lens))
        if logits.shape[-1] != len(self.labels):
            raise ValueError(
                f"The model has {logits.shape[-1]} classes, but its "
                f"label_encoder.ckpt has {len(self.labels)} labels."
            )
        return self.activate(logits)

    forward = tag_batch

    def tag_frames(self, wavs, wav_lens=None):
        """Computes the probabilities of all classes at each time step.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor, optional
            See ``encode_batch``.

        Returns
        -------
        clip_probs, probs : torch.Tensor
            Probabilities of clips ``[B, C]`` and of time steps ``[B, N, C]``,
            which mean nothing after the end of a shorter clip.
        """

        def classify(tokens):
            """Logits of clips and of time steps."""
            frame_logits = self.mods.classifier.frame_logits(tokens)
            return self.tagger.classify(tokens), frame_logits

        clip_logits, logits = zip(*self.infer(classify, wavs, wav_lens))
        return torch.cat(clip_logits).sigmoid(), join_parts(logits).sigmoid()

    def infer(self, function, wavs, wav_lens=None):
        """Computes a function of embeddings, see ``encode``, of a batch.

        Returns
        -------
        list
            Results of consecutive parts of the batch, without gradients.
        """

        def infer_part(wavs, wav_lens):
            """The function of a part."""
            with torch.inference_mode():
                return function(self.encode(wavs, wav_lens))

        return self.call_threads.run(infer_part, wavs, wav_lens)

    def pool(self, tokens):
        """Embeddings ``[B, 1, D]`` of what ``encode`` returns."""
        return mean_token(tokens) if self.has_frames else tokens

    def encode(self, wavs, wav_lens=None):
        """Embeddings ``[B, 1, D]``, or those of time steps ``[B, N, D]``."""
        if not wavs.is_floating_point():
            raise ValueError(
                "Waveforms must be floating-point numbers of full scale 1, "
                f"not {wavs.dtype}."
            )
        wavs = torch.atleast_2d(wavs).to(self.device).float()
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        feats, lens = self.tagger.features(wavs, wav_lens)
        return self.tagger.embedding_model(feats, lens)

    @property
    def activate(self):
        """What maps logits to probabilities: softmax if ``single_label``."""
        if self.single_label:
            return functools.partial(torch.softmax, dim=-1)
        return torch.sigmoid

    def tokens(self, wavs, wav_lens=None):
        """What the classifier is given for each clip, in NumPy.

        Arguments
        ---------
        wavs, wav_lens : numpy.ndarray, optional
            As of ``encode_batch``.

        Returns
        -------
        list of numpy.ndarray
            The embedding of each clip, ``[1, D]``, or those of its time steps,
            ``[N, D]``.
        """
        wavs = torch.as_tensor(wavs)
        lens = None if wav_lens is None else torch.as_tensor(wav_lens)
        tokens = join_parts(self.infer(lambda tokens: tokens, wavs, lens))
        clips = list(tokens)
        if self.has_frames:
            clips = [clip[own] for clip, own in zip(tokens, own_tokens(tokens))]
        return [clip.float().cpu().numpy() for clip in clips]

    # What AudioTagger needs, see ``engine``

    def probabilities(self, wavs, wav_lens=None):
        """Probabilities ``[B, C]`` of waveforms ``[B, S]``, in NumPy."""
        lens = None if wav_lens is None else torch.as_tensor(wav_lens)
        probs = self.tag_batch(torch.as_tensor(wavs), lens)
        return probs.float().cpu().numpy()

    def frame_probabilities(self, wavs):
        """Probabilities of clips and time steps, in NumPy."""
        clip_probs, probs = self.tag_frames(torch.as_tensor(wavs))
        return clip_probs.float().cpu().numpy(), probs.float().cpu().numpy()

    def step_times(self, n_samples):
        """The centre of each time step of a clip in seconds, ``[N]``."""
        times = step_times(
            self.mods.compute_features,
            self.mods.embedding_model.embedding,
            n_samples,
        )
        return times.double().numpy()

    def embeddings(self, wavs):
        """Embeddings ``[B, D]`` of waveforms ``[B, S]``, in NumPy."""
        embeddings = torch.cat(self.infer(self.pool, torch.as_tensor(wavs)))
        return embeddings.squeeze(1).float().cpu().numpy()


def join_parts(parts):
    """A batch ``[B, N, D]`` of parts of it, each of which has an N of its own."""
    clips = [clip for part in parts for clip in part]
    return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)


def mean_token(tokens):
    """The mean ``[B, 1, D]`` of a clip's own time steps ``[B, N, D]``."""
    return pool_tokens("mean", None, tokens, own_tokens(tokens))


def frame_size(compute_features):
    """Window and shift of a front end's frames, and their margin, in samples.

    The margin is by how much the first and the last frame together reach beyond
    the clip: the window if frames are centred, else 0.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Has ``window``, ``shift`` and ``center``, as ``KaldiFbank``, or
        ``compute_STFT``, as SpeechBrain's ``Fbank``.

    Returns
    -------
    window, shift, margin : int

    Raises
    ------
    ValueError
        If the front end has neither.
    """
    if hasattr(compute_features, "compute_STFT"):
        stft = compute_features.compute_STFT
        margin = stft.win_length if stft.center else 0
        return stft.win_length, stft.hop_length, margin
    if not hasattr(compute_features, "window"):
        raise ValueError(
            f"The frames of {type(compute_features).__name__} are unknown: "
            "give compute_features the attributes window and shift, in samples."
        )
    window = compute_features.window
    is_centred = getattr(compute_features, "center", False)
    return window, compute_features.shift, window if is_centred else 0


def load_engine(source, device="cpu", threads=None):
    """Loads what ``AudioTagger.from_pretrained`` takes; see there."""
    modules, hparams = load_model(find_model(source))
    try:
        run_opts = {"device": str(torch.device(device))}
        return TorchEngine(modules, hparams, run_opts, threads=threads)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"The model in {source} cannot run on {device}: {error}"
        ) from error
