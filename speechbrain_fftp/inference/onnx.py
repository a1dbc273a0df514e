"""Exports a tagger to ONNX: waveforms in, probabilities and embeddings out.

``AudioTagger.from_pretrained`` reads the file, and it can be used without this
package: the features are part of the graph, and its metadata hold the rest, in
JSON:

* ``labels``: names of the classes;
* ``sample_rate``: sampling rate of the waveforms in Hz;
* ``max_samples``: maximum clip length of the model in samples; cut longer clips
  into windows of this length, the last of which ends with the clip;
* ``min_samples``, ``frame_samples``: length of a patch, and samples from the
  start of one frame to that of the next;
* ``single_label``: whether the probabilities of a clip sum up to 1;
* ``thresholds``: learned thresholds of the classes, or null;
* ``steps``: null, or of a model that classifies time steps, ``first_seconds``,
  the centre of the first one, ``step_samples``, from one to the next, and
  ``mean_seconds``, the length of their moving average.

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

import numpy as np
import torch

from speechbrain_fftp.inference.onnx_features import OPERATORS
from speechbrain_fftp.inference.torch_engine import TorchEngine, mean_token

logger = logging.getLogger(__name__)

OUTPUTS = ("probabilities", "embeddings", "frame_probabilities")
TOLERANCE = 1e-4  # largest difference from PyTorch's

# Batches for the comparison with PyTorch: the length of the waveforms relative
# to the maximum clip length, and the lengths of the clips relative to that.
CHECKS = ((0.3, (1.0,)), (0.7, (1.0, 0.2, 0.6)))


class WaveformTagger(torch.nn.Module):
    """The model of an engine, for any batch size and number of samples.

    Its outputs are ``output_names``.

    Arguments
    ---------
    engine : TorchEngine
    """

    def __init__(self, engine):
        super().__init__()
        self.tagger = engine.tagger
        self.activate = engine.activate
        self.min_samples = engine.min_samples
        self.has_frames = engine.has_frames
        self.has_classes = len(engine.labels) > 0

    def forward(self, wavs, wav_lens):
        """``[B, S], [B] -> [B, C], [B, D]``, and ``[B, N, C]`` of steps."""
        size = wavs.shape[1]
        # A graph cannot pad short clips only: one patch is the minimum for all
        missing = torch.sym_max(self.min_samples - size, 0)
        wavs = torch.nn.functional.pad(wavs, (0, missing))
        lens = (wav_lens.double() * size).round() / wavs.shape[1]
        feats, lens = self.tagger.features(wavs, lens)
        tokens = self.tagger.embedding_model(feats, lens)
        if not self.has_classes:
            return tokens.squeeze(1)
        probs = self.activate(self.tagger.classify(tokens))
        if not self.has_frames:
            return probs, tokens.squeeze(1)
        frames = self.tagger.classifier.frame_logits(tokens).sigmoid()
        return probs, mean_token(tokens).squeeze(1), frames


def export_onnx(tagger, path, report=lambda line: None):
    """Writes an ``AudioTagger`` with a ``TorchEngine`` as an ONNX file.

    Inputs: ``wavs``, float32 ``[batch, samples]``, and ``wav_lens``, float32
    ``[batch]``, lengths relative to ``samples``. Outputs: ``probabilities``,
    float32 ``[batch, classes]``, if the model has classes; ``embeddings``,
    ``[batch, dim]``; and, if the model classifies time steps,
    ``frame_probabilities``, ``[batch, steps, classes]``, which mean nothing
    after a clip's end. Batch size and number of
    samples are free. Weights of more than 2 GB are stored in a second file,
    ``PATH.data``.

    If ONNX Runtime is installed, the result is compared with PyTorch.

    Arguments
    ---------
    tagger : AudioTagger
    path : str
        The file to write.
    report : callable
        Called with each line that says what was compared and written.

    Returns
    -------
    Path
        That of the file.

    Raises
    ------
    ImportError
        If a package is missing.
    RuntimeError
        If an output differs from PyTorch's by more than 1e-4 (embeddings:
        relative to the largest value); nothing is written.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"Exporting to ONNX needs the package {package}: "
                'pip install "speechbrain_fftp[export]"'
            )
    reference = copy_to_cpu(tagger.engine)
    if reference.labels:  # are they those of the classifier?
        reference.tag_batch(torch.zeros(1, reference.min_samples))
    path = Path(path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}."
    ) as folder:
        exported = Path(folder, path.name)
        program = export_program(copy_to_cpu(tagger.engine))
        program.model.metadata_props.update(describe(reference))
        program.save(exported)
        del program
        if importlib.util.find_spec("onnxruntime") is None:
            logger.warning(
                "%s is not compared with PyTorch, which needs onnxruntime: "
                'pip install "speechbrain_fftp[export]"',
                path,
            )
        else:
            check(exported, reference, report)
        size = 0
        # The weights first, then the file that refers to them
        for file in [*sorted(exported.parent.glob("*.data")), exported]:
            size += file.stat().st_size
            os.replace(file, path.parent / file.name)
    report(
        f"wrote {path}, {size / 1e6:.1f} MB: wavs [batch, samples] and "
        f"wav_lens [batch] -> {', '.join(output_names(reference))}"
    )
    return path


def copy_to_cpu(engine):
    """A copy of an engine, in float32 on the CPU."""
    return TorchEngine(
        copy.deepcopy(engine.mods).float().cpu(),
        {**vars(engine.hparams), "thresholds": engine.thresholds},
        run_opts={"device": "cpu"},
    )


def describe(engine):
    """The metadata of an exported engine."""
    thresholds = steps = None
    if engine.thresholds is not None:
        thresholds = engine.thresholds.tolist()
    if engine.has_frames:
        steps = {
            "first_seconds": round(float(engine.step_times(10**6)[0]), 9),
            "step_samples": engine.step_samples,
            "mean_seconds": engine.mean_seconds,
        }
    metadata = {
        "labels": engine.labels,
        "sample_rate": engine.sample_rate,
        "max_samples": engine.max_samples,
        "min_samples": engine.min_samples,
        "frame_samples": engine.frame_samples,
        "single_label": engine.single_label,
        "thresholds": thresholds,
        "steps": steps,
    }
    return {
        name: json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
    }


def output_names(engine):
    """Names of the outputs of an exported engine."""
    if not engine.labels:
        return ("embeddings",)
    return OUTPUTS if engine.has_frames else OUTPUTS[:-1]


def export_program(engine):
    """Exports an engine, without traces of the machine."""
    batch = torch.export.Dim("batch")
    samples = torch.export.Dim("samples")
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            WaveformTagger(engine).eval(),
            (torch.zeros(2, 250 * engine.frame_samples), torch.ones(2)),
            dynamo=True,
            verbose=False,
            custom_translation_table=OPERATORS,
            input_names=["wavs", "wav_lens"],
            output_names=output_names(engine),
            dynamic_shapes={
                "wavs": {0: batch, 1: samples},
                "wav_lens": {0: batch},
            },
        )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with paths of files
    return program


@contextlib.contextmanager
def quiet():
    """Silences warnings and log messages of the exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def check(path, engine, report):
    """Compares a file with the engine it is from.

    Raises
    ------
    RuntimeError
        If they do not agree.
    """
    error = largest_difference(path, engine)
    if not error <= TOLERANCE:  # or NaN
        raise RuntimeError(
            f"The exported model is off by {error:.1e}, more than {TOLERANCE}: "
            f"{path.name} is not written. Please report this with the versions "
            "of torch, onnx, onnxscript and onnxruntime."
        )
    report(
        f"compared with PyTorch on {len(CHECKS)} batches: "
        f"largest difference {error:.1e}, at most {TOLERANCE:g} allowed"
    )


def largest_difference(path, engine):
    """The largest difference of a file's outputs from an engine's."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    generator = torch.Generator().manual_seed(0)
    errors = []
    for relative_size, lens in CHECKS:
        size = int(relative_size * engine.max_samples)
        wavs = 0.1 * torch.randn(len(lens), size, generator=generator)
        lens = torch.tensor(lens)
        for wav, end in zip(wavs, (lens * size).round().int()):
            wav[end:] = 0.0
        found = session.run(
            None, {"wavs": wavs.numpy(), "wav_lens": lens.numpy()}
        )
        embeddings = engine.encode_batch(wavs, lens).squeeze(1)
        scale = float(embeddings.abs().max())
        expected = {"embeddings": embeddings}
        if engine.labels:
            expected["probabilities"] = engine.tag_batch(wavs, lens)
        if engine.has_frames:
            frames = engine.tag_frames(wavs, lens)[1]
            expected["frame_probabilities"] = frames
        for name, array in zip(output_names(engine), found, strict=True):
            error = np.abs(array - expected[name].numpy()).max()
            errors.append(error / scale if name == "embeddings" else error)
    return float(np.max(errors))
