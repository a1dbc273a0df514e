"""The exported form of a tagger: waveforms in, named outputs.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.tagger import classify, filterbanks
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.nnet.tokens import EncodedClips, count_valid, length_mask


class WaveformTagger(torch.nn.Module):
    """The exported form of a model; ``output_names`` names its outputs.

    Changes the modules that it is given.
    """

    def __init__(self, modules, has_classes, single_label, min_samples):
        super().__init__()
        self.parts = torch.nn.ModuleDict(modules)
        self.has_classes = has_classes
        self.is_frame_level = is_frame_level(modules["embedding_model"])
        self.min_samples = min_samples
        self.activate = torch.sigmoid
        if single_label:
            self.activate = functools.partial(torch.softmax, dim=-1)
        use_one_form(self)

    @property
    def encoder_name(self):
        """The name of the encoder's class."""
        return type(self.parts["embedding_model"]).__name__

    @property
    def output_names(self):
        """Names of the outputs."""
        names = ["embeddings", "tokens", "features"]
        if self.is_frame_level:
            names.insert(1, "frame_probabilities")
        if self.has_classes:
            names.insert(0, "probabilities")
        return names

    def forward(self, wavs, wav_lens):
        """Maps ``[B, S]`` and ``[B]`` to the outputs."""
        size = wavs.shape[1]
        # Pads short batches to one patch, without a branch in the graph
        missing = torch.sym_max(self.min_samples - size, 0)
        wavs = torch.nn.functional.pad(wavs, (0, missing))
        lens = (wav_lens.double() * size).round() / wavs.shape[1]
        front_end = self.parts["compute_features"]
        feats, feat_lens = filterbanks(front_end, wavs, lens)
        normalized = self.parts["mean_var_norm"](feats, feat_lens)
        outputs = self._encode(normalized, feat_lens)
        counts = count_valid(feat_lens, feats.shape[1])
        own_frames = length_mask(counts, feats.shape[1])
        outputs["features"] = feats.masked_fill(~own_frames.unsqueeze(2), 0.0)
        return tuple(outputs[name] for name in self.output_names)

    def _encode(self, feats, lens):
        """All outputs but the features, by name.

        The embedding of an encoder without tokens counts as a single token.
        """
        encoder, outputs = self.parts["embedding_model"], {}
        if hasattr(encoder, "encode"):
            encoded = encoder.encode(feats, lens)
        else:
            embedding = encoder(feats, lens)
            encoded = EncodedClips(embedding, embedding, None)
        embeddings, tokens, valid = encoded
        output = embeddings
        if self.is_frame_level:
            output, frame_logits = encoder.frame_classifier(tokens, valid)
            outputs["frame_probabilities"] = frame_logits.sigmoid()
        if valid is not None:
            tokens = tokens.masked_fill(~valid.unsqueeze(2), 0.0)
        outputs["tokens"] = tokens
        outputs["embeddings"] = embeddings.squeeze(1)
        if self.has_classes:
            logits = classify(self.parts["classifier"], output)
            outputs["probabilities"] = self.activate(logits)
        return outputs


def use_one_form(model):
    """Makes modules compute clips of all numbers and lengths in one way."""
    for module in model.modules():
        if isinstance(module, PositionEmbedding):
            module.forward = module.stretch
        elif isinstance(module, KaldiFbank):
            module.forward = functools.partial(all_at_once, module)


def all_at_once(front_end, wavs, wav_lens=None):
    """``KaldiFbank.forward`` on all clips of a batch at once."""
    return front_end.log_mel(front_end.mirror_ends(wavs, wav_lens))


def is_frame_level(encoder):
    """Whether an encoder classifies its tokens, as ``FrameTagger`` does."""
    return hasattr(encoder, "frame_classifier")
