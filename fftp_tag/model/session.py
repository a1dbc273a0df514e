"""Runs a model.onnx, which maps waveforms to probabilities and embeddings.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import difflib
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fftp_tag.data.audioset import read_kinds
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.model.checksum import GRAPH, check_whole, has_checksum
from fftp_tag.model.info import THRESHOLD, ModelInfo, default_rules
from fftp_tag.model.runtime import first_line, runtime_errors, start_session
from fftp_tag.model.state import NEXT_STATE, STATE, add_state

if TYPE_CHECKING:
    import onnxruntime

NO_CLASSES = (
    "{} has no classes, only embeddings: learn your own classes with fftp-tag "
    "learn."
)


def not_ours(path: PathLike, reason: str) -> InputError:
    """The error for a file that is no model of this package."""
    from fftp_tag.model.foreign.forms import accepted

    return InputError(
        f"{path} is not a model of this package, or was damaged ({reason}): "
        f"give {accepted()}"
    )


class Model:
    """A model.onnx that training or ``fftp-tag import`` has written.

    A pickle holds its path, not its weights: another process loads the file
    once, and raises an InputError if it is another model by then.

    Arguments
    ---------
    path : str
        The file.
    threads : int, optional
        Number of CPU threads; by default, ONNX Runtime chooses it.

    Attributes
    ----------
    info : ModelInfo
        The metadata of the file.
    labels : list of str
        Names of the classes, of ``info`` or selected.
    sample_rate, max_samples, min_samples, frame_samples
        See ``ModelInfo``.
    is_frame_level : bool
        Whether predictions are frame-level: with ``span_samples`` and
        ``hop_samples``, see ``FrameLevel``.
    rules : Rules
        The learnt rules, or the default ones.
    digest : str
        A checksum of the file and its weights: what the model has computed is
        right while it stays the same.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    InputError
        If the file is damaged or not such a model.
    """

    def __init__(
        self,
        path: PathLike,
        threads: int | None = None,
    ):
        self.path = os.fspath(path)
        self.threads = threads
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path}: there is no such file.")
        if not has_checksum(path):
            raise not_ours(path, "it has no checksum")
        check_whole(path)  # before ONNX Runtime parses it
        self.session = start_session(self.path, threads)
        self.state: np.ndarray | None = None  # only of ``continued``
        try:
            texts = self.session.get_modelmeta().custom_metadata_map
            self.info = ModelInfo.from_metadata(texts)
        except ValueError as error:  # also text that is not UTF-8
            raise not_ours(path, str(error)) from error
        self.digest = texts[GRAPH]
        self.labels = self.info.labels
        # Of a label, the highest of some outputs: their indices, and where those
        # of each label begin
        self.classes = self.starts = np.arange(len(self.labels))
        self.sample_rate = self.info.sample_rate
        self.max_samples = self.info.max_samples
        self.min_samples = self.info.min_samples
        self.frame_samples = self.info.frame_samples
        self.is_frame_level = self.info.frame_level is not None
        if self.info.frame_level is not None:
            self.span_samples = self.info.frame_level.span_samples
            self.hop_samples = self.info.frame_level.hop_samples
        self.rules = self.info.rules or default_rules(len(self.labels))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the session."""
        state = {**vars(self), "path": os.path.abspath(self.path)}
        del state["session"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Loads the file, unless the process has loaded it for a pickle."""
        vars(self).update(state)
        load = load_same if self.state is None else load_with_state
        self.session = load(self.path, self.threads, self.digest)

    def continued(self) -> "Model":
        """The same model for one stream: each run continues the last one.

        See ``fftp_tag.model.state`` for the samples of a run. It must have a
        ``look_ahead``, and gets one clip at a time.
        """
        continued = object.__new__(Model)
        vars(continued).update(vars(self))
        continued.session = load_with_state(
            os.path.abspath(self.path), self.threads, self.digest
        )
        continued.state = zero_state(continued.session, 1)[STATE]
        return continued

    def select(
        self,
        labels: Iterable[str] | None,
        not_labels: Iterable[str],
        thresholds: Mapping[str, float],
    ) -> "Model":
        """The same model with some of its classes; see ``AudioTagger.select``."""
        wanted = set(self.labels if labels is None else labels)
        unwanted = set(not_labels)
        for label in sorted(wanted | unwanted | set(thresholds)):
            check_label(label, self.labels)
        indices = [
            c for c, x in enumerate(self.labels) if x in wanted - unwanted
        ]
        if not indices:
            raise InputError("No class is left: select others.")
        kinds = {} if labels is None else read_kinds()
        parts = np.split(self.classes, self.starts[1:])
        outputs = dict(zip(self.labels, parts, strict=True))
        columns = []
        for c in indices:
            label = self.labels[c]
            meant = {label, *kinds.get(label, ())} - unwanted
            columns.append(
                np.concatenate([outputs[x] for x in self.labels if x in meant])
            )
        rules = self.rules
        if thresholds:
            is_own = np.isin(self.labels, list(thresholds))
            values = [thresholds.get(x, THRESHOLD) for x in self.labels]
            own = rules.replace(np.array(values))
            rules = dataclasses.replace(
                rules,
                threshold=np.where(is_own, own.threshold, rules.threshold),
                low=np.where(is_own, own.low, rules.low),
                high=np.where(is_own, own.high, rules.high),
                is_learnt=True,
            )
        selected = object.__new__(Model)  # with the same session
        vars(selected).update(vars(self))
        selected.labels = [self.labels[c] for c in indices]
        selected.rules = rules.select(np.array(indices))
        selected.classes = np.concatenate(columns)
        selected.starts = np.cumsum([0, *map(len, columns[:-1])])
        return selected

    def run(self, outputs: Sequence[str], wavs: np.ndarray) -> list[np.ndarray]:
        """Computes outputs, by name, of waveforms ``[B, S]`` of equal length.

        Raises
        ------
        InputError
            If the model fails, or returns values that are not finite, no
            probabilities, or do not match its metadata.
        """
        inputs = {
            "wavs": np.asarray(wavs, np.float32),
            **zero_state(self.session, len(wavs)),
        }
        names = [*outputs]
        if self.state is not None:
            inputs[STATE] = self.state
            names.append(NEXT_STATE)
        try:
            found = [
                np.asarray(array, np.float32)
                for array in self.session.run(names, inputs)
            ]
        except runtime_errors() as error:
            raise InputError(
                f"{self.path} cannot run, train or import it again: "
                f"{first_line(error)}"
            ) from error
        if self.state is not None:
            self.state = found.pop()
        n_clips, n_samples = wavs.shape
        n_classes = len(self.info.labels)
        shapes: dict[str, tuple] = {"probabilities": (n_clips, n_classes)}
        if self.is_frame_level:
            n_predictions = len(self.info.prediction_starts(n_samples))
            shapes["frame_probabilities"] = n_clips, n_predictions, n_classes
        for name, array in zip(outputs, found, strict=False):
            if array.shape != shapes.get(name, array.shape):
                raise InputError(
                    f"{self.path} returns {name} of the shape {array.shape} "
                    f"instead of {shapes[name]}: train or import it again."
                )
            if (
                "probabilities" in name
                and np.abs(array - 0.5).max(initial=0) > 0.501
            ):
                raise InputError(
                    f"{self.path} returns probabilities that are not in 0..1: "
                    "train or import it again."
                )
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.path} returns NaN: its weights are damaged, train "
                    "or import it again."
                )
        return [
            self.of_labels(array) if "probabilities" in name else array
            for name, array in zip(outputs, found, strict=False)
        ]

    def of_labels(self, probs: np.ndarray) -> np.ndarray:
        """Probabilities of the labels, by those ``[..., X]`` of all outputs."""
        if len(self.starts) == len(self.classes) == probs.shape[-1]:
            return probs
        return np.maximum.reduceat(probs[..., self.classes], self.starts, -1)

    def check(self) -> None:
        """Runs the whole model once; see ``run`` for what is raised."""
        outputs = [output.name for output in self.session.get_outputs()]
        self.run(outputs, np.full((1, self.max_samples), 0.1))

    def probabilities(self, wavs: np.ndarray) -> np.ndarray:
        """Probabilities of the clips, ``[B, C]``."""
        if not self.labels:
            raise InputError(NO_CLASSES.format(self.path))
        return self.run(["probabilities"], wavs)[0]

    def embeddings(self, wavs: np.ndarray) -> np.ndarray:
        """Embeddings of the clips, ``[B, D]``."""
        return self.run(["embeddings"], wavs)[0]


def check_label(label: str, labels: Sequence[str]) -> None:
    """Raises an InputError if a label is none of a model's."""
    if label in labels:
        return
    by_name = {name.lower(): name for name in labels}
    near = difflib.get_close_matches(label.lower(), by_name, cutoff=0)
    raise InputError(
        f"The model has no class {label!r}. The nearest names are "
        f"{', '.join(repr(by_name[name]) for name in near)}."
    )


@functools.lru_cache(maxsize=4)
def load_same(
    path: str, threads: int | None, digest: str
) -> "onnxruntime.InferenceSession":
    """Loads the model of a pickle, once in a process.

    Raises
    ------
    InputError
        If the file holds another model.
    """
    model = Model(path, threads)
    if model.digest != digest:
        raise InputError(f"{path} is another model than when it was loaded.")
    return model.session


@functools.lru_cache(maxsize=4)
def load_with_state(
    path: str, threads: int | None, digest: str
) -> "onnxruntime.InferenceSession":
    """Loads a model with a state, once in a process, as ``load_same``."""
    import onnx

    model = onnx.load(path)
    texts = {x.key: x.value for x in model.metadata_props}
    if texts[GRAPH] != digest:
        raise InputError(f"{path} is another model than when it was loaded.")
    frame_level = ModelInfo.from_metadata(texts).frame_level
    assert frame_level is not None and frame_level.look_ahead is not None
    if STATE not in {x.name for x in model.graph.input}:
        add_state(model.graph, frame_level.look_ahead)
    return start_session(model.SerializeToString(), threads)


def zero_state(
    session: "onnxruntime.InferenceSession", n_clips: int
) -> dict[str, np.ndarray]:
    """The state before clips, of a graph that has one, as an input."""
    return {
        x.name: np.zeros((n_clips, *x.shape[1:]), np.float32)
        for x in session.get_inputs()
        if x.name == STATE
    }
