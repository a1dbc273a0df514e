"""Tests of frame-level predictions.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier


def test_clip_is_pooled_from_its_own_predictions():
    """Also under autocast, in float32."""
    torch.manual_seed(0)
    classifier = FrameClassifier(24, 5)
    tokens, counts = torch.randn(3, 9, 24).bfloat16(), (9, 4, 1)
    valid = torch.arange(9) < torch.tensor(counts)[:, None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, frame_logits = classifier(tokens, valid)
    expected = torch.stack([classifier(x.float())[1] for x in tokens[:, None]])
    torch.testing.assert_close(frame_logits, expected[:, 0])
    for clip, logits, count in zip(found, frame_logits, counts):
        probs = logits[:count].sigmoid()
        pooled = probs.square().sum(0) / probs.sum(0)
        torch.testing.assert_close(clip[0].sigmoid(), pooled)
    torch.testing.assert_close(classifier(tokens.float())[0][0], found[0])


def test_logits_of_certain_predictions_are_finite():
    classifier = FrameClassifier(24, 2)
    classifier.layers[1].bias.data = torch.tensor([1000.0, -1000.0])
    logits, _ = classifier(torch.randn(1, 9, 24))
    assert logits.isfinite().all()
    assert logits[0, 0, 0] > 10 and logits[0, 0, 1] < -10
