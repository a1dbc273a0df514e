"""Tests of frame-level predictions.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes import frame_classifier as heads


def linear_softmax(probs):
    return (probs * probs).sum(0) / probs.sum(0)


@pytest.mark.parametrize(
    "pooling, slow_pooling",
    [
        (heads.LinearSoftmaxPooling(), linear_softmax),
        (heads.MaxPooling(), lambda probs: probs.max(0).values),
    ],
)
def test_clip_is_pooled_from_its_own_steps(pooling, slow_pooling):
    torch.manual_seed(0)
    classifier = heads.FrameClassifier(24, 5, pooling)
    tokens, counts = torch.randn(3, 9, 24), (9, 4, 1)
    valid = torch.arange(9) < torch.tensor(counts)[:, None]
    found, frame_logits = classifier(tokens, valid)
    for clip, steps, count in zip(found, frame_logits.sigmoid(), counts):
        expected = slow_pooling(steps[:count])
        torch.testing.assert_close(clip[0].sigmoid(), expected)
    torch.testing.assert_close(classifier(tokens)[0][0], found[0])


def test_logits_are_in_float32_under_autocast():
    classifier, tokens = heads.FrameClassifier(24, 5), torch.randn(2, 9, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = classifier(tokens.bfloat16())
    torch.testing.assert_close(found, classifier(tokens.bfloat16().float()))
