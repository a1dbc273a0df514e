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


def slow_pooling(name, probs):
    """Probabilities ``[C]`` of a clip from those of its time steps."""
    if name == "max":
        return torch.stack([p.max() for p in probs.T])
    return (probs * probs).sum(0) / probs.sum(0)


@pytest.mark.parametrize("name", POOLINGS)
def test_clip_is_pooled_from_its_own_steps(name):
    classifier, tokens = make_classifier(name), torch.randn(3, 9, D)
    tokens.requires_grad_()
    counts = torch.tensor([9, 4, 1])
    valid = torch.arange(9) < counts[:, None]
    found, frame_logits = classifier(tokens, valid)
    probs = frame_logits.sigmoid()
    for clip, steps, count in zip(found, probs, counts):
        expected = slow_pooling(name, steps[:count])
        torch.testing.assert_close(clip[0].sigmoid(), expected)
    (grad,) = torch.autograd.grad(found.sum(), tokens)
    assert grad[1, :4].any() and not grad[~valid].any()
    expected = slow_pooling(name, probs[0])
    torch.testing.assert_close(classifier(tokens)[0][0, 0].sigmoid(), expected)


def test_logits_are_in_float32_under_autocast():
    classifier, tokens = make_classifier("max"), torch.randn(2, 9, D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = classifier(tokens.bfloat16())
    torch.testing.assert_close(found, classifier(tokens.bfloat16().float()))
