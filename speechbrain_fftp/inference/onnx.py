"""Exports a tagger to ONNX: waveforms in, probabilities out.

The file needs neither PyTorch nor this package: the features are part of its
graph, and its metadata hold what else a program must know (as texts):

* ``labels``: the labels in the order of the classes, a JSON list;
* ``sample_rate``: that of the waveforms, in Hz;
* ``window_samples``: samples of the longest clip that the model was made for;
  longer ones are to be cut into windows of this length;
* ``frame_samples``: samples of one frame; a shorter last window is to be left
  out.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import copy
import importlib.util
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path

import torch

from speechbrain_fftp.inference.onnx_int8 import quantize_onnx

# How far probabilities may be from PyTorch's.
TOLERANCE = 1e-4

# Batches to check with, for each clip its length relative to the first one,
# which has so many frames of the longest clip that the model was made for.
CHECKS = ((0.3, (1.0,)), (0.7, (1.0, 0.2, 0.6)))


class _Tagging(torch.nn.Module):
    """The modules of a tagger as one, for any length and batch size."""

    def __init__(self, tagger):
        super().__init__()
        self.compute_features = tagger.mods.compute_features
        self.mean_var_norm = tagger.mods.mean_var_norm
        self.embedding_model = tagger.mods.embedding_model
        self.classifier = tagger.mods.classifier
        self.probabilities = tagger.probabilities
        # A patch's worth of samples.
        frames = self.embedding_model.embedding.patch_frames
        self.least = tagger.num_samples(frames)

    def forward(self, wavs, wav_lens):
        """Waveforms ``[B, S]``, lengths ``[B]`` -> probabilities ``[B, C]``."""
        size = wavs.shape[1]
        samples = (wav_lens * size).round().long()
        padding = torch.arange(size, device=wavs.device) >= samples[:, None]
        wavs = wavs.masked_fill(padding, 0.0)
        # An exported model cannot tell later whether a clip is too short.
        missing = torch.sym_max(self.least - size, 0)
        feats = self.compute_features(
            torch.nn.functional.pad(wavs, (0, missing))
        )
        feats = self.mean_var_norm(feats)
        lens = self.compute_features.num_frames(samples) / feats.shape[1]
        logits = self.classifier(self.embedding_model(feats, lens))
        return self.probabilities(logits.squeeze(1))


def export_onnx(tagger, path, int8=False):
    """Writes a tagger as an ONNX file and compares it with PyTorch.

    Inputs of the file: ``wavs``, float32 ``[batch, samples]`` at the model's
    sampling rate, and ``wav_lens``, float32 ``[batch]``, lengths relative to
    ``samples``. Output: ``probabilities``, float32 ``[batch, classes]``. Batch
    and samples are free, and what lies beyond a clip's length has no
    influence. The weights are in the file, unless they take more than 2 GB: a
    second file ``PATH.data`` holds them then.

    The result is run by ONNX Runtime, where that is installed, and must agree
    with PyTorch to 1e-4. The file appears when it has passed, or not at all.

    Arguments
    ---------
    tagger : speechbrain_fftp.inference.tagging.AudioTagger
        The model, on any device. It is exported in float32.
    path : str
        The file to write; one that exists is replaced.
    int8 : bool
        Whether to store the weights of linear layers and patches as int8, a
        scale for each output channel, and to quantise the linear layers'
        inputs on the fly. The front end stays in float32.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ImportError
        If a package that is needed is not installed.
    ValueError
        If the model has not one label per class.
    RuntimeError
        If the exported model does not agree with PyTorch.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.inference import AudioTagger
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> modules = {
    ...     "compute_features": KaldiFbank(),
    ...     "mean_var_norm": DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=16, depth=1, num_heads=2),
    ...     "classifier": torch.nn.Linear(16, 2),
    ... }
    >>> hparams = {
    ...     "label_encoder": labels,
    ...     "sample_rate": 16000,
    ...     "max_frames": 100,
    ... }
    >>> tagger = AudioTagger(modules, hparams)
    >>> export_onnx(tagger, getfixture("tmpdir") / "model.onnx").name
    'model.onnx'
    """
    for package in ("onnx", "onnxscript", *["onnxruntime"] * int8):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"Exporting to ONNX{' in int8' * int8} needs the package "
                f"{package}: pip install speechbrain_fftp[export]"
            )
    # A copy on the CPU, in float32; the tagger stays as it is.
    reference = type(tagger)(
        copy.deepcopy(tagger.mods).float().cpu(),
        vars(tagger.hparams),
        run_opts={"device": "cpu", "precision": "fp32"},
    )
    program = _export(reference)
    metadata = _metadata(reference)
    program.model.metadata_props.update(metadata)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}."
    ) as folder:
        exported = Path(folder) / path.name
        program.save(exported)
        del program
        if importlib.util.find_spec("onnxruntime") is None:
            warnings.warn(
                f"{path} is not checked: onnxruntime is not installed."
            )
        else:
            _check(exported, reference, int(metadata["window_samples"]))
        if int8:
            folder = exported.parent / "int8"
            folder.mkdir()
            with _quiet():
                exported = quantize_onnx(exported, folder / path.name)
        # The weights before what refers to them.
        for file in sorted(exported.parent.glob("*.data")) + [exported]:
            os.replace(file, path.parent / file.name)
    return path


def _export(tagger):
    """The program, without what tells about the machine that made it."""
    fbank = tagger.mods.compute_features
    model = _Tagging(tagger)
    batch = torch.export.Dim("batch")
    samples = torch.export.Dim("samples")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(2, 100 * fbank.window), torch.ones(2)),
            dynamo=True,
            verbose=False,
            input_names=["wavs", "wav_lens"],
            output_names=["probabilities"],
            dynamic_shapes={
                "wavs": {0: batch, 1: samples},
                "wav_lens": {0: batch},
            },
        )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with the paths of files
    return program


@contextlib.contextmanager
def _quiet():
    """Keeps back what the exporters say about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _metadata(tagger):
    """What a program must know besides the graph."""
    fbank = tagger.mods.compute_features
    probs = tagger.tag_batch(torch.zeros(1, fbank.window))
    labels = tagger.labels_of(probs)
    longest = tagger.num_samples(tagger.hparams.max_frames)
    return {
        "labels": json.dumps(labels, ensure_ascii=False),
        "sample_rate": str(tagger.hparams.sample_rate),
        "window_samples": str(longest),
        "frame_samples": str(fbank.window),
    }


def _check(path, tagger, longest):
    """Compares a file with the tagger that it was made of."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    generator = torch.Generator().manual_seed(0)
    for share, lens in CHECKS:
        wavs = torch.randn(len(lens), int(share * longest), generator=generator)
        wavs, lens = 0.1 * wavs, torch.tensor(lens)
        for wav, end in zip(wavs, (lens * wavs.shape[1]).round().int()):
            wav[end:] = 0.0
        inputs = {"wavs": wavs.numpy(), "wav_lens": lens.numpy()}
        (found,) = session.run(None, inputs)
        expected = tagger.tag_batch(wavs, lens)
        error = (torch.from_numpy(found) - expected).abs().max().item()
        if not error <= TOLERANCE:
            raise RuntimeError(
                f"The exported model is off by {error:.1e} for waveforms "
                f"{list(wavs.shape)}, more than {TOLERANCE}: it is not "
                "written. Please report this with the versions of torch, onnx, "
                "onnxscript and onnxruntime."
            )
