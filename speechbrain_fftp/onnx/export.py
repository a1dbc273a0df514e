"""Exports a tagger to ONNX: waveforms in, probabilities and embeddings out.

A ``model.onnx`` runs without this package and without PyTorch. Its input is
``wavs``, float32 ``[batch, samples]``, with any number of clips of any length,
all equally long. Outputs:

* ``probabilities`` ``[batch, classes]``, if the model has classes; 0 in
  silence, see ``fftp_tag.model.silence``;
* ``embeddings`` ``[batch, dim]``;
* ``frame_probabilities`` ``[batch, frames, classes]``, if the model classifies
  frame-level predictions;
* ``tokens`` ``[batch, frames, dim]``, which the encoder pools to embeddings;
* ``features`` ``[batch, frames, bins]``, before their normalisation.

The metadata are those of ``fftp_tag.model.info.ModelInfo``.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import copy
import dataclasses
import importlib.util
import io
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from fftp_tag.audio.pieces import through
from fftp_tag.errors import InputError
from fftp_tag.files import replace_file
from fftp_tag.model.edit import copy_model, write_onnx
from fftp_tag.model.info import FrameLevel, ModelInfo
from fftp_tag.model.session import Model
from fftp_tag.model.silence import mask_silence
from fftp_tag.tag.live import look, looks_with_state
from speechbrain_fftp.onnx.wrapper import WaveformModel, is_frame_level
from speechbrain_fftp.utils.inference_folder import MODULES

logger = logging.getLogger(__name__)

OLDEST_TORCH = "2.11"
MAX_DIFFERENCE = 1e-4  # from PyTorch's outputs

# What PyTorch raises where it cannot follow a module
EXPORT_ERRORS = (
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ExportError(Exception):
    """A model that cannot be exported; the message says why."""


def export_onnx(
    path,
    modules,
    labels,
    *,
    sample_rate,
    max_frames,
    max_seconds=None,
    single_label=False,
    note=None,
):
    """Writes a model as a file that needs no PyTorch.

    The result is compared with PyTorch. Weights of more than 2 GB are stored in a second file, ``PATH.data``.

    Arguments
    ---------
    path : str
        The file to write.
    modules : dict
        ``compute_features`` and ``mean_var_norm``, see ``extract_features``;
        ``embedding_model``, the encoder; and ``classifier``, see ``classify``.
        They are not changed. An encoder that classifies its tokens, such as
        ``FrameTagger``, has frame-level predictions.
    labels : list of str
        Names of the classes; empty for an encoder without classes.
    sample_rate : int
        Sampling rate in Hz.
    max_frames : int
        Maximum clip length in frames.
    max_seconds : float, optional
        Maximum length of the training clips, if shorter: the model's behaviour
        on longer clips is unknown.
    single_label : bool
        Whether a clip has exactly one label.
    note : str, optional
        A sentence that users of the model should read first.

    Returns
    -------
    Path
        The path of the file.

    Raises
    ------
    ExportError
        If the model cannot be exported, or an output differs from PyTorch's;
        nothing is written.
    ValueError
        If the number of labels is not the number of classes.
    """
    check_packages()
    path = Path(path)
    labels = list(labels)
    modules = {
        name: copy.deepcopy(modules[name]).float().cpu() for name in MODULES
    }
    info = describe(
        modules,
        labels,
        sample_rate,
        max_frames,
        max_seconds=max_seconds,
        single_label=single_label,
        note=note,
    )
    one_frame = num_samples(modules["compute_features"], 1)
    model = WaveformModel(
        modules, len(labels) > 0, single_label, one_frame
    ).eval()
    check_labels(model, labels, info.min_samples)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}."
    ) as folder:
        exported = Path(folder, path.name)
        program = export_program(model, info)
        program.save(exported)
        del program
        mask_file(exported, info)
        keep_state(exported)
        try:
            error = largest_difference(exported, model, info.max_samples)
        except InputError as reason:
            raise ExportError(f"ONNX Runtime fails: {reason}") from reason
        compared = f"largest difference from PyTorch {error:.1e}"
        if error > MAX_DIFFERENCE:
            raise ExportError(
                f"{compared}, more than {MAX_DIFFERENCE}. Please report this with the "
                "versions of torch, onnx and onnxruntime."
            )
        size = 0
        # The weights first, then the file that refers to them
        for file in [*sorted(exported.parent.glob("*.data")), exported]:
            size += file.stat().st_size
            replace_file(file, path.parent / file.name)
    logger.info("%s: %.1f MB, %s", path.name, size / 1e6, compared)
    return path


def check_packages():
    """Raises an ``ExportError`` if a package is missing or too old."""
    if torch.__version__ < OLDEST_TORCH:
        raise ExportError(
            f"PyTorch {torch.__version__} is too old: it trains, but export "
            f"needs {OLDEST_TORCH} or later. Upgrade torch and torchaudio."
        )
    if importlib.util.find_spec("onnxscript") is None:
        raise ExportError(
            "The package onnxscript is missing: pip install onnxscript"
        )


@torch.no_grad()
def check_labels(model, labels, min_samples):
    """Raises a ValueError unless there is one label per class.

    An ExportError, if the shortest clip cannot be encoded.
    """
    try:
        outputs = model(torch.zeros(1, min_samples))
    except RuntimeError as error:
        raise ExportError(
            f"The {model.encoder_name} cannot encode a clip of "
            f"{min_samples} samples ({first_line(error)}): pad short "
            "features in its forward."
        ) from error
    if labels and outputs[0].shape[1] != len(labels):
        raise ValueError(
            f"The model has {outputs[0].shape[1]} classes, but there are "
            f"{len(labels)} labels."
        )


def first_line(error):
    """What is wrong, in one line."""
    return str(error).strip().partition("\n")[0].rstrip(".!")


def describe(
    modules,
    labels,
    sample_rate,
    max_frames,
    max_seconds=None,
    single_label=False,
    note=None,
):
    """The ``ModelInfo`` of a model, see ``export_onnx``."""
    front_end = modules["compute_features"]
    _, shift = frame_size(front_end)
    encoder = modules["embedding_model"]
    embedding = getattr(encoder, "embedding", None)
    min_samples = num_samples(front_end, getattr(embedding, "patch_frames", 1))
    max_samples = num_samples(front_end, max_frames)
    if max_seconds is not None:
        longest = max(round(max_seconds * sample_rate), min_samples)
        max_samples = min(max_samples, longest)
    token_samples = frame_level = None
    if hasattr(encoder, "encode") and hasattr(embedding, "stride_frames"):
        token_samples = embedding.stride_frames * shift
    if is_frame_level(encoder):
        frame_level = FrameLevel(
            span_samples=min_samples,
            hop_samples=token_samples,
            look_ahead=getattr(encoder.encoder, "look_ahead", None),
        )
    return ModelInfo(
        labels=labels,
        sample_rate=sample_rate,
        max_samples=max_samples,
        min_samples=min_samples,
        frame_samples=shift,
        single_label=single_label,
        token_samples=token_samples,
        frame_level=frame_level,
        note=note,
    )


def frame_size(compute_features):
    """Samples of the first frame within a clip, and from frame to frame.

    Arguments
    ---------
    compute_features : torch.nn.Module
        A module with ``window`` and ``shift``, such as ``KaldiFbank``, or with
        ``compute_STFT``, such as SpeechBrain's ``Fbank``.

    Returns
    -------
    size : int
        The window, or 0 if the first frame is centred on the first sample.
    shift : int

    Raises
    ------
    ExportError
        If the module has neither.
    """
    if hasattr(compute_features, "compute_STFT"):
        stft = compute_features.compute_STFT
        return 0 if stft.center else stft.win_length, stft.hop_length
    if not hasattr(compute_features, "window"):
        raise ExportError(
            f"The frames of {type(compute_features).__name__} are unknown: "
            "give compute_features the attributes window and shift, in samples."
        )
    return compute_features.window, compute_features.shift


def num_samples(compute_features, n_frames):
    """Number of samples of the shortest clip with so many frames."""
    size, shift = frame_size(compute_features)
    return max(size + (n_frames - 1) * shift, 1)


def export_program(model, info):
    """Exports a ``WaveformModel``, without paths of the machine."""
    from speechbrain_fftp.onnx.operators import OPERATORS, OPSET

    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                capture(model, info),
                dynamo=True,
                optimize=False,
                verbose=False,
                opset_version=OPSET,
                custom_translation_table=OPERATORS,
                input_names=["wavs"],
                output_names=model.output_names,
            )
            simplify(program.model)
    except EXPORT_ERRORS as error:
        raise ExportError(
            f"PyTorch cannot export the {model.encoder_name} "
            f"({first_line(error.__cause__ or error)}): no number, branch or "
            "loop of Python may depend on a batch, see 'An encoder of your "
            "own' in CONTRIBUTING.md."
        ) from error
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with paths of files
    return program


def capture(model, info, example_tokens=3):
    """Follows a ``WaveformModel`` on an example, for clips of any length.

    The example has a few tokens more than the shortest clip: few, since a
    recurrent layer is followed frame by frame.

    ``torch.onnx.export`` would try other ways, for minutes.
    """
    from torch.fx.experimental import _config

    batch = torch.export.Dim("batch")
    samples = torch.export.Dim("samples")
    extra = example_tokens * (info.token_samples or info.frame_samples)

    def follow(is_oblivious):
        """Whether sizes of 1 in the example are no constants is a setting."""
        with _config.patch(backed_size_oblivious=is_oblivious):
            return torch.export.export(
                model,
                (torch.zeros(2, info.min_samples + extra),),
                dynamic_shapes={"wavs": {0: batch, 1: samples}},
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )

    try:
        return follow(is_oblivious=True)
    except EXPORT_ERRORS:  # as of recurrent layers
        return follow(is_oblivious=False)


def simplify(model):
    """Folds constants, and removes unused and duplicate nodes.

    PyTorch's own ``optimize`` also rewrites patterns, none of which occur here,
    and takes 18 s for an AuM of 24 layers.
    """
    import onnx_ir
    import onnxscript.optimizer
    from onnx_ir.passes import common

    onnxscript.optimizer.fold_constants(model, output_size_limit=2**14)
    onnx_ir.passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
    )(model)


@contextlib.contextmanager
def quiet():
    """Silences the exporters: warnings, log messages and printed graphs."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    graphs = contextlib.redirect_stderr(io.StringIO())
    try:
        with warnings.catch_warnings(), graphs:
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def mask_file(path, info):
    """Makes the probabilities of silence 0 in a file, and adds its metadata."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    mask_silence(model.graph, info)
    write_onnx(model, path, info.to_metadata())


def keep_state(path):
    """Has the metadata of a file say that it has no state, if it has none.

    As where the normalisation of the features reads the whole clip.
    """
    model = Model(path)
    info = model.info
    if info.frame_level is None or info.frame_level.look_ahead is None:
        return
    n_samples = min(info.max_samples, 40 * info.min_samples)
    wav = 0.1 * np.random.default_rng(0).standard_normal(n_samples)
    wav[n_samples // 2 :] *= 0.1
    (whole,) = model.run(["frame_probabilities"], wav[None])
    looks = looks_with_state(info.frame_level, info.min_samples)
    found = through([wav.astype(np.float32)], *look(model, looks))
    chunks = np.concatenate([x.rows for x in found])
    if np.abs(chunks - whole[0]).max() <= MAX_DIFFERENCE:
        return
    logger.info("%s: predictions depend on the whole clip", Path(path).name)
    frame_level = dataclasses.replace(info.frame_level, look_ahead=None)
    info = dataclasses.replace(info, frame_level=frame_level)
    copy_model(path, path, info)


@torch.no_grad()
def largest_difference(path, model, max_samples, batches=((1, 0.3), (3, 0.7))):
    """The largest difference between the outputs of a file and of a model.

    It is relative to the largest value, except for probabilities. A batch is its
    number of clips, and their length relative to the maximum clip length.
    """
    exported = Model(path)
    generator = torch.Generator().manual_seed(0)
    errors = []
    for n_clips, length in batches:
        wavs = torch.randn(
            n_clips, int(length * max_samples), generator=generator
        )
        wavs *= 0.1
        found = exported.run(model.output_names, wavs.numpy())
        expected = [output.numpy() for output in model(wavs)]
        for name, ours, theirs in zip(model.output_names, found, expected):
            scale = 1.0
            if "probabilities" not in name:
                scale = max(np.abs(theirs).max(), 1e-9)
            if name == "features":  # logarithms of quiet bins are less exact
                scale *= 10
            errors.append(np.abs(ours - theirs).max() / scale)
    return float(np.max(errors))
