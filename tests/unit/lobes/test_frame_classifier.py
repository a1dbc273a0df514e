"""Tests of the classifier of time steps.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes import frame_classifier as heads
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

D, C = 24, 5
POOLINGS = {
    "linear softmax": heads.LinearSoftmaxPooling,
    "max": heads.MaxPooling,
    "mean": heads.MeanPooling,
    "attention": lambda: heads.AttentionPooling(D, C),
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
    weights = {"linear softmax": probs, "mean": torch.ones_like(probs)}
    if name == "attention":
        attention = classifier.pooling.attention
        weights[name] = (tokens @ attention.weight.T + attention.bias).exp()
    return (probs * weights[name]).sum(0) / weights[name].sum(0)


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


def test_steps_are_classified_one_by_one():
    classifier, tokens = make_classifier("max"), torch.randn(2, 7, D)
    norm, linear = classifier.layers
    for i in range(7):
        step = tokens[:, i]
        step = step - step.mean(1, keepdim=True)
        step = step / step.square().mean(1, keepdim=True).add(norm.eps).sqrt()
        expected = (step * norm.weight + norm.bias) @ linear.weight.T
        found = classifier.frame_logits(tokens)[:, i] - linear.bias
        torch.testing.assert_close(found, expected)


def make_encoder(kind):
    embedding = FFTPEmbedding(16, D, 10, 4)
    if kind == "square":
        embedding = SquarePatchEmbedding(16, D, 8, 5)
    sizes = {"n_mels": 16, "embed_dim": D, "depth": 1, "max_frames": 60}
    sizes.update(embedding=embedding, pooling="tokens")
    if kind == "AuM":
        return AuM(**sizes).eval()
    if kind == "ConvNeXt1d":
        return ConvNeXt1d(**sizes).eval()
    return AST(num_heads=3, **sizes).eval()


@pytest.mark.parametrize(
    "kind, name",
    [
        ("AST", "linear softmax"),
        ("square", "max"),
        ("AuM", "attention"),
        ("ConvNeXt1d", "mean"),
    ],
)
@torch.no_grad()
def test_neither_clips_nor_steps_depend_on_padding(kind, name):
    encoder, classifier = make_encoder(kind), make_classifier(name)
    clips = [torch.randn(1, frames, 16) for frames in (60, 31, 4)]
    feats, lens = torch.full((3, 80, 16), torch.nan), torch.zeros(3)
    for i, clip in enumerate(clips):
        feats[i, : clip.shape[1]] = clip
        lens[i] = clip.shape[1] / 80
    tokens = encoder(feats, lens)
    found, steps = classifier(tokens), classifier.frame_logits(tokens)
    for i, clip in enumerate(clips):
        alone = encoder(clip)
        expected = classifier.frame_logits(alone)[0]
        own = steps[i, : len(expected)]
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=0)
        expected = classifier(alone)[0]
        torch.testing.assert_close(found[i], expected, atol=1e-4, rtol=0)


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


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_averages_have_plausible_lengths(seconds):
    with pytest.raises(ValueError, match="0..10"):
        heads.FrameClassifier(24, 3, mean_seconds=seconds)
