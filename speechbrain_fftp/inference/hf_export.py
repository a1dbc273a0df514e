"""Exports an AST tagger as a folder that Hugging Face's transformers reads.

``ASTForAudioClassification`` has square patches: a full-frequency patch becomes
one whose kernel is zero beyond its own frames. Tokens are the same, but the
patch layer computes ``n_mels / patch_frames`` times as much. Unlike an
``AudioTagger``, transformers pads short clips and attends to the padding.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import math
import os
from pathlib import Path

import torch
from torch.nn.functional import pad

from speechbrain_fftp.dataio.files import atomic_folder, write_json
from speechbrain_fftp.inference.config import MODULES, describe_module
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.pretrained import ast, tensors

TOLERANCE = 1e-4  # maximum difference of probabilities from the tagger's
INERT = torch.nn.Sequential, torch.nn.Dropout, torch.nn.Identity


def export_hugging_face(tagger, folder, report=lambda line: None):
    """Writes an ``AudioTagger`` with an AST as a folder; returns its path.

    A model that transformers cannot express is a ValueError, a folder that is
    not empty a FileExistsError. The folder is read again with ``load_ast``: if
    probabilities are off by 1e-4, a RuntimeError is raised and nothing written.
    ``report`` is called with each line that says what was written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    if folder.is_dir() and os.listdir(folder):
        raise FileExistsError(f"{folder} is not empty: choose a new folder.")
    head = torch.nn.Sequential(*_classifier(tagger))
    fbank, norm, encoder, _ = (tagger.mods[name] for name in MODULES)
    encoder, head = (
        copy.deepcopy(x).float().cpu().eval() for x in (encoder, head)
    )
    state, config = _convert(encoder, head)
    frames, length = encoder.max_frames, config["max_length"]
    single = getattr(tagger.hparams, "single_label", False)
    kind = "single" if single else "multi"
    config["problem_type"] = f"{kind}_label_classification"
    config["id2label"] = dict(enumerate(tagger.labels))
    config["label2id"] = {x: i for i, x in enumerate(tagger.labels)}
    extractor = {"feature_extractor_type": "ASTFeatureExtractor"}
    extractor.update(sampling_rate=fbank.sample_rate, max_length=length)
    extractor.update(mean=norm.mean, std=norm.std, num_mel_bins=fbank.n_mels)
    seeded = torch.Generator().manual_seed(0)
    feats = torch.rand(1, frames, fbank.n_mels, generator=seeded)
    size = sum(tensor.nbytes for tensor in state.values())
    with atomic_folder(folder, needed=size) as new, torch.inference_mode():
        write_json(f"{new}/config.json", config)
        write_json(f"{new}/preprocessor_config.json", extractor)
        # Not save_file: only the owner could read its file.
        data = save(state, {"format": "pt"})
        Path(new, "model.safetensors").write_bytes(data)
        expected = tagger.probabilities(head(encoder(feats)))
        encoder, head = ast.load_ast(new)
        feats = feats[:, : encoder.max_frames]
        error = tagger.probabilities(head(encoder(feats))) - expected
        if not error.abs().max() <= TOLERANCE:
            raise RuntimeError(
                f"The model that was written to {folder} computes something "
                f"else (off by {error.abs().max():.1e}). Please report this."
            )
    report(
        f"wrote {folder}, {size / 1e6:.1f} MB: exact for clips of {frames} "
        "frames or more, of which these are used; in shorter clips, "
        "transformers attends to padding"
    )
    if length > frames:
        cost = fbank.n_mels / (fbank.n_mels - length + frames)
        report(f"its patch layer computes {cost:.3g} times as much")
    return folder


def _classifier(tagger):
    """The layers of the classifier, if the model can be exported."""
    fbank, norm, encoder, classifier = (tagger.mods[name] for name in MODULES)
    rate, part = tagger.hparams.sample_rate, MODULES[0]
    layers = [x for x in classifier.modules() if not isinstance(x, INERT)]
    kinds = torch.nn.LayerNorm, torch.nn.Linear
    plain = len(layers) == 2 and all(map(isinstance, layers, kinds))
    if type(encoder) is not AST:
        reason = f"its encoder is {type(encoder).__name__}, not AST"
    elif (
        encoder.pooling != "cls"
        or encoder.conv_kernel
        or encoder.embedding.stem is not None
    ):
        reason = "it has pooling or convolutions that ASTs there lack"
    elif encoder.embedding.patch_frames > encoder.n_mels:
        reason = "its patches have more frames than bins"
    elif type(fbank) is not KaldiFbank or (
        describe_module(fbank, part)
        != describe_module(KaldiFbank(rate, fbank.n_mels), part)
    ):
        reason = "its front end is not KaldiFbank with the default settings"
    elif type(norm) is not DatasetNormalization:
        reason = "its normalization is not DatasetNormalization"
    elif not plain or len(classifier.state_dict()) != 4:
        reason = "its classifier is not LayerNorm and Linear, both with biases"
    elif len(layers[1].weight) != len(tagger.labels):
        reason = "it has another number of classes than labels"
    else:
        return layers
    raise ValueError(f"transformers cannot express this model: {reason}.")


def _convert(encoder, head):
    """Tensors under transformers' names, and their sizes for config.json."""
    proj, state = encoder.embedding.proj, encoder.state_dict()
    bins, frames = proj.kernel_size
    stride = encoder.embedding.stride_frames
    # [2, D] -> [2, 1, D]; positions are part of the class tokens
    state["tokens"] = state.pop("cls_tokens").unsqueeze(1)
    # [F', T', D] -> [1, 2 + F' * T', D]
    positions = state.pop(tensors.POSITIONS).flatten(0, 1)
    state["positions"] = pad(positions, (0, 0, 2, 0)).unsqueeze(0)
    state[tensors.PATCHES] = pad(proj.weight.detach(), (0, bins - frames))
    # One eps serves all norms. With a scaled input, the head's is another one:
    # s * x / sqrt(var(s * x) + eps) = x / sqrt(var(x) + eps / s^2)
    scale = math.sqrt(encoder.norm_eps / head[0].eps)
    for name in ("norm.weight", "norm.bias"):
        state[name] = scale * state[name]
    head = head.state_dict(prefix="classifier.")
    state = tensors.name_tensors(
        {**state, **head}, ast.HUGGING_FACE, encoder.depth
    )
    sizes = dict(vars(encoder), patch_size=bins, stride=stride)
    sizes["max_frames"] += bins - frames
    sizes["mlp_dim"] = encoder.blocks[0].mlp[0].out_features
    config = {key: sizes[name] for name, key in ast.CONFIG_SIZES.items()}
    config["frequency_stride"] = stride  # any, for a single row
    config["architectures"] = ["ASTForAudioClassification"]
    fixed = {key: values[0] for key, values in ast.CONFIG_FIXED.items()}
    return state, {**config, **fixed}
