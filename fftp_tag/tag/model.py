"""Runs a model.onnx, which maps waveforms to probabilities and embeddings.

The metadata of the file describe the model, see ``Model``. A file that is
damaged or inconsistent raises an InputError.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import os
import re
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from fftp_tag.tag.events import Rules, default_rules
from speechbrain_fftp.dataio.audio import MAX_RATE, MIN_RATE
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    import onnxruntime

MAX_SECONDS = 3600  # upper limit of the maximum clip length
MAX_CLASSES = 100000
FLOATS = "tensor(float)"
# Keys of the metadata; the values are in JSON
METADATA = (
    *("labels", "sample_rate", "max_samples", "min_samples", "frame_samples"),
    *("single_label", "thresholds", "low", "high"),
    *("merge_gap", "min_duration"),
    *("window_samples", "steps", "note"),
)
NO_CLASSES = (
    "{} has no classes, only embeddings: learn your own classes with fftp-tag "
    "learn."
)


class Model:
    """A model.onnx that training or ``fftp-tag import`` has written.

    Arguments
    ---------
    path : str
        The file.
    device : str
        "cpu", or "cuda" or "cuda:1", which need onnxruntime-gpu.
    threads : int, optional
        Number of CPU threads; by default, ONNX Runtime chooses it.

    Attributes
    ----------
    labels : list of str
        Names of the C classes; empty if the model has only embeddings.
    sample_rate : int
        In Hz.
    max_samples, min_samples : int
        Maximum clip length, and length of a patch.
    frame_samples : int
        Frame shift of the features.
    single_label : bool
        Whether the probabilities of a clip sum to 1, or to less if the model
        has learnt background as well.
    window_samples : int, optional
        Default window in which a model of clips finds events.
    rules : Rules
        The learnt thresholds and rules of events, or the default ones.
    note : str, optional
        A note for users, which is logged when the model is loaded.
    has_steps : bool
        Whether the model classifies time steps, every ``step_samples``.
    metadata : dict
        The metadata of the file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    InputError
        If the file is damaged or not such a model, or an argument is invalid.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike],
        device: str = "cpu",
        threads: Optional[int] = None,
    ):
        self.path = os.fspath(path)
        self.device = device
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path}: there is no such file.")
        self.session = start_session(self.path, device, threads)
        try:
            texts = self.session.get_modelmeta().custom_metadata_map
            self.metadata = {name: json.loads(texts[name]) for name in METADATA}
            check_metadata(self.metadata)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{path} is not a model of this package: its metadata lack a "
                f"value or have a wrong one ({error}): train or import it again"
            ) from error
        self.labels: List[str] = self.metadata["labels"]
        self.sample_rate: int = self.metadata["sample_rate"]
        self.max_samples: int = self.metadata["max_samples"]
        self.min_samples: int = self.metadata["min_samples"]
        self.frame_samples: int = self.metadata["frame_samples"]
        self.single_label: bool = self.metadata["single_label"]
        self.window_samples: Optional[int] = self.metadata["window_samples"]
        self.note: Optional[str] = self.metadata["note"]
        self.rules = read_rules(self.metadata)
        steps = self.metadata["steps"]
        self.has_steps = steps is not None
        if steps is not None:
            self.first_seconds: float = steps["first_seconds"]
            self.step_samples: int = steps["step_samples"]
        self.check_outputs()

    def check_outputs(self) -> None:
        """Raises an InputError if the outputs do not fit the metadata."""
        try:
            inputs = {x.name: x.type for x in self.session.get_inputs()}
            sizes = {
                x.name: x.shape[-1:]
                for x in self.session.get_outputs()
                if x.type == FLOATS
            }
        except UnicodeDecodeError:  # a damaged name
            inputs, sizes = {}, {}
        is_right = inputs == {"wavs": FLOATS, "wav_lens": FLOATS}
        is_right = is_right and "embeddings" in sizes
        for name, is_there in (
            ("probabilities", bool(self.labels)),
            ("frame_probabilities", self.has_steps),
        ):
            if is_there and sizes.get(name) != [len(self.labels)]:
                is_right = False
        if not is_right:
            raise InputError(
                f"{self.path} has inputs or outputs that do not match its "
                "metadata: train or import the model again."
            )

    def run(self, outputs: Sequence[str], wavs: np.ndarray) -> List[np.ndarray]:
        """Computes outputs, by name, of waveforms ``[B, S]`` of equal length.

        Raises
        ------
        InputError
            If the model fails, or returns values that are not finite or do not
            match its metadata.
        """
        inputs = {
            "wavs": np.asarray(wavs, np.float32),
            "wav_lens": np.ones(len(wavs), np.float32),
        }
        try:
            found = self.session.run(outputs, inputs)
        except runtime_errors() as error:
            raise InputError(
                f"{self.path} cannot run: {first_line(error)}"
            ) from error
        if not all(np.isfinite(array).all() for array in found):
            raise InputError(
                f"{self.path} returns NaN: its weights are damaged, train or "
                "import it again."
            )
        self.check_shapes(outputs, found, *wavs.shape)
        return found

    def check_shapes(
        self,
        outputs: Sequence[str],
        found: Sequence[np.ndarray],
        n_clips: int,
        n_samples: int,
    ) -> None:
        """Raises an InputError if the shape of an output is wrong.

        The returned shapes may differ from those that the file declares.
        """
        expected: Dict[str, tuple] = {
            "probabilities": (n_clips, len(self.labels))
        }
        if self.has_steps:
            n_steps = len(self.step_times(n_samples))
            expected["frame_probabilities"] = n_clips, n_steps, len(self.labels)
        for name, array in zip(outputs, found):
            if array.shape != expected.get(name, array.shape):
                raise InputError(
                    f"{self.path} returns {name} of the shape {array.shape} "
                    f"instead of {expected[name]}: train or import the model "
                    "again."
                )

    def probabilities(self, wavs: np.ndarray) -> np.ndarray:
        """Probabilities of the clips, ``[B, C]``."""
        if not self.labels:
            raise InputError(NO_CLASSES.format(self.path))
        return self.run(["probabilities"], wavs)[0]

    def step_probabilities(
        self, wavs: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Probabilities of clips ``[B, C]`` and of time steps ``[B, N, C]``."""
        clips, steps = self.run(["probabilities", "frame_probabilities"], wavs)
        return clips, steps

    def embeddings(self, wavs: np.ndarray) -> np.ndarray:
        """Embeddings of the clips, ``[B, D]``."""
        return self.run(["embeddings"], wavs)[0]

    def step_times(self, n_samples: int) -> np.ndarray:
        """The centre of each time step of a clip in seconds, ``[N]``."""
        count = max(n_samples - self.min_samples, 0) // self.step_samples + 1
        step = self.step_samples / self.sample_rate
        return self.first_seconds + step * np.arange(count)


def start_session(
    path: str, device: str, threads: Optional[int]
) -> "onnxruntime.InferenceSession":
    """Loads a file into ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            f"{path} needs ONNX Runtime: pip install onnxruntime"
        ) from None
    if threads is not None and threads < 1:
        raise InputError(f"threads={threads} must be positive.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised: no need to log them
    options.intra_op_num_threads = threads or 0
    # Higher levels slow down loading and do not speed up inference
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    # Spinning threads would slow down other processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list = ["CPUExecutionProvider"]
    if device != "cpu":
        match = re.fullmatch(r"cuda(?::(\d+))?", device)
        if match is None:
            raise InputError(f"device={device!r} is not cpu, cuda or cuda:N.")
        name = "CUDAExecutionProvider"
        if name not in onnxruntime.get_available_providers():
            raise InputError(
                f"{device} needs ONNX Runtime for CUDA: pip install "
                "onnxruntime-gpu in place of onnxruntime"
            )
        providers.insert(0, (name, {"device_id": match[1] or "0"}))
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=providers
        )
    except runtime_errors() as error:
        raise InputError(
            f"{path} is damaged or not an ONNX model, copy or train it again: "
            f"{first_line(error)}"
        ) from error
    if len(session.get_providers()) < len(providers):
        raise InputError(
            f"{device} cannot be used: check that its driver and the CUDA "
            "libraries for onnxruntime-gpu are installed"
        )
    return session


def runtime_errors() -> tuple:
    """The exceptions that ONNX Runtime raises."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return (
        errors.EPFail,
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
        errors.NotImplemented,
        errors.RuntimeException,
    )


def first_line(error: Exception) -> str:
    """The first line of a message, shortened and made printable."""
    line = str(error).strip().splitlines()[0][:300]
    return "".join(filter(str.isprintable, line))


def check_metadata(metadata: Dict) -> None:
    """Raises a KeyError, TypeError or ValueError if a value is invalid."""
    labels = metadata["labels"]
    if not isinstance(labels, list) or len(labels) > MAX_CLASSES:
        raise ValueError("labels")
    for label in labels:
        check_text("labels", label)
    if len(set(labels)) < len(labels):
        raise ValueError("labels that are not unique")
    if not isinstance(metadata["single_label"], bool):
        raise ValueError("single_label")
    rate, longest = metadata["sample_rate"], metadata["max_samples"]
    check_number("sample_rate", rate, MIN_RATE, MAX_RATE, whole=True)
    check_number("max_samples", longest, 1, MAX_SECONDS * rate, whole=True)
    for name in ("min_samples", "frame_samples"):
        check_number(name, metadata[name], 1, longest, whole=True)
    window = metadata["window_samples"]
    if window is not None:
        check_number("window_samples", window, 1, longest, whole=True)
    if metadata["note"] is not None:
        check_text("note", metadata["note"])
    steps = metadata["steps"]
    if steps is not None:
        check_number("first_seconds", steps["first_seconds"], 0, MAX_SECONDS)
        check_number(
            "step_samples", steps["step_samples"], 1, longest, whole=True
        )
    for name in ("thresholds", "low", "high", "merge_gap", "min_duration"):
        values = metadata[name]
        if values is None:
            continue
        if not isinstance(values, list) or len(values) != len(labels):
            raise ValueError(name)
        for value in values:
            is_seconds = name in ("merge_gap", "min_duration")
            check_number(name, value, 0, MAX_SECONDS if is_seconds else 1)


def check_text(name: str, value: Any) -> None:
    """Raises a ValueError unless a value is a line of printable text."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(name)
    if not value.isprintable():
        raise ValueError(f"{name}: {value[:80]!r}")


def check_number(
    name: str, value: Any, low: float, high: float, whole: bool = False
) -> None:
    """Raises a ValueError unless a value is a number in a range."""
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not low <= value <= high:
        raise ValueError(name)


def read_rules(metadata: Dict) -> Rules:
    """Reads the thresholds and the rules of events in the metadata."""
    thresholds = metadata["thresholds"]
    rules = default_rules(len(metadata["labels"])).replace(
        threshold=thresholds,
        merge_gap=metadata["merge_gap"],
        min_duration=metadata["min_duration"],
    )
    events = {
        name: np.array(metadata[name], np.float32)
        for name in ("low", "high")
        if metadata[name] is not None
    }
    is_learnt = thresholds is not None
    return dataclasses.replace(rules, **events, is_learnt=is_learnt)
