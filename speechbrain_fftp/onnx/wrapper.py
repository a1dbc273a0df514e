"""The exported form of a tagger: waveforms in, named outputs.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.tagger import classify
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.nnet.tokens import EncodedClips


class WaveformModel(torch.nn.Module):
    """The exported form of a model; ``output_names`` names its outputs.

    All clips of a batch are equally long. Changes the modules that it is given.
    ``one_frame`` is the number of samples of the shortest clip with a frame.
    """

    def __init__(self, modules, has_classes, single_label, one_frame):
        super().__init__()
        self.parts = torch.nn.ModuleDict(modules)
        self.has_classes = has_classes
        self.is_frame_level = is_frame_level(modules["embedding_model"])
        self.one_frame = one_frame
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

    def forward(self, wavs):
        """Maps ``[B, S]`` to the outputs."""
        embedding = getattr(self.parts["embedding_model"], "embedding", None)
        # Short clips are padded without a branch in the graph: to a frame, and
        # their features, as by patch embeddings, to a patch
        missing = torch.sym_max(self.one_frame - wavs.shape[1], 0)
        wavs = torch.nn.functional.pad(wavs, (0, missing))
        feats = self.parts["compute_features"](wavs)
        patch_frames = getattr(embedding, "patch_frames", 1)
        missing = torch.sym_max(patch_frames - feats.shape[1], 0)
        normalized = self.parts["mean_var_norm"](feats)
        normalized = torch.nn.functional.pad(normalized, (0, 0, 0, missing))
        outputs = self._encode(normalized)
        outputs["features"] = feats
        return tuple(outputs[name] for name in self.output_names)

    def _encode(self, feats):
        """All outputs but the features, by name.

        The embedding of an encoder without tokens counts as a single token.
        """
        encoder, outputs = self.parts["embedding_model"], {}
        if self.is_frame_level:
            found = encoder(feats, return_frames=True)
            outputs["frame_probabilities"] = found.frame_logits.sigmoid()
            output = found.logits
        elif hasattr(encoder, "encode"):
            found = encoder.encode(feats)
            output = found.embedding
        else:
            output = encoder(feats)
            found = EncodedClips(output, output, None)
        outputs["tokens"] = found.tokens
        outputs["embeddings"] = found.embedding.squeeze(1)
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
            module.forward = module.log_mel


def is_frame_level(encoder):
    """Whether an encoder classifies its tokens, as ``FrameTagger`` does."""
    return hasattr(encoder, "frame_classifier")
