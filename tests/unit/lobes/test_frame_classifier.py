"""Tests of the classifier of time steps.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes import frame_classifier as heads

D, C = 24, 5
POOLINGS = {
    "linear softmax": heads.LinearSoftmaxPooling,
    "max": heads.MaxPooling,
}


def make_classifier(name):
    torch.manual_seed(0)
    classifier = heads.FrameClassifier(D, C, POOLINGS[name]())
    for parameter in classifier.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return classifier.eval()


def slow_pooling(name, classifier, tokens):
    """Probabilities ``[C]`` of a clip ``[N, D]`` without padding."""
    probs = classifier.frame_logits(tokens).sigmoid()
    if name == "max":
        return torch.stack([p.max() for p in probs.T])
    return (probs * probs).sum(0) / probs.sum(0)


@pytest.mark.parametrize("name", POOLINGS)
def test_clip_is_pooled_from_its_own_steps(name):
    classifier, tokens = make_classifier(name), torch.randn(3, 9, D)
    counts = [9, 4, 1]
    for row, count in zip(tokens, counts):
        row[count:] = 0.0
    with torch.no_grad():
        found = classifier(tokens)[:, 0].sigmoid()
        for probs, clip, count in zip(found, tokens, counts):
            expected = slow_pooling(name, classifier, clip[:count])
            torch.testing.assert_close(probs, expected)


@pytest.mark.parametrize("name", POOLINGS)
def test_gradients(name):
    classifier = make_classifier(name).double()
    classifier.frame_logits = lambda x: classifier.layers(x)  # in float64
    tokens = torch.randn(2, 4, D, dtype=torch.double)
    tokens[1, 2:] = 0.0
    tokens.requires_grad_()
    loss = classifier(tokens).sum()
    (grad,) = torch.autograd.grad(loss, tokens)
    assert grad[0].any() and not grad[1, 2:].any()
    step = 1e-3 * torch.randn_like(tokens) * (tokens != 0)
    with torch.no_grad():
        change = classifier(tokens + step).sum()
        change -= classifier(tokens - step).sum()
    expected = 2 * (grad * step).sum()
    torch.testing.assert_close(change, expected, rtol=1e-3, atol=1e-9)
