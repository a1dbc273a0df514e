"""A linear classifier of the features of spans.

It is learnt with scikit-learn, and added to the graph of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fftp_tag.model.info import THRESHOLD
from fftp_tag.model.spans import IS_HEARD, OUTPUT, GraphBuilder, remove_outputs

if TYPE_CHECKING:
    import onnx

NEVER = -20.0  # logit of a class without positive clips
# Temperature of a linear discriminant analysis without cross-validation: for
# small encoders, 12 to 22 were best. With a few clips that are all classified
# correctly, minimising the log-loss would choose the lowest temperature.
TEMPERATURE = 15.0
TEMPERATURES = np.geomspace(3, 100, 31)
# The share of held-out sounds that must reach a probability of 0.5: where the
# log-loss alone chose the temperature, 24 to 91 % of new sounds had no tag
REACH = 0.85


@dataclasses.dataclass(frozen=True)
class ClipClassifier:
    """A linear classifier of the features of spans.

    Arguments
    ---------
    weight, bias : numpy.ndarray
        ``[C, F]`` and ``[C]``, or of C + 1 classes if the last one is
        background.
    n_classes : int
        C.
    single_label : bool
        Whether a clip has one class: the probabilities of all classes and
        background sum to 1.
    first : int
        The index of its first feature; it has all that follow.
    """

    weight: np.ndarray
    bias: np.ndarray
    n_classes: int
    single_label: bool
    first: int = 0

    def soften(self, temperature: float) -> "ClipClassifier":
        """A copy whose logits are divided by a temperature."""
        return dataclasses.replace(
            self,
            weight=self.weight / temperature,
            bias=self.bias / temperature,
        )

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits of spans with features ``[N, F]``, including background."""
        return features[:, self.first :] @ self.weight.T + self.bias

    def probabilities(self, spans: list[np.ndarray]) -> np.ndarray:
        """Probabilities of clips ``[clips, C]``, the maximum over their spans.

        ``spans`` has the features ``[N, F]`` of the spans of each clip.
        """
        from scipy.special import expit, softmax

        logits = self.logits(np.concatenate(spans))
        probs = softmax(logits, axis=1) if self.single_label else expit(logits)
        probs = probs[:, : self.n_classes].astype(np.float32)
        starts = np.cumsum([0, *map(len, spans[:-1])])
        return np.maximum.reduceat(probs, starts)

    def add_to(self, graph: "onnx.GraphProto") -> None:
        """Adds probabilities to the graph of a span model."""
        from onnx import TensorProto, helper

        build = GraphBuilder(graph, "classifier")
        weight, bias = np.float32(self.weight.T), np.float32(self.bias)
        logits = build.Add(build.MatMul(OUTPUT, weight), bias)
        probs = build.Sigmoid(logits)
        if self.single_label:
            probs = build.Softmax(logits, axis=2)
        frames = build.Where(
            IS_HEARD,
            build.Slice(probs, 0, self.n_classes, 2),
            np.float32(0),
            name="frame_probabilities",
        )
        clips = build.ReduceMax(frames, 1, keepdims=0, name="probabilities")
        for name, dims in ((clips, ["batch"]), (frames, ["batch", "frames"])):
            shape: list[Any] = [*dims, self.n_classes]
            graph.output.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            )
        remove_outputs(graph, {OUTPUT})


def class_numbers(targets: np.ndarray) -> np.ndarray:
    """The class index of single-label clips; background has the index C."""
    return np.where(targets.any(1), targets.argmax(1), targets.shape[1])


def learn_classifier(
    features: np.ndarray,
    targets: np.ndarray,
    single_label: bool,
    first: int = 0,
    is_known: np.ndarray | None = None,
) -> ClipClassifier:
    """Learns a classifier of standardised features.

    For single-label clips, it is a linear discriminant analysis with a shrunk
    covariance, which is overconfident: ``soften`` it. For several labels per
    clip, it is a logistic regression per class.

    Arguments
    ---------
    features, targets : numpy.ndarray
        Features ``[clips, F]`` and multi-hot labels ``[clips, C]``.
    single_label : bool
        Whether each clip has one class, or none: background.
    first : int
        Index of the first feature to learn from.
    is_known : numpy.ndarray, optional
        Which labels of clips of several classes are known ``[clips, C]``, by
        default all; each regression is learnt from those alone.
    """
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler(copy=False)
    inputs = scaler.fit_transform(features[:, first:].astype(np.float64))
    n_classes = targets.shape[1]
    with threadpool_limits(1):  # the arrays are too small for more threads
        if single_label:
            classes = class_numbers(targets)
            n_rows = max(n_classes, classes.max() + 1)
            weight, bias = fit_discriminant(inputs, classes, n_rows)
        else:
            if is_known is None:
                is_known = np.ones(targets.shape, bool)
            weight, bias = fit_regressions(inputs, targets > 0.5, is_known)
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    return ClipClassifier(weight, bias, n_classes, single_label, first)


def fit_discriminant(
    inputs: np.ndarray, classes: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[C, F]`` and biases ``[C]`` of a discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    weight = np.zeros((n_classes, inputs.shape[1]))
    bias = np.full(n_classes, NEVER * TEMPERATURE)
    known = np.unique(classes)
    if len(known) == 1:
        bias[known] = 0.0
        return weight, bias
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    with warnings.catch_warnings():
        # A class of one clip adds nothing to the covariance
        warnings.filterwarnings("ignore", "Only one sample available")
        analysis.fit(inputs, classes)
    if len(known) == 2:  # scikit-learn has one row for the second class
        weight[known[1]] = analysis.coef_[0]
        bias[known] = 0.0, analysis.intercept_[0]
    else:
        weight[known] = analysis.coef_
        bias[known] = analysis.intercept_
    return weight, bias


def fit_regressions(
    inputs: np.ndarray, is_positive: np.ndarray, is_known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[C, F]`` and biases ``[C]`` of a logistic regression per class."""
    from sklearn.linear_model import LogisticRegression

    n_classes = is_positive.shape[1]
    weight = np.zeros((n_classes, inputs.shape[1]))
    bias = np.zeros(n_classes)
    for c, known in enumerate(is_known.T):
        column = is_positive[known, c]
        if column.all() or not column.any():
            bias[c] = -NEVER if column.all() else NEVER
            continue
        regression = LogisticRegression(max_iter=1000)
        regression.fit(inputs[known], column)
        weight[c], bias[c] = regression.coef_[0], regression.intercept_[0]
    return weight, bias


def find_temperature(
    logits: np.ndarray, classes: np.ndarray, n_classes: int
) -> float:
    """The temperature with the lowest log-loss on held-out clips.

    At least 85 % of the sounds must reach a probability of 0.5, right or wrong;
    otherwise, it is the lowest one.

    Arguments
    ---------
    logits, classes : numpy.ndarray
        Logits ``[clips, C]``, of C + 1 classes with background, and class
        indices ``[clips]``.
    n_classes : int
        C.
    """
    from scipy.special import log_softmax

    if not len(classes):
        return TEMPERATURE
    rows = np.arange(len(classes))
    is_sound = classes < n_classes
    best, lowest = TEMPERATURES[0], np.inf
    for temperature in TEMPERATURES:
        scores = log_softmax(logits / temperature, axis=1)
        highest = scores[is_sound, :n_classes].max(1)
        reach = (highest >= np.log(THRESHOLD)).sum()
        loss = -scores[rows, classes].mean()
        if loss < lowest and reach >= REACH * is_sound.sum():
            best, lowest = temperature, loss
    return float(best)
