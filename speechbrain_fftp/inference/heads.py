"""Linear classifiers on the tokens of a model, learned by scikit-learn.

The last linear layer of the model's classifier is replaced, or gets more rows:
what comes before it stays, so that learning and tagging see the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.nnet.tokens import own_tokens

SMALLEST = 1e-6  # probability of a class without positive clips
TINY = 1e-5  # deviation of an input that does not vary
ITERATIONS = 100


def layers_before(classifier):
    """What a classifier does before its last linear layer, as a module.

    Raises
    ------
    ValueError
        If it does not end with one.
    """
    if isinstance(classifier, FrameClassifier):
        classifier = classifier.layers
    if isinstance(classifier, (torch.nn.Identity, torch.nn.Linear)):
        return torch.nn.Identity()
    is_sequence = isinstance(classifier, torch.nn.Sequential)
    if not is_sequence or not isinstance(classifier[-1], torch.nn.Linear):
        raise ValueError(
            f"The classifier of this model, a {type(classifier).__name__}, "
            "does not end with a linear layer."
        )
    return classifier[:-1]


def with_linear(classifier, linear):
    """A classifier like another one, with another last linear layer.

    Arguments
    ---------
    classifier : torch.nn.Module
        Ends with a linear layer, or has no classes (Identity).
    linear : torch.nn.Linear
        Of the same input size.

    Returns
    -------
    torch.nn.Module
    """
    if isinstance(classifier, FrameClassifier):
        new = FrameClassifier(
            classifier.embed_dim,
            linear.out_features,
            pooling=classifier.pooling,
            mean_seconds=classifier.mean_seconds,
            has_norm=classifier.has_norm,
        )
        new.layers = torch.nn.Sequential(*classifier.layers[:-1], linear)
        return new.eval()
    if isinstance(classifier, torch.nn.Sequential):
        return torch.nn.Sequential(*classifier[:-1], linear).eval()
    return linear


def add_classes(classifier, other):
    """A classifier with its own classes, then those of another one.

    Raises
    ------
    ValueError
        If the classifier has no classes.
    """
    if isinstance(classifier, torch.nn.Identity):
        raise ValueError("The model has no classes that could be kept.")
    first, second = last_linear(classifier), last_linear(other)
    bias = first.bias
    if bias is None:
        bias = torch.zeros(first.out_features)
    linear = make_linear(
        torch.cat([first.weight, second.weight]).detach(),
        torch.cat([bias, second.bias]).detach(),
    )
    return with_linear(classifier, linear)


def fit_time_steps(classifier, tokens, targets, regularization):
    """Learns a classifier of time steps from the labels of clips.

    Minimises the cross-entropy of the pooled probabilities, as training does,
    and a penalty of the weights of standardised inputs. It begins with the
    classifier's own weights, for which those of ``fit_linear`` will do.

    Arguments
    ---------
    classifier : FrameClassifier
    tokens : list of numpy.ndarray
        Those of each clip, ``[N, D]``.
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    regularization : float
        As of ``fit_linear``.

    Returns
    -------
    FrameClassifier
    """
    tokens = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(clip) for clip in tokens], batch_first=True
    )
    targets = torch.from_numpy(targets)
    own = own_tokens(tokens)
    valid = own.unsqueeze(2).float()
    linear = last_linear(classifier)
    with torch.no_grad():
        inputs = layers_before(classifier)(tokens)
        mean = inputs[own].mean(0)
        scale = inputs[own].std(0).clamp(min=TINY)
        inputs = (inputs - mean) / scale
        weight = linear.weight * scale
        bias = linear.bias + linear.weight @ mean
    weight.requires_grad_()
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def compute_loss():
        """The loss, with its gradient."""
        optimizer.zero_grad()
        frames = torch.nn.functional.linear(inputs, weight, bias).sigmoid()
        probs = classifier.pooling(frames, valid)
        loss = torch.nn.functional.binary_cross_entropy(
            probs.clamp(SMALLEST, 1 - SMALLEST), targets, reduction="sum"
        )
        loss = loss + weight.square().sum() / (2 * regularization)
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    weight = weight.detach() / scale
    return with_linear(
        classifier, make_linear(weight, bias.detach() - weight @ mean)
    )


def last_linear(classifier):
    """The last linear layer of a classifier."""
    layers = [x for x in classifier.modules() if type(x) is torch.nn.Linear]
    return layers[-1]


def make_linear(weight, bias):
    """A linear layer with a weight ``[C, D]`` and a bias ``[C]``."""
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(torch.as_tensor(weight))
        linear.bias.copy_(torch.as_tensor(bias))
    return linear.eval()


def fit_linear(features, targets, regularization, single_label=False):
    """Learns a logistic regression as a linear layer.

    Arguments
    ---------
    features, targets : numpy.ndarray
        ``[N, D]``, and multi-hot labels ``[N, C]``.
    regularization : float
        scikit-learn's ``C`` of standardised features: less is stronger.
    single_label : bool
        Whether one softmax is learned, not one class against the rest.

    Returns
    -------
    torch.nn.Linear
        From features to logits.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    scaled = scaler.transform(features)
    n_classes = targets.shape[1]
    weight = np.zeros((n_classes, features.shape[1]))
    bias = np.full(n_classes, np.log(SMALLEST))
    regression = LogisticRegression(C=regularization, max_iter=1000)
    if single_label:
        regression.fit(scaled, targets.argmax(1))
        found = regression.classes_
        if len(found) == 2:  # scikit-learn gives the logit of the second one
            found = found[1:]
            bias[regression.classes_[0]] = 0.0
        weight[found] = regression.coef_
        bias[found] = regression.intercept_
    else:
        for c in np.flatnonzero(targets.any(0)):
            if targets[:, c].all():
                bias[c] = -np.log(SMALLEST)
                continue
            regression.fit(scaled, targets[:, c])
            weight[c] = regression.coef_[0]
            bias[c] = regression.intercept_[0]
    weight /= scaler.scale_
    return make_linear(weight, bias - weight @ scaler.mean_)
