"""A linear classifier of clips on the tokens of an encoder.

It is learnt with scikit-learn, and added to the graph of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import TYPE_CHECKING, List, Set, Tuple

import numpy as np

if TYPE_CHECKING:
    import onnx

NEVER = -20.0  # logit of a class without positive clips

# What clip_features and ClipClassifier compute. Tokens that are all 0 lie after
# the end of a clip.
GRAPH = """
classifier (float[batch, steps, dim] tokens)
    => (float[batch, {n_classes}] probabilities)
<
    int64[1] time = {{1}}, int64[1] width = {{2}}, float zero = {{0}},
    float one = {{1}}
>
{{
    magnitude = Abs(tokens)
    largest = ReduceMax(magnitude, width)
    is_own = Greater(largest, zero)
    own = Cast<to = 1>(is_own)
    n_own = ReduceSum(own, time)
    count = Max(n_own, one)

    total = ReduceSum(tokens, time)
    mean = Div(total, count)

    difference = Sub(tokens, mean)
    own_difference = Mul(difference, own)
    square = Mul(own_difference, own_difference)
    sum_of_squares = ReduceSum(square, time)
    variance = Div(sum_of_squares, count)
    std = Sqrt(variance)

    lowest = ReduceMin(tokens, time)
    own_tokens = Where(is_own, tokens, lowest)
    highest = ReduceMax(own_tokens, time)

    rows = Concat<axis = 2>(mean, std, highest)
    features = Squeeze(rows, time)
    logits = Gemm<transB = 1>(features, weight, bias)
    probabilities = {activation}(logits)
}}
"""


def clip_features(tokens: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and maximum over time of tokens ``[B, N, D]``.

    Returns features ``[B, 3 D]``. Tokens that are all 0 do not count.
    """
    is_own = (tokens != 0).any(2, keepdims=True)
    count = np.maximum(is_own.sum(1, keepdims=True), 1).astype(np.float32)
    mean = tokens.sum(1, keepdims=True) / count
    square = ((tokens - mean) * is_own) ** 2
    std = np.sqrt(square.sum(1, keepdims=True) / count)
    lowest = tokens.min(1, keepdims=True)
    highest = np.where(is_own, tokens, lowest).max(1, keepdims=True)
    return np.concatenate([mean, std, highest], axis=2)[:, 0]


@dataclasses.dataclass(frozen=True)
class ClipClassifier:
    """A linear classifier of the features of clips.

    Arguments
    ---------
    weight, bias : numpy.ndarray
        ``[C, 3 D]`` and ``[C]``.
    single_label : bool
        Whether the probabilities of a clip sum to 1.
    """

    weight: np.ndarray
    bias: np.ndarray
    single_label: bool

    def probabilities(self, pieces: List[np.ndarray]) -> np.ndarray:
        """Probabilities of clips ``[clips, C]``, the maximum over their pieces.

        ``pieces`` are the features of those of each clip, ``[P, 3 D]``.
        """
        from scipy.special import expit, softmax

        logits = np.concatenate(pieces) @ self.weight.T + self.bias
        probs = softmax(logits, axis=1) if self.single_label else expit(logits)
        starts = np.cumsum([0, *map(len, pieces[:-1])])
        return np.maximum.reduceat(probs.astype(np.float32), starts)

    def add_to(self, graph: "onnx.GraphProto") -> None:
        """Makes the probabilities of a model those of this classifier.

        The classifier that the model has, and what only it needs, is removed.
        """
        from onnx import compose, numpy_helper, parser

        old = ("probabilities", "frame_probabilities")
        others = [x for x in graph.output if x.name not in old]
        del graph.output[:]
        graph.output.extend(others)
        remove_unused(graph)
        text = GRAPH.format(
            n_classes=len(self.bias),
            activation="Softmax" if self.single_label else "Sigmoid",
        )
        own = parser.parse_graph(text)
        for name, array in (("weight", self.weight), ("bias", self.bias)):
            array = array.astype(np.float32)
            own.initializer.append(numpy_helper.from_array(array, name))
        own = compose.add_prefix_graph(
            own, "clip_classifier.", rename_inputs=False, rename_outputs=False
        )
        graph.node.extend(own.node)
        graph.initializer.extend(own.initializer)
        graph.output.insert(0, own.output[0])


def learn_classifier(
    features: np.ndarray, targets: np.ndarray, single_label: bool
) -> ClipClassifier:
    """Learns a classifier of standardised features.

    Arguments
    ---------
    features, targets : numpy.ndarray
        Of clips, ``[clips, 3 D]``, and multi-hot labels ``[clips, C]``.
    single_label : bool
        Whether each clip has exactly one class.
    """
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler()
    inputs = scaler.fit_transform(features.astype(np.float64))
    n_classes = targets.shape[1]
    weight = np.zeros((n_classes, features.shape[1]))
    bias = np.full(n_classes, NEVER)
    with threadpool_limits(1):  # the steps are small: more threads wait
        if single_label:
            classes = targets.argmax(1)
            known = np.unique(classes)
            weight[known], bias[known] = fit_regression(inputs, classes)
        else:
            for c in np.flatnonzero(targets.any(0)):
                rows, biases = fit_regression(inputs, targets[:, c] > 0.5)
                weight[c], bias[c] = rows[-1], biases[-1]
    weight /= scaler.scale_
    bias -= weight @ scaler.mean_
    return ClipClassifier(weight, bias, single_label)


def fit_regression(
    inputs: np.ndarray, classes: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Weights ``[C, D]`` and biases of a logistic regression.

    The first of two classes has the logit 0. A single class has a high one.
    """
    from sklearn.linear_model import LogisticRegression

    if (classes == classes[0]).all():
        return np.zeros((1, inputs.shape[1])), np.array([-NEVER])
    regression = LogisticRegression(max_iter=1000).fit(inputs, classes)
    if len(regression.classes_) > 2:
        return regression.coef_, regression.intercept_
    weight = np.concatenate([np.zeros_like(regression.coef_), regression.coef_])
    return weight, np.array([0.0, regression.intercept_[0]])


def remove_unused(graph: "onnx.GraphProto") -> None:
    """Removes nodes and weights that no output of a graph depends on."""
    needed = {output.name for output in graph.output}
    for number in reversed(range(len(graph.node))):
        node = graph.node[number]
        if needed.isdisjoint(node.output):
            del graph.node[number]
        else:
            needed |= names_in(node)
    for values in (graph.initializer, graph.value_info):
        for number in reversed(range(len(values))):
            if values[number].name not in needed:
                del values[number]


def names_in(node: "onnx.NodeProto") -> Set[str]:
    """Names of the values that a node uses, in its branches and loops too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names.update(output.name for output in graph.output)
            for inner in graph.node:
                names |= names_in(inner)
    return names - {""}
