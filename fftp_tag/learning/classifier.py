"""A classifier of the features of spans: linear, and by likeness to clips.

It is learnt with scikit-learn, and added to the graph of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fftp_tag.learning.likeness import Likeness, Space
from fftp_tag.model.graphs import GraphBuilder, add_output
from fftp_tag.model.spans import IS_HEARD, OUTPUT, remove_outputs

if TYPE_CHECKING:
    import onnx

NEVER = -20.0  # logit of a class without positive clips
# Temperature without cross-validation: with five clips of each of ten classes, on
# the starter, 8 to 10 were best
TEMPERATURE = 9.0
# Of the logarithm of a temperature, and of an offset
BOUNDS = ((np.log(3.0), np.log(300.0)), (-10.0, 10.0))


@dataclasses.dataclass(frozen=True)
class ClipClassifier:
    """A classifier of the features of spans.

    Arguments
    ---------
    weight, bias : numpy.ndarray
        ``[C + K, F]``, 0 of features that are not learnt from, and
        ``[C + K]``.
    n_classes : int
        C; if a clip has one class or none, K rows of what has none follow:
        background, and kinds of other sounds.
    single_label : bool
        Whether a clip has one class or none: the probabilities of all rows sum
        to 1.
    likeness : Likeness, optional
        Is added to the logits of the C classes.
    identity : ClipClassifier, optional
        Tells the C classes apart, where this one tells whether it is one of
        them: probabilities are the products of both.
    temperature, offset : float
        What it is calibrated with.
    """

    weight: np.ndarray
    bias: np.ndarray
    n_classes: int
    single_label: bool
    likeness: Likeness | None = None
    identity: "ClipClassifier | None" = None
    temperature: float = 1.0
    offset: float = 0.0

    def calibrate(
        self, temperature: float, offset: float = 0.0
    ) -> "ClipClassifier":
        """A copy whose logits are divided by a temperature; then, an offset is
        added to those of what has no class.
        """
        bias = self.bias / temperature
        bias[self.n_classes :] += offset
        likeness = self.likeness
        if likeness is not None:
            likeness = dataclasses.replace(
                likeness, weight=likeness.weight / temperature
            )
        return dataclasses.replace(
            self,
            weight=self.weight / temperature,
            bias=bias,
            likeness=likeness,
            temperature=temperature,
            offset=offset,
        )

    def guess_calibration(self) -> "ClipClassifier":
        """A copy that is calibrated without held-out clips.

        It has no likeness, whose offset cannot be guessed.
        """
        linear = dataclasses.replace(self, likeness=None)
        return linear.calibrate(TEMPERATURE)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits ``[N, C + K]`` of spans with features ``[N, F]``."""
        logits = features @ self.weight.T + self.bias
        if self.likeness is not None:
            logits[:, : self.n_classes] += self.likeness.of(features)
        return logits

    def probabilities(self, spans: list[np.ndarray]) -> np.ndarray:
        """Probabilities of clips ``[clips, C]``, the maximum over their spans.

        ``spans`` has the features ``[N, F]`` of the spans of each clip.
        """
        from scipy.special import expit, softmax

        features = np.concatenate(spans)
        logits = self.logits(features)
        probs = softmax(logits, axis=1) if self.single_label else expit(logits)
        probs = probs[:, : self.n_classes]
        if self.identity is not None:
            logits = self.identity.logits(features)
            probs = probs.sum(1, keepdims=True) * softmax(logits, axis=1)
        starts = np.cumsum([0, *map(len, spans[:-1])])
        return np.maximum.reduceat(probs.astype(np.float32), starts)

    def add_to(self, graph: "onnx.GraphProto") -> None:
        """Adds probabilities to the graph of a span model."""
        build = GraphBuilder(graph, "classifier")

        def add_logits(classifier: "ClipClassifier") -> str:
            """The logits of spans."""
            weight, bias = classifier.weight.T, classifier.bias
            products = build.MatMul(OUTPUT, np.float32(weight))
            logits = build.Add(products, np.float32(bias))
            if classifier.likeness is None:
                return logits
            likeness = classifier.likeness.add_to(build)
            n_others = len(bias) - classifier.n_classes
            none = np.array([0, 0, 0, 0, 0, n_others])
            return build.Add(logits, build.Pad(likeness, none))

        logits = add_logits(self)
        if self.single_label:
            probs = build.Softmax(logits, axis=2)
        else:
            probs = build.Sigmoid(logits)
        probs = build.Slice(probs, 0, self.n_classes, 2)
        if self.identity is not None:
            is_one = build.ReduceSum(probs, np.array([2]), keepdims=1)
            which = build.Softmax(add_logits(self.identity), axis=2)
            probs = build.Mul(is_one, which)
        frames = build.Where(
            IS_HEARD, probs, np.float32(0), name="frame_probabilities"
        )
        clips = build.ReduceMax(frames, 1, keepdims=0, name="probabilities")
        add_output(graph, clips, "batch", self.n_classes)
        add_output(graph, frames, "batch", "frames", self.n_classes)
        remove_outputs(graph, {OUTPUT})


def learn_classes(
    features: np.ndarray,
    classes: np.ndarray,
    n_classes: int,
    n_others: int,
    space: Space,
) -> ClipClassifier:
    """Learns to tell the classes of clips that have one each.

    This is a linear discriminant analysis with a shrunk covariance; it is
    overconfident: ``calibrate`` it. scikit-learn's, which it equals, computes a
    covariance of each class, and takes ten times as long for a thousand features
    and the bank's kinds.

    Arguments
    ---------
    features, classes : numpy.ndarray
        Features ``[clips, F]`` and class indices ``[clips]``, from C on of what
        has no class.
    n_classes, n_others : int
        C and K, see ``ClipClassifier``.
    space : Space
        Where the covariance of these clips is that of noise.
    """
    known, numbers, counts = np.unique(
        classes, return_inverse=True, return_counts=True
    )
    means = np.stack([
        features[numbers == n].mean(0, dtype=np.float64)
        for n in range(len(known))
    ])  # fmt: skip
    vectors = space.vectors(means)
    rows = vectors @ space.projection.T
    constants = np.log(counts / len(classes)) - (vectors**2).sum(1) / 2
    weight = np.zeros((n_classes + n_others, features.shape[1]))
    bias = np.full(len(weight), NEVER * TEMPERATURE)
    weight[np.ix_(known, space.columns)] = rows
    bias[known] = constants - rows @ space.mean
    return ClipClassifier(weight, bias, n_classes, True)


def learn_labels(
    features: np.ndarray,
    targets: np.ndarray,
    is_known: np.ndarray,
    weights: np.ndarray,
    columns: np.ndarray,
) -> ClipClassifier:
    """Learns which labels clips have: a logistic regression for each.

    Arguments
    ---------
    features, targets : numpy.ndarray
        Features ``[clips, F]`` and multi-hot labels ``[clips, C]``.
    is_known : numpy.ndarray
        Which labels of clips are known ``[clips, C]``; each regression is
        learnt from those alone.
    weights : numpy.ndarray
        How much each clip counts, ``[clips]``.
    columns : numpy.ndarray
        Indices of the features to learn from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler(copy=False)
    inputs = scaler.fit_transform(features[:, columns].astype(np.float64))
    n_classes = targets.shape[1]
    weight = np.zeros((n_classes, features.shape[1]))
    bias = np.zeros(n_classes)
    for c, known in enumerate(is_known.T):
        column = targets[known, c] > 0.5
        if column.all() or not column.any():
            bias[c] = -NEVER if column.all() else NEVER
            continue
        regression = LogisticRegression(max_iter=1000)
        with threadpool_limits(1):  # the arrays are too small for more threads
            regression.fit(inputs[known], column, weights[known])
        row = regression.coef_[0] / scaler.scale_
        weight[c, columns] = row
        bias[c] = regression.intercept_[0] - row @ scaler.mean_
    return ClipClassifier(weight, bias, n_classes, False)


def learn_identity(classifiers: list[ClipClassifier]) -> ClipClassifier:
    """Tells classes apart, by the mean logits of classifiers of more classes."""
    n_classes = classifiers[0].n_classes
    return ClipClassifier(
        weight=np.mean([x.weight for x in classifiers], 0)[:n_classes],
        bias=np.mean([x.bias for x in classifiers], 0)[:n_classes],
        n_classes=n_classes,
        single_label=True,
    )


def find_calibration(
    logits: np.ndarray,
    classes: np.ndarray,
    weights: np.ndarray,
    n_classes: int,
) -> tuple[float, float]:
    """The temperature and the offset with the lowest log-loss on held-out clips.

    What has no class has one probability, that of background and all kinds of
    other sounds.

    Arguments
    ---------
    logits, classes, weights : numpy.ndarray
        Logits ``[clips, C + K]``, see ``ClipClassifier``; class indices
        ``[clips]``, from C on of what has no class; and how much clips count,
        ``[clips]``.
    n_classes : int
        C.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    rows, columns = np.arange(len(classes)), np.minimum(classes, n_classes)

    def log_loss(values: np.ndarray) -> float:
        """The mean log-loss of the logarithm of a temperature and an offset."""
        scores = logits / np.exp(values[0])
        if scores.shape[1] > n_classes:
            none = logsumexp(scores[:, n_classes:], axis=1) + values[1]
            scores = np.column_stack([scores[:, :n_classes], none])
        losses = logsumexp(scores, axis=1) - scores[rows, columns]
        return float(np.average(losses, weights=weights))

    first = [np.log(TEMPERATURE), 0.0]
    found = minimize(log_loss, first, method="L-BFGS-B", bounds=BOUNDS)
    return float(np.exp(found.x[0])), float(found.x[1])
