"""Exports a tagger to ONNX: waveforms in, probabilities out.

The file can be used without PyTorch and this package: the features are part of
the graph, and its metadata hold the rest, as strings:

* ``labels``: labels of the classes, a JSON list;
* ``sample_rate``: sampling rate of the waveforms in Hz;
* ``window_samples``: maximum clip length of the model in samples; cut longer
  clips into windows of this length, the last of which ends with the clip;
* ``thresholds``: learned thresholds of the classes, a JSON list, if the model
  has any;
* ``steps``: of a model that classifies time steps, the center of the first one
  and the time between two, and the length of their moving average, in seconds.

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

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

TOLERANCE = 1e-4  # maximum difference of probabilities from PyTorch's
FAST_ERROR = 0.01  # with int8, that of _quantize_channels

# Batches for the comparison with PyTorch: the length of the waveforms relative
# to the maximum clip length, and the lengths of the clips relative to that.
CHECKS = ((0.3, (1.0,)), (0.7, (1.0, 0.2, 0.6)))


class _Probabilities(torch.nn.Module):
    """A tagger's ``Tagger`` for any batch size and number of samples."""

    def __init__(self, tagger):
        super().__init__()
        self.tagger = tagger.tagger
        self.probabilities = tagger.probabilities
        self.min_samples = tagger.min_samples
        self.has_frames = tagger.has_frames

    def forward(self, wavs, wav_lens):
        """``[B, S], [B] -> [B, C]``, and ``[B, N, C]`` of time steps."""
        size = wavs.shape[1]
        # A graph cannot pad short clips only: one patch is the minimum for all
        missing = torch.sym_max(self.min_samples - size, 0)
        wavs = torch.nn.functional.pad(wavs, (0, missing))
        lens = (wav_lens.double() * size).round() / wavs.shape[1]
        tokens = self.tagger.embedding_model(*self.tagger.features(wavs, lens))
        probs = self.probabilities(self.tagger.classify(tokens))
        if not self.has_frames:
            return probs
        return probs, self.tagger.classifier.frame_logits(tokens).sigmoid()


def export_onnx(tagger, path, int8=False, report=lambda line: None):
    """Writes an ``AudioTagger`` as an ONNX file and returns its path.

    Inputs: ``wavs``, float32 ``[batch, samples]``, and ``wav_lens``, float32
    ``[batch]``, lengths relative to ``samples``. Output: ``probabilities``,
    float32 ``[batch, classes]``; if the model classifies time steps, also
    ``frames``, ``[batch, steps, classes]``, which mean nothing after a clip's
    end. Batch size and number of samples are free. Weights of more than 2 GB
    are stored in a second file, ``PATH.data``.

    If ONNX Runtime is installed, the result is compared with PyTorch: unless
    they agree to 1e-4, a RuntimeError is raised and nothing is written. With
    ``int8`` weights, see ``_quantize``, the difference has no limit. ``report``
    is called with each line that says what was compared and written.
    """
    for package in ("onnx", "onnxscript", *["onnxruntime"] * int8):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"Exporting to ONNX{' in int8' * int8} needs the package "
                f'{package}: pip install -c constraints.txt -e ".[export]"'
            )
    # A float32 copy on the CPU: the tagger itself is not changed
    reference = type(tagger)(
        copy.deepcopy(tagger.mods).float().cpu(),
        vars(tagger.hparams),
        run_opts={"device": "cpu", "precision": "fp32"},
        packed=False,
    )
    reference.tag_batch(torch.zeros(1, reference.min_samples))  # checks labels
    path = Path(path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}."
    ) as folder:
        exported = Path(folder) / path.name
        program = _export(reference)
        metadata = program.model.metadata_props
        metadata["labels"] = json.dumps(reference.labels, ensure_ascii=False)
        metadata["sample_rate"] = str(reference.hparams.sample_rate)
        metadata["window_samples"] = str(reference.max_samples)
        if tagger.thresholds is not None:
            metadata["thresholds"] = json.dumps(tagger.thresholds.tolist())
        if tagger.has_frames:
            times = reference.tagger.step_times(reference.max_samples)[:2]
            steps = times[0].item(), times.diff().item()
            steps = [*steps, reference.mods.classifier.mean_seconds]
            metadata["steps"] = json.dumps([round(x, 6) for x in steps])
        program.save(exported)
        del program
        if importlib.util.find_spec("onnxruntime") is None:
            logger.warning(
                f"{path} is not compared with PyTorch, which needs "
                'onnxruntime: pip install -c constraints.txt -e ".[export]"'
            )
        else:
            _check(exported, reference, report)
        if int8:
            exported = _quantize(exported, reference, report)
        size = 0
        # The weights first, then the file that refers to them
        for file in sorted(exported.parent.glob("*.data")) + [exported]:
            size += file.stat().st_size
            os.replace(file, path.parent / file.name)
    n_classes = len(reference.labels)
    frames = f" and frames [batch, steps, {n_classes}]" * tagger.has_frames
    report(
        f"wrote {path}, {size / 1e6:.1f} MB: wavs [batch, samples] and "
        f"wav_lens [batch] -> probabilities [batch, {n_classes}]{frames}"
    )
    return path


def _export(tagger):
    """Exports a tagger, without traces of the machine."""
    batch, samples = map(torch.export.Dim, ("batch", "samples"))
    shapes = {"wavs": {0: batch, 1: samples}, "wav_lens": {0: batch}}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Probabilities(tagger).eval(),
            (torch.zeros(2, 250 * tagger.frame_samples), torch.ones(2)),
            dynamo=True,
            verbose=False,
            input_names=["wavs", "wav_lens"],
            output_names=["probabilities"] + ["frames"] * tagger.has_frames,
            dynamic_shapes=shapes,
        )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with paths of files
    return program


@contextlib.contextmanager
def _quiet():
    """Silences warnings and log messages of the exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _check(path, tagger, report, tolerance=TOLERANCE):
    """Compares a file with the tagger it is from; returns the difference."""
    import onnxruntime

    worst, longest = 0.0, tagger.max_samples
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
        found = session.run(None, inputs)
        expected = [tagger.tag_batch(wavs, lens)]
        if tagger.has_frames:
            expected.append(tagger.tag_frames(wavs, lens)[1])
        pairs = zip(found, expected, strict=True)
        error = np.max([np.abs(a - b.numpy()).max() for a, b in pairs])
        worst = np.maximum(worst, error)  # NaN if one of them is
        if tolerance and not error <= tolerance:
            raise RuntimeError(
                f"The exported model is off by {error:.1e} for waveforms "
                f"{list(wavs.shape)}, more than {tolerance}: {path.name} is "
                "not written. Please report this with the versions of torch, "
                "onnx, onnxscript and onnxruntime."
            )
    limit = f", at most {tolerance:g} allowed" if tolerance else ""
    report(
        f"compared {'float32' if tolerance else 'int8'} weights with PyTorch "
        f"on {len(CHECKS)} batches: largest difference {worst:.1e}{limit}"
    )
    return worst


def _quantize(path, tagger, report):
    """Writes a copy of an exported tagger with 8-bit weights, returns its path.

    The faster of two forms, unless its probabilities differ by more than
    ``FAST_ERROR``. Kernels of patches are stored in 16 bits.
    """
    quantized_path = path.parent / "int8" / path.name
    quantized_path.parent.mkdir()
    for write in (_quantize_channels, _quantize_blocks):
        with _quiet():
            write(path, quantized_path)
            _store_kernels(quantized_path)
        if _check(quantized_path, tagger, report, None) <= FAST_ERROR:
            break
        if write is _quantize_channels:
            report("instead, one scale for each 32 weights, which is slower:")
    return quantized_path


def _quantize_channels(path, quantized_path):
    """Writes a copy of a tagger with a scale for each output channel.

    Linear layers multiply integers; inputs are quantized on the fly, with one
    scale per batch, so that a clip's result depends slightly on the rest of its
    batch. Weights use 7 bits, since sums over 8 bits overflow on processors
    without VNNI.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        path,
        quantized_path,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_front_end(path),
    )


def _quantize_blocks(path, quantized_path):
    """Writes a copy of a tagger with a scale for each 32 weights and inputs.

    More exact than ``_quantize_channels``, and slower.
    """
    from onnxruntime.quantization import matmul_nbits_quantizer

    config = matmul_nbits_quantizer.DefaultWeightOnlyQuantConfig(
        block_size=32, is_symmetric=True, accuracy_level=4, bits=8
    )
    quantizer = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        str(path), nodes_to_exclude=_front_end(path), algo_config=config
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(quantized_path))


def _front_end(path):
    """Nodes of the front end: spectra span too many orders of magnitude."""
    import onnx

    nodes = onnx.load(path, load_external_data=False).graph.node
    return [n.name for n in nodes if "compute_features" in str(n.input)]


def _store_kernels(path):
    """Stores the kernels of convolutions in half precision."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Conv"]:
        name = node.input[1]
        kernel = numpy_helper.to_array(constants[name]).astype(np.float16)
        graph.initializer.remove(constants[name])
        half = numpy_helper.from_array(kernel, f"{name}_half")
        graph.initializer.append(half)
        cast = helper.make_node(
            "Cast", [half.name], [name], f"{name}_cast", to=TensorProto.FLOAT
        )
        graph.node.insert(0, cast)
    onnx.save(model, path)
