"""Tests of what is inside ``learn``: its classifier, figures and copies.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import onnx
import pytest
import soundfile as sf
import tiny_onnx
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_onnx import RATE, sounds

from fftp_tag import AudioTagger
from fftp_tag.data.clips import Clip
from fftp_tag.learning import features as learning
from fftp_tag.learning.classifier import (
    find_calibration,
    learn_classes,
    learn_identity,
    learn_labels,
)
from fftp_tag.learning.clips import ClipReader
from fftp_tag.learning.copies import augment, place_between, place_over
from fftp_tag.learning.features import Sample, mean_inside
from fftp_tag.learning.fit import Answers
from fftp_tag.learning.likeness import SHRINKAGE, find_space, learn_likeness
from fftp_tag.learning.validate import Validation, score_answers
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model
from fftp_tag.model.spans import HOPS, OUTPUT, make_span_model


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A model with features of spans of half a second."""
    folder = tmp_path_factory.mktemp("encoder")
    pitches = {f"{pitch} Hz": float(pitch) for pitch in range(20, 440, 6)}
    model = Model(tiny_onnx.write_model(folder / "a.onnx", pitches=pitches))
    return make_span_model(model, folder / "encoder.onnx", 0.5)


@pytest.mark.parametrize(
    "n_classes, single_label, has_background",
    [(2, True, False), (3, True, True), (3, False, False)],
)
def test_the_learnt_graph_is_scikit_learns(
    tmp_path, encoder, n_classes, single_label, has_background
):
    draw = np.random.default_rng(0)
    classes = draw.integers(n_classes + has_background, size=20)
    wavs = np.stack([sounds(1.0, seed) for seed in range(20)])
    spans = encoder.run([OUTPUT], wavs)[0]
    features = spans[:, 3]
    targets = np.eye(n_classes + 1)[classes][:, :n_classes]
    model = LinearDiscriminantAnalysis("lsqr", shrinkage=SHRINKAGE)
    if not single_label:
        model = OneVsRestClassifier(LogisticRegression())
    pipeline = make_pipeline(StandardScaler(), model)
    columns = np.flatnonzero(draw.random(features.shape[1]) < 0.5)
    pipeline.fit(features[:, columns], classes if single_label else targets)
    expected = pipeline.predict_proba(features[:, columns])[:, :n_classes]
    if single_label:
        n_others = int(has_background)
        space = find_space(features, classes, columns)
        classifier = learn_classes(
            features, classes, n_classes, n_others, space
        )
    else:
        is_known, weights = np.ones(targets.shape, bool), np.ones(len(targets))
        classifier = learn_labels(features, targets, is_known, weights, columns)
    found = classifier.probabilities(list(features[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    if has_background:
        # Whether it is a class, by one; which one, by the mean of both
        rest = find_space(features, classes, np.arange(features.shape[1]))
        both = [
            classifier,
            learn_classes(features, classes, n_classes, n_others, rest),
        ]
        classifier = dataclasses.replace(
            classifier, identity=learn_identity(both)
        )
        logits = np.mean([x.logits(features) for x in both], 0)[:, :n_classes]
        expected = expected.sum(1, keepdims=True) * softmax(logits, axis=1)
        found = classifier.probabilities(list(features[:, None]))
        np.testing.assert_allclose(found, expected, atol=1e-3)
        own = np.flatnonzero(classes < n_classes)[:-2]
        likeness = learn_likeness(space, features[own], classes[own], n_classes)
        classifier = dataclasses.replace(classifier, likeness=likeness)
    softer = classifier.calibrate(200.0, 2.0 if has_background else 0.0)
    info = dataclasses.replace(
        encoder.info, labels=[*"abc"][:n_classes], single_label=single_label
    )
    copy_model(encoder.path, tmp_path / "my.onnx", info, softer.add_to)
    onnx.checker.check_model(onnx.load(tmp_path / "my.onnx"))
    learnt = Model(tmp_path / "my.onnx")
    clips, steps = learnt.run(["probabilities", "frame_probabilities"], wavs)
    expected = [softer.probabilities(list(x[:, None])) for x in spans]
    np.testing.assert_allclose(steps, expected, atol=1e-4)
    np.testing.assert_allclose(clips, np.max(expected, 1), atol=1e-4)


def test_likeness_is_to_the_nearest_clip_of_a_class():
    """By a Mahalanobis cosine, which SciPy computes otherwise."""
    draw = np.random.default_rng(2)
    mixing = draw.standard_normal((6, 6))
    classes = np.repeat([0, 1, 3, 4], [9, 3, 9, 9])  # 4 is of the bank
    features = draw.standard_normal((30, 6)) @ mixing + classes[:, None]
    columns = np.array([0, 2, 3, 5])
    space = find_space(features, classes, columns)
    own = classes < 4
    likeness = learn_likeness(space, features[own], classes[own], 4)
    new = draw.standard_normal((5, 6))
    inside = LinearDiscriminantAnalysis("lsqr", shrinkage=SHRINKAGE)
    scaler = StandardScaler()
    inside.fit(scaler.fit_transform(features[:, columns]), classes)
    inverse = np.linalg.inv(inside.covariance_)

    def cosine(x, y):
        """Of two clips."""
        x, y = scaler.transform(np.stack([x, y])[:, columns])
        return x @ inverse @ y / np.sqrt(x @ inverse @ x * (y @ inverse @ y))

    expected = [
        [
            max([cosine(x, y) for y in features[classes == c]], default=-1)
            for c in range(4)
        ]
        for x in new
    ]
    found = likeness.of(new) / likeness.weight
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("start", [(3.5, -4.0), (30.0, 6.0), (200.0, 9.0)])
def test_the_calibration_is_the_best_of_all(start):
    """Wherever it is: no other of a grid has a lower log-loss."""
    temperature, offset = start
    draw = np.random.default_rng(3)
    logits = draw.normal(0, 3 * temperature, (300, 3))
    true = np.column_stack(
        [logits[:, :2] / temperature, logits[:, 2:] / temperature + offset]
    )
    probs = softmax(true, axis=1)
    classes = (probs.cumsum(1) < draw.random((300, 1))).sum(1)

    def log_loss(temperature, offset):
        """Of the clips."""
        scores = logits / temperature + [0, 0, offset]
        return -np.log(softmax(scores, axis=1)[np.arange(300), classes]).mean()

    found = find_calibration(logits, classes, np.ones(300), 2)
    grid = [
        log_loss(x, y)
        for x in np.geomspace(3, 300, 60)
        for y in np.linspace(-10, 10, 81)
    ]
    assert log_loss(*found) <= min(grid) + 1e-6


@pytest.mark.parametrize("n_others", [500, 5000])
def test_the_calibration_is_that_of_probabilities(n_others):
    """Other sounds count alike, however many there are."""
    draw = np.random.default_rng(1)
    n_clips = 40000
    logits = draw.normal(0, 2, (n_clips, 3))
    probs = softmax(logits, axis=1)
    classes = (probs.cumsum(1) < draw.random((n_clips, 1))).sum(1)
    # Of four kinds of other sounds, whose probabilities are added
    kinds = np.repeat(logits[:, 2:] - 1.5 - np.log(4), 4, axis=1)
    unused = np.full((n_clips, 1), -np.inf)
    logits = 10 * np.hstack([logits[:, :2], unused, kinds])
    others = np.flatnonzero(classes == 2)
    kept = np.flatnonzero(classes != 2)
    # All other sounds count so much, and all clips 1
    more = 1.7 * len(kept) / len(others)
    others = others[:n_others] if n_others < len(others) else others
    classes[classes == 2] = draw.integers(3, 7, (classes == 2).sum())
    rows = np.concatenate([kept, others])
    weights = np.ones(len(rows))
    weights[len(kept) :] = 1.7 * len(kept) / len(others)
    temperature, offset = find_calibration(
        logits[rows], classes[rows], weights, 2
    )
    assert temperature == pytest.approx(10, rel=0.2)
    assert offset == pytest.approx(1.5 + np.log(more), abs=0.2)


def test_copies_are_of_the_sound(tmp_path):
    """A tone of 1000 Hz at another speed, also within another tone."""
    rate = 16000
    time = np.arange(rate) / rate
    wav = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    pitches = np.where(abs(time - 0.5) < 0.25, 200, 400)
    other = 0.1 * np.sin(2 * np.pi * pitches * time)
    sf.write(tmp_path / "other.wav", other, rate)
    others = [Clip("b", str(tmp_path / "other.wav"), start=0.25, end=0.75)]
    reader = ClipReader(rate)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        copies = [augment(wav, number, rate, rng) for number in range(5)]
        # One of them has noise, here of 20 to 40 dB below the tone
        spectra = [np.abs(np.fft.rfft(x * np.hanning(len(x)))) for x in copies]
        is_noisy = [np.median(x) > 1e-5 * x.max() for x in spectra]
        assert is_noisy == [False] * 4 + [True]
        for copy in copies:
            peak = pitch(copy, rate)
            assert 849 <= peak <= 1181
            assert len(copy) == pytest.approx(rate * 1000 / peak, rel=0.01)
            between, start = place_between(copy, 3 * rate, others, reader, rng)
            own = between[start:][: len(copy)]
            np.testing.assert_array_equal(own, copy)
            own[:] = 0
            over, start = place_over(copy, 3 * rate, others, reader, rng)
            over[start:][: len(copy)] -= copy
            fainter = 20 * np.log10(copy.std() / over.std())
            assert 5.9 < fainter < 30.1
            for scene in (between, over):
                assert pitch(scene, rate) == pytest.approx(200, abs=1)
                assert len(scene) == 3 * rate


def test_a_copy_in_a_scene_has_the_features_of_its_spans(encoder):
    wav = sounds(1.0)
    expected = encoder.run([OUTPUT], wav[None])[0][0].mean(0)
    tagger = AudioTagger(encoder)
    for start in (0, 6 * encoder.hop_samples, RATE):
        scene = sounds(2.0, seed=1)
        scene[start:][: len(wav)] = wav
        times, spans = tagger.span_features(scene, RATE)
        inside = start / RATE, (start + len(wav)) / RATE
        [found] = mean_inside(tagger, times, spans, [inside])
        np.testing.assert_allclose(found, expected, atol=1e-3)


def pitch(wav, rate):
    """The frequency of a tone in Hz."""
    spectrum = np.abs(np.fft.rfft(wav, 10 * rate))
    return spectrum.argmax() / 10


@pytest.mark.parametrize("clips_per_group", [1, 2])
def test_intervals_are_those_of_as_many_new_clips(clips_per_group):
    """Of n of which p are right: the variance of both is 2 p (1 - p) / n."""
    n_groups = 400 // clips_per_group
    is_right = np.arange(n_groups) % 10 < 7
    targets = np.tile(np.eye(2), (n_groups // 2, 1))
    probs = np.where(is_right[:, None], targets, 1 - targets)
    groups = [f"{n}" for n in range(n_groups)] * clips_per_group
    probs, targets = (
        np.tile(x, (clips_per_group, 1)) for x in (probs, targets)
    )
    samples = [
        Sample(Clip(x, x, group=x), target, None, own[None], own[None])
        for x, target, own in zip(groups, targets, probs)
    ]
    scores = score_answers(
        samples,
        Answers(probs, np.full_like(probs, 0.5)),
        Answers(0.4 * probs, np.full_like(probs, 0.5)),
    )
    assert scores["no_tag"][:2] == (0, 1)  # by the encoder, and without it
    found = scores["accuracy"]
    assert found.value == pytest.approx(0.7)
    expected = 1.96 * (2 * 0.7 * 0.3 / n_groups) ** 0.5
    assert found.high - found.value == pytest.approx(expected, rel=0.2)
    assert found.value - found.low == pytest.approx(expected, rel=0.2)
    # Of three times as many as are wrong at most, if none is
    right = Answers(targets, np.full_like(targets, 0.5))
    all_right = score_answers(samples, right, right)
    low, high = all_right["accuracy"][2:]
    assert 1 - low == pytest.approx(2**0.5 * 3.69 / n_groups, rel=0.01)
    assert high == 1


def test_spans_of_long_background_are_further_apart(encoder, monkeypatch):
    """As many as fit into memory; those of short ones overlap by half."""
    assert learning.choose_hop(10.0, encoder) == HOPS // 2
    monkeypatch.setattr(learning, "MAX_SPANS", 8)
    hop = learning.choose_hop(10.0, encoder) * encoder.hop_samples / RATE
    assert 6 <= 10 / hop <= 8


def test_an_encoder_helps_if_it_is_clearly_better_than_none():
    """By the standard error of the difference, over clips."""
    spectrum = np.repeat([True, False], [60, 40])
    for n_more, n_fewer, helps in ((0, 0, False), (5, 4, False), (9, 4, True)):
        right = spectrum.copy()
        right[60 : 60 + n_more] = True
        right[:n_fewer] = False
        found = Validation(None, None, right=right, spectrum_right=spectrum)
        gain = (n_more - n_fewer) / 100
        error = np.sqrt(((n_more + n_fewer) / 100 - gain**2) / 100)
        assert found.encoder_helps == helps == (gain > error)
