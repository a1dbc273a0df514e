"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import dataclasses
import math
import os
import re
import shutil
import types

import numpy as np
import onnx
import pytest
import soundfile as sf
import tiny_onnx
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_onnx import LONGEST, RATE

from fftp_tag import AudioTagger, learn
from fftp_tag.audio.windows import Part
from fftp_tag.cli.learn import print_report
from fftp_tag.cli.main import main
from fftp_tag.data.splits import assign_folds
from fftp_tag.errors import InputError
from fftp_tag.learning import (
    classifier,
    learn as learning,
    recordings,
)
from fftp_tag.learning.classifier import (
    OTHERS,
    SHRINKAGE,
    find_calibration,
    learn_classes,
    learn_identity,
    learn_labels,
)
from fftp_tag.learning.recordings import (
    augmented_copy,
    mean_inside,
    place_between,
    place_over,
)
from fftp_tag.learning.thresholds import are_learnable, learn_thresholds
from fftp_tag.learning.validate import (
    Example,
    Validation,
    cross_validate,
    find_confusions,
    learn_from,
    score_clips,
    validate,
)
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model
from fftp_tag.model.spans import HOPS, OUTPUT, Views, make_span_model

TONES = {"low": 50, "middle": 140, "high": 360}  # in Hz
# Of the encoder: other classes, and more bands than their limit of 64
PITCHES = {f"{pitch} Hz": float(pitch) for pitch in range(20, 440, 6)}


def make_sound(name, seed, seconds=1.0, level=0.1):
    """A tone of a class in noise, or noise alone."""
    draw = np.random.default_rng(seed)
    size = round(seconds * RATE)
    wav = 0.02 * draw.standard_normal(size)
    if name in TONES:
        pitch = TONES[name] * draw.uniform(0.8, 1.25)
        wav += np.sin(2 * np.pi * pitch * np.arange(size) / RATE)
    return (level * wav).astype(np.float32)


def write(path, *sounds):
    """Writes sounds, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.concatenate(sounds), RATE)


@pytest.fixture
def clips(tmp_path):
    """A folder with six clips of each of three classes."""
    for number, name in enumerate(TONES):
        for seed in range(6):
            wav = make_sound(name, seed=10 * number + seed)
            write(tmp_path / "clips" / name / f"{seed}.wav", wav)
    return tmp_path / "clips"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A model of other classes."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    return AudioTagger(Model(tiny_onnx.write_model(path, pitches=PITCHES)))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tagger):
    """The model with features of spans of half a second."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    return make_span_model(tagger.model, path, 0.5)


@pytest.mark.parametrize(
    "n_classes, single_label, has_background",
    [(2, True, False), (3, True, True), (3, False, False)],
)
def test_the_learnt_graph_is_scikit_learns(
    tmp_path, encoder, n_classes, single_label, has_background
):
    draw = np.random.default_rng(0)
    classes = draw.integers(n_classes + has_background, size=20)
    names = [*list(TONES)[:n_classes], "noise"]
    wavs = [make_sound(names[c], seed) for seed, c in enumerate(classes)]
    spans = encoder.run([OUTPUT], np.stack(wavs))[0]
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
        classifier = learn_classes(features, classes, n_classes, columns)
    else:
        is_known, weights = np.ones(targets.shape, bool), np.ones(len(targets))
        classifier = learn_labels(features, targets, is_known, weights, columns)
    found = classifier.probabilities(list(features[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    if has_background:
        # Whether it is a class, by one; which one, by the mean of both
        rest = np.arange(features.shape[1])
        both = [classifier, learn_classes(features, classes, n_classes, rest)]
        classifier = dataclasses.replace(
            classifier, identity=learn_identity(both)
        )
        logits = np.mean([x.logits(features) for x in both], 0)[:, :n_classes]
        expected = expected.sum(1, keepdims=True) * softmax(logits, axis=1)
        found = classifier.probabilities(list(features[:, None]))
        np.testing.assert_allclose(found, expected, atol=1e-3)
    softer = classifier.calibrate(20.0)
    info = dataclasses.replace(
        encoder.info, labels=names[:n_classes], single_label=single_label
    )
    copy_model(encoder.path, tmp_path / "my.onnx", info, softer.add_to)
    onnx.checker.check_model(onnx.load(tmp_path / "my.onnx"))
    learnt = Model(tmp_path / "my.onnx")
    clips, steps = learnt.run(
        ["probabilities", "frame_probabilities"], np.stack(wavs)
    )
    expected = [softer.probabilities(list(x[:, None])) for x in spans]
    np.testing.assert_allclose(steps, expected, atol=1e-4)
    np.testing.assert_allclose(clips, np.max(expected, 1), atol=1e-4)


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
    more = OTHERS * len(kept) / len(others)
    others = others[:n_others] if n_others < len(others) else others
    classes[classes == 2] = draw.integers(3, 7, (classes == 2).sum())
    rows = np.concatenate([kept, others])
    temperature, offset = find_calibration(logits[rows], classes[rows], 2)
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
    others = [Part(tmp_path / "other.wav", 0.25, 0.75)]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        copies = [augmented_copy(wav, number, rate, rng) for number in range(5)]
        # One of them has noise, here of 20 to 40 dB below the tone
        spectra = [np.abs(np.fft.rfft(x * np.hanning(len(x)))) for x in copies]
        is_noisy = [np.median(x) > 1e-5 * x.max() for x in spectra]
        assert is_noisy == [False] * 4 + [True]
        for copy in copies:
            peak = pitch(copy, rate)
            assert 849 <= peak <= 1181
            assert len(copy) == pytest.approx(rate * 1000 / peak, rel=0.01)
            between, start = place_between(copy, 3 * rate, others, rate, rng)
            own = between[start:][: len(copy)]
            np.testing.assert_array_equal(own, copy)
            own[:] = 0
            over, start = place_over(copy, 3 * rate, others, rate, rng)
            over[start:][: len(copy)] -= copy
            fainter = 20 * np.log10(copy.std() / over.std())
            assert 5.9 < fainter < 30.1
            for scene in (between, over):
                assert pitch(scene, rate) == pytest.approx(200, abs=1)
                assert len(scene) == 3 * rate


def test_a_copy_in_a_scene_has_the_features_of_its_spans(encoder):
    wav = make_sound("low", seed=0)
    expected = encoder.run([OUTPUT], wav[None])[0][0].mean(0)
    for start in (0, 6 * encoder.hop_samples, RATE):
        scene = make_sound("high", seed=1, seconds=2)
        scene[start:][: len(wav)] = wav
        tagger = AudioTagger(encoder)
        times, spans = tagger.span_features(scene, RATE)
        inside = start / RATE, (start + len(wav)) / RATE
        [found] = mean_inside(tagger, times, spans, [inside])
        np.testing.assert_allclose(found, expected, atol=1e-3)


def pitch(wav, rate):
    """The frequency of a tone in Hz."""
    spectrum = np.abs(np.fft.rfft(wav, 10 * rate))
    return spectrum.argmax() / 10


@pytest.fixture(params=["no classes", "frame-level", "exported", "learnt"])
def source(request, tmp_path, tagger, clips):
    """Any model can learn."""
    path = tmp_path / "source.onnx"
    if request.param == "exported":
        return request.getfixturevalue("onnx_file")
    if request.param == "learnt":
        learn(tagger, clips, path)
        return path
    if request.param == "frame-level":
        return tiny_onnx.write_model(path, is_frame_level=True, pitches=PITCHES)
    return tiny_onnx.write_model(path, pitches=PITCHES, labels=[])


def share_right(model, seeds, seconds=1.0, level=0.1):
    """The share of new sounds whose most probable label is right."""
    found = []
    for name in TONES:
        for seed in seeds:
            wav = make_sound(name, seed, seconds, level)
            [tag] = model.tag_file(wav, RATE, top_k=1, threshold=0.0)
            found.append(tag.label == name)
    return np.mean(found)


def test_loud_and_quiet_sounds_are_recognised(tmp_path, clips, source):
    path = tmp_path / "my.onnx"
    report = learn(AudioTagger.from_pretrained(source), clips, path)
    assert report.counts == [6, 6, 6] and report.validation.n_folds == 5
    assert report.validation.scores["accuracy"].value > 0.8
    learnt = AudioTagger.from_pretrained(path)
    assert learnt.labels == sorted(TONES) and learnt.model.is_frame_level
    for level in (0.1, 0.01):  # as recorded, and 20 dB quieter
        assert share_right(learnt, range(50, 55), level=level) > 0.8


def test_spans_are_as_long_as_the_sounds(tmp_path, tagger):
    """As the median of clips from less than a patch to several pieces."""
    lengths = (60, 900, 1000, 1100, LONGEST + 1, 3 * LONGEST + 500)
    folder = tmp_path / "clips"
    for name in TONES:
        for seed, length in enumerate(lengths):
            wav = make_sound(name, seed, seconds=length / RATE)
            write(folder / name / f"{seed}.wav", wav)
    # Its error is its own, not that of clips that it would be around
    bad = np.full(RATE, np.nan, np.float32)
    sf.write(folder / "low" / "bad.wav", bad, RATE, "FLOAT")
    report = learn(tagger, folder, tmp_path / "my.onnx")
    assert report.counts == [6, 6, 6]
    [name] = report.not_read
    assert name.endswith("bad.wav")
    assert report.validation.scores["accuracy"].value > 0.7
    # A span has whole tokens of 50 ms
    assert report.span_seconds == pytest.approx(1.0, abs=0.05)
    assert report.hop_seconds == pytest.approx(1 / 8, abs=0.05)
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert share_right(learnt, [90], seconds=0.6) == 1
    assert share_right(learnt, [90], seconds=1.25) == 1


def test_background_is_a_hidden_class(tmp_path, tagger, clips, capsys):
    """The first half of recordings is learnt from, the second listened to."""
    noise = [make_sound("noise", seed) for seed in range(15)]
    second = [make_sound("high", seed) for seed in range(70, 75)]
    second += [np.zeros(5 * RATE, np.float32), *noise[:5]]
    write(tmp_path / "rooms" / "1.wav", *noise, *second)
    (tmp_path / "rooms" / "2.wav").write_bytes(b"no audio")
    path = tmp_path / "my.onnx"
    options = ["--model", tagger.model.path, "--output", path]
    options += ["--background", tmp_path / "rooms"]
    assert main(["learn", *map(str, [clips, *options])]) == 0
    printed, messages = capsys.readouterr()
    assert "15.0 s of background" in printed
    assert re.search(r"no_tag .* \(clips of which no class reaches", printed)
    numbers = re.search(r"accuracy  (\S+) \[(\S+), (\S+)\]", printed).groups()
    accuracy, low, high = map(float, numbers)
    assert 0.5 < low < accuracy <= high == 1 and accuracy > 0.8
    # The second half without its digital silence
    assert "0.2 minutes" in printed and "0.1 minutes" in printed
    [alarms] = re.findall(r"(\d+), at most .* an hour  high", printed)
    assert int(alarms) >= 1
    assert "not read" in printed and "2.wav" in messages
    learnt = AudioTagger.from_pretrained(path)
    pause = make_sound("noise", 304, seconds=3)
    assert learnt.clip_probabilities(pause, RATE).sum() < 0.5
    # A file has the tags of its events, by stored rules
    wav = np.concatenate([pause, make_sound("low", 306, seconds=3), pause])
    [event] = learnt.tag_long(wav, RATE)
    assert event.label == "low" and event.probability > 0.5
    assert (event.start, event.end) == pytest.approx((3, 6), abs=1.1)
    assert "low" in {tag.label for tag in learnt.tag_file(wav, RATE)}
    rules = learnt.model.rules
    assert rules.is_learnt and (rules.threshold == 0.5).all()
    assert rules.low.tolist() == pytest.approx([0.2] * 3)
    assert rules.high.tolist() == pytest.approx([0.7] * 3)


def test_clips_of_several_classes(tmp_path, tagger, clips):
    """Make it a model of independent classes, with learnt thresholds."""
    rows = ["path,labels"]
    for seed in range(6):
        rows += [f"{name}/{seed}.wav,{name};Tone" for name in TONES]
        write(clips / f"{seed}.wav", make_sound("noise", 400 + seed))
        rows.append(f"{seed}.wav,")
    (clips / "clips.csv").write_text("\n".join(rows))
    report = learn(tagger, clips, tmp_path / "my.onnx")
    assert report.background_seconds == pytest.approx(6)
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.model.rules.is_learnt and not learnt.model.info.single_label
    tags = learnt.tag_file(make_sound("low", 95), RATE)
    assert {tag.label for tag in tags} == {"low", "Tone"}


@pytest.fixture
def read(monkeypatch):
    """The recordings that are encoded, in a list, up to its ``most``."""
    found = types.SimpleNamespace(recordings=[], most=math.inf)
    features_of = recordings.features_of

    def remember(encoder, recording):
        if len(found.recordings) == found.most:
            raise KeyboardInterrupt
        found.recordings.append(recording)
        return features_of(encoder, recording)

    monkeypatch.setattr(recordings, "features_of", remember)
    return found


def test_each_clip_is_encoded_once(tmp_path, tagger, clips, read, bank):
    output, cache = tmp_path / "my.onnx", tmp_path / "my.onnx.npz"
    room = tmp_path / "room.wav"

    def count(tagger=tagger, output=output, background=None):
        """Learns; returns the number of recordings that were encoded."""
        read.recordings.clear()
        learn(tagger, clips, output, background)
        return len(read.recordings)

    assert count() == 18 + len(bank)
    first = output.read_bytes()
    assert count() == 0
    assert output.read_bytes() == first
    # A new clip, and those of which it is around copies
    write(clips / "low" / "new.wav", make_sound("low", seed=60))
    assert 1 <= count() < 12
    # As long as before, and newer
    write(clips / "low" / "new.wav", make_sound("low", seed=61))
    os.utime(clips / "low" / "new.wav", (1, 1))
    assert 1 <= count() < 12
    # A room of equal length is another room
    for level in (0.1, 0.5):
        write(room, make_sound("noise", 80, seconds=8, level=level))
        assert count(background=room) == 20
    found = output.read_bytes()
    count(output=tmp_path / "fresh.onnx", background=room)
    assert (tmp_path / "fresh.onnx").read_bytes() == found
    # Another encoder changes the features; a damaged cache is none
    pitches = {**PITCHES, "20 Hz": 25.0}
    path = tiny_onnx.write_model(tmp_path / "other.onnx", pitches=pitches)
    assert count(AudioTagger(Model(path))) == 19 + len(bank)
    cache.write_bytes(cache.read_bytes()[:-100])
    assert count(AudioTagger(Model(path))) == 19 + len(bank)
    # What an interrupted command has encoded is kept, and what it knew
    for path in (clips / "high").iterdir():
        os.utime(path, (1, 1))
    read.most = 5  # more than the threads, of which any may be the last
    with pytest.raises(KeyboardInterrupt):
        count(AudioTagger(Model(tmp_path / "other.onnx")))
    with np.load(cache) as file:
        assert 0 < len(file["keys"]) - 19 - len(bank) <= 5


def test_clips_of_eval_are_only_scored(tmp_path, tagger, clips, read):
    """Nor are copies of them learnt from, or others of their groups."""
    found = []
    wrong = dict(zip(TONES, ("middle", "high", "low")))
    for labels, more in (
        ({name: name for name in TONES}, []),
        (wrong, ["copy.wav,high,train,", "middle/5.wav,low,,middle"]),
    ):
        rows = ["path,labels,split,group", *more]
        for name in TONES:
            rows += [f"{name}/{n}.wav,{name},train," for n in range(4)]
            rows += [f"{name}/4.wav,{labels[name]},eval,{name}"]
        (clips / "clips.csv").write_text("\n".join(rows))
        shutil.copy(clips / "low" / "4.wav", clips / "copy.wav")
        report = learn(tagger, clips, tmp_path / "my.onnx")
        learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
        probs = learnt.clip_probabilities(make_sound("high", 99), RATE)
        found.append((report.eval_scores["accuracy"], probs))
    (right, expected), (wrong, probs) = found
    np.testing.assert_allclose(probs, expected, atol=1e-5)
    assert right.value > wrong.value
    assert right.without_encoder == 1 > wrong.without_encoder
    # No sound of theirs is around copies of others
    around = {x.path for own in read.recordings for x in own.clips}
    held_out = [x for x in read.recordings if x.part.path.endswith("4.wav")]
    assert around and held_out
    assert not around & {x.part.path for x in held_out}
    assert not any(x.copies for x in held_out)
    # Nor is the length of spans chosen by theirs
    sounds = learning.list_sounds(clips, None, None, False, False, None)
    found = learning.find_all(sounds)
    n_learnt = sum(clip.split != "eval" for clip in sounds.clips)
    assert len(found.longest) == n_learnt < len(found.intervals)


def make_examples(spans, targets, groups=None):
    """Clips of spans ``[N, K, F]``, by default each a group of its own."""
    groups = groups or [f"{n}.wav" for n in range(len(targets))]
    return [
        Example(group, group, target, own, sounds=own[:0])
        for group, target, own in zip(groups, targets, spans)
    ]


def test_confusions_by_hand():
    """Background counts where it is tagged; a clip, where another is ahead."""
    rows = [
        ((1, 0), (0.2, 0.6)),
        ((1, 0), (0.6, 0.2)),
        ((0, 1), (0.5, 0.7)),
        ((0, 0), (0.8, 0.1)),
        ((0, 0), (0.3, 0.1)),
        ((1, 0), (0.1, 0.9)),
    ]
    targets, probs = np.array(rows).transpose(1, 0, 2)
    examples = make_examples(np.zeros((6, 1, 4)), targets)
    found = find_confusions(["Dog", "Cat"], examples, probs, probs >= 0.5)
    assert found == [
        ("Dog", "Cat", ["0.wav", "5.wav"]),
        ("background", "Dog", ["3.wav"]),
    ]


def test_each_span_of_background_is_an_example():
    """Any may be a false alarm; of clips with a class, the mean counts."""
    spans = np.random.default_rng(0).standard_normal((12, 3, 4))
    targets = np.eye(3)[np.arange(12) % 3, :2]  # the last is background
    examples = [
        x if x.is_background else x._replace(sounds=x.spans.mean(0)[None])
        for x in make_examples(spans, targets)
    ]
    all_features = np.arange(4)
    found = learn_from(examples, [all_features], single_label=True)
    rows = np.concatenate(
        [spans[::3].mean(1), spans[1::3].mean(1), *spans[2::3]]
    )
    classes = np.repeat(range(3), (4, 4, 12))
    expected = learn_classes(rows, classes, 2, all_features)
    np.testing.assert_allclose(found.weight, expected.weight)


@pytest.mark.parametrize("single_label", [True, False])
def test_a_fold_is_classified_by_the_others_alone(single_label):
    """By their temperature, too: its own labels change nothing.

    The only clip of the last class tells no fold anything.
    """
    draw = np.random.default_rng(0)
    classes = np.append(np.repeat(np.arange(3), 20), 3)
    folds = np.append(np.tile(np.arange(4), 15), 1)
    spans = draw.standard_normal((61, 2, 8)) + 2 * np.eye(4, 8)[classes, None]
    own = folds == 0
    labels = np.where(own, (classes + 1) % 3, classes)
    right, wrong = (
        make_examples(spans, np.eye(4)[x]) for x in (classes, labels)
    )
    view = [np.arange(5), np.arange(8)]
    _, expected = cross_validate(right, folds, view, single_label)
    of_all, probs = cross_validate(wrong, folds, view, single_label)
    np.testing.assert_allclose(probs[own], expected[own], atol=1e-6)
    assert np.abs(probs[~own] - expected[~own]).max() > 0.2
    assert (expected.argmax(1) == classes)[:60].mean() > 0.9
    hard = learn_from(wrong, view, single_label)
    used = np.s_[:, :5]
    temperature = np.median(hard.weight[used] / of_all.weight[used])
    softer = hard.calibrate(temperature).weight
    np.testing.assert_allclose(of_all.weight, softer, atol=1e-9)
    if not single_label:
        assert temperature == 1
        return
    # The best for all clips whose class is in other folds
    logits = np.zeros((60, 4))
    for fold in range(4):
        others = [x for x, other in zip(wrong, folds) if other != fold]
        of_others = learn_from(others, view, single_label)
        rows = np.flatnonzero(folds[:60] == fold)
        found = of_others.logits(spans[rows].mean(1))
        logits[rows, : found.shape[1]] = found
    best, _ = find_calibration(logits, labels[:60], 4)
    assert temperature == pytest.approx(best)
    # What tells classes apart has a temperature of its own
    assert (hard.identity.weight != 0).all()
    softer = hard.identity.weight / of_all.identity.weight
    np.testing.assert_allclose(softer, np.median(softer), rtol=1e-6)
    rest = ~own[:60]
    found, _ = find_calibration(logits[rest], labels[:60][rest], 4)
    assert found < 0.8 * best


def test_a_fold_is_scored_by_thresholds_of_the_others():
    """Of features that say nothing: its own would look better. Clips that were
    reviewed are learnt from; thresholds and scores are of the others.
    """
    draw = np.random.default_rng(6)
    spans = draw.standard_normal((80, 1, 5))
    targets = (draw.random((80, 2)) < 0.4).astype(float)
    examples = make_examples(spans, targets)
    only_first = np.array([True, False])
    for n in range(60, 80):
        examples[n] = examples[n]._replace(
            is_reviewed=True, is_known=only_first
        )
    folds = assign_folds(targets, [x.group for x in examples])
    own = np.arange(80) < 60
    views = Views([np.arange(5)], [np.array([4])])
    *_, found = validate(["a", "b"], examples, [], views, single_label=False)
    scores = []
    for view in views:
        _, probs = cross_validate(examples, folds, view, single_label=False)
        tagged = np.zeros((80, 2), bool)
        for fold in range(5):
            rest = own & (folds != fold)
            limits = learn_thresholds(
                targets[rest], probs[rest], are_learnable(targets[own])
            )
            tagged[folds == fold] = probs[folds == fold] >= limits
        scores.append(f1_score(targets[own], tagged[own], average="macro"))
        if view is views.encoder:
            looks = probs[own] >= found.thresholds
            by_name = {x.name: row for x, row in zip(examples, probs)}
    assert found.scores["macro_F1"][:2] == pytest.approx(scores)
    looks = f1_score(targets[own], looks, average="macro")
    assert scores[0] < looks - 0.03
    for clip in found.clips:
        known = 1 if int(clip.name.removesuffix(".wav")) >= 60 else 2
        differences = np.abs(clip.target - by_name[clip.name])[:known]
        assert clip.doubt == pytest.approx(differences.max())


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
    examples = make_examples(probs[:, None], targets, groups)
    scores = score_clips(
        examples, probs, probs > 0.5, 0.4 * probs, 0.4 * probs > 0.5
    )
    assert scores["no_tag"][:2] == (0, 1)  # by the encoder, and without it
    found = scores["accuracy"]
    assert found.value == pytest.approx(0.7)
    expected = 1.96 * (2 * 0.7 * 0.3 / n_groups) ** 0.5
    assert found.high - found.value == pytest.approx(expected, rel=0.2)
    assert found.value - found.low == pytest.approx(expected, rel=0.2)
    # Of three times as many as are wrong at most, if none is
    all_right = score_clips(
        examples, targets, targets > 0.5, targets, targets > 0.5
    )
    low, high = all_right["accuracy"][2:]
    assert 1 - low == pytest.approx(2**0.5 * 3.69 / n_groups, rel=0.01)
    assert high == 1


def test_parts_of_a_recording_are_clips(tmp_path, tagger, clips, read, capsys):
    rows = ["path,labels,group,start,end", "low.wav,low,low,17,18"]
    folder = tmp_path / "parts"
    for name in TONES:
        wavs = [make_sound(name, seed) for seed in range(6)]
        write(folder / f"{name}.wav", *wavs)
        rows += [f"{name}.wav,{name},{n % 2},{n},{n + 1}" for n in range(6)]
    (folder / "clips.csv").write_text("\n".join(rows))
    command = ["learn", folder, "--model", tagger.model.path]
    command += ["--output", tmp_path / "my.onnx"]
    assert main([*map(str, command)]) == 0
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert share_right(learnt, [90]) == 1
    printed = capsys.readouterr().out
    assert "low.wav ends before 17 s" in printed
    assert "the sounds fill" not in printed  # all of the clips
    # Around a part's copies are other parts
    pairs = [(x.part, y) for x in read.recordings for y in x.clips]
    assert pairs
    for own, other in pairs:
        is_apart = other.end <= own.start or own.end <= other.start
        assert other.path != own.path or is_apart
    # Two groups do not show how much scores vary
    assert "accuracy" in printed and "[" not in printed


def test_label_tracks_are_learnt_from(tmp_path, tagger):
    """All else is background, unless recordings are partly labelled."""
    names = ["low", "noise", "high", "noise", "middle", "noise"] * 6
    wavs = [make_sound(name, seed, 2) for seed, name in enumerate(names)]
    write(tmp_path / "recordings" / "day.wav", *wavs)
    rows = [
        f"{2 * n}\t{2 * n + 2}\t{name}"
        for n, name in enumerate(names)
        if name in ("low", "high")
    ]
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks" / "day.wav.txt").write_text("\n".join(rows))
    for is_partly in (False, True):
        found = learn(
            tagger,
            tmp_path / "recordings",
            tmp_path / "my.onnx",
            strong_labels=tmp_path / "tracks",
            partly_labelled=is_partly,
        )
        assert (found.labels, found.counts) == (["high", "low"], [6, 6])
        assert (found.background_seconds == 0) == is_partly


def test_what_cannot_be_measured_is_not_scored(tmp_path, tagger, clips, capsys):
    """A class of one clip is listed; if all are, there are no scores."""
    model, table = tmp_path / "my.onnx", tmp_path / "doubt.csv"
    command = ["learn", clips, "--model", tagger.model.path]
    command += ["--output", model, "--clips", table]
    for name in TONES:
        for number in range(1, 6):
            (clips / name / f"{number}.wav").unlink()
        assert main([*map(str, command)]) == 0
        printed = capsys.readouterr().out
        if name == list(TONES)[0]:
            assert f"recordings: {name}\n" in printed
            assert "accuracy" in printed
            rows = list(csv.DictReader(table.open()))
            doubts = [float(row["doubt"] or -1) for row in rows]
            assert doubts == sorted(doubts, reverse=True)
            assert [x["labels"] for x in rows if not x["doubt"]] == [name]
    assert f"recordings: {', '.join(sorted(TONES))}\n" in printed
    assert "accuracy" not in printed and "clip of" not in printed


def test_false_alarms_are_limited(tmp_path, tagger, clips, capsys, monkeypatch):
    """By what is not learnt from: the third quarter, and by default none."""
    # Temperatures that make no probability 1.0
    monkeypatch.setattr(classifier, "BOUNDS", ((2.5, 5), (-4, 4)))
    room = tmp_path / "room.wav"
    wavs = [make_sound("noise", n) for n in range(120)]
    time = np.arange(RATE) / RATE
    for number in range(61, 120, 3):  # between low and middle tones
        tone = np.sin(2 * np.pi * (70 + number % 20) * time)
        wavs[number] = (wavs[number] + 0.1 * tone).astype(np.float32)
    write(room, *wavs)
    command = ["learn", clips, "--model", tagger.model.path]
    command += ["--output", tmp_path / "my.onnx", "--background", room]
    counts = []
    for options in ([], ["--false-alarms", "0"]):
        assert main([*map(str, [*command, *options])]) == 0
        printed = capsys.readouterr().out
        counts.append(int(re.search(r"(\d+), at most .* together", printed)[1]))
        minutes = 0.5 if options else 1.0
        assert f"in {minutes} minutes of background" in printed
    assert counts[0] > 5 and counts[1] < counts[0] / 4
    with pytest.raises(InputError, match="needs --background"):
        learn(tagger, clips, tmp_path / "my.onnx", false_alarms_per_hour=1)


def test_a_clip_with_a_wrong_label_is_in_doubt(tmp_path, tagger, clips):
    write(clips / "low" / "0.wav", make_sound("high", 90))
    report = learn(tagger, clips, tmp_path / "my.onnx")
    taken_for = report.labels.index("high")
    first = next(x for x in report.validation.clips if x.name[:3] == "low")
    assert first.name == "low/0.wav" and first.doubt > 0.9
    assert first.probs.argmax() == taken_for


@pytest.mark.parametrize("numbered", [False, True])
def test_clips_of_one_recording_are_tested_together(
    tmp_path, tagger, clips, numbered, capsys
):
    """By a folder inside, or by name if that is asked for."""
    for name in TONES:
        for number in range(6):
            path = clips / name / f"{number}.wav"
            place = clips / name / (f"{'abc'[number // 2]}_{number}.wav")
            if not numbered:
                place = clips / name / f"{number // 2}" / path.name
                place.parent.mkdir(exist_ok=True)
            path.rename(place)
    report = learn(tagger, clips, tmp_path / "my.onnx", numbered=numbered)
    assert report.has_groups
    assert report.validation.n_folds == (5 if numbered else 3)
    print_report(report)
    assert "on new clips of other recordings" in capsys.readouterr().out


def test_spans_of_long_background_are_further_apart(encoder, monkeypatch):
    """As many as fit into memory; those of short ones overlap by half."""
    assert learning.choose_hop(10.0, encoder) == HOPS // 2
    monkeypatch.setattr(learning, "MOST_SPANS", 8)
    hop = learning.choose_hop(10.0, encoder) * encoder.hop_samples / RATE
    assert 6 <= 10 / hop <= 8


def test_what_cannot_be_learnt_is_an_error(tmp_path, tagger, clips):
    """Among these, one class without background."""
    output, model = tmp_path / "my.onnx", tagger.model.path
    one, damaged = tmp_path / "one", tmp_path / "damaged"
    shutil.copytree(clips / "low", one / "low")
    shutil.copytree(clips, damaged)
    write(tmp_path / "room.wav", make_sound("noise", 0, seconds=2))
    bad = damaged / "empty" / "1.wav"
    bad.parent.mkdir()
    bad.write_bytes(b"")
    half = tmp_path / "half.flac"  # whose header can be read
    sf.write(half, make_sound("noise", 0, seconds=60), RATE)
    half.write_bytes(half.read_bytes()[:200])
    for folder, target, background, named in (
        (damaged, output, None, "empty"),
        (clips, output, bad, "1.wav.*--background"),
        (clips, output, half, "half.flac.*--background"),
        (clips, model, None, "model.onnx"),
        (one, output, None, "low.* background"),
    ):
        with pytest.raises(InputError, match=named):
            learn(tagger, folder, target, background)
    assert not output.exists()
    report = learn(tagger, one, output, tmp_path / "room.wav")
    assert (report.labels, report.counts) == (["low"], [6])
    # All clips of the class have the right one of one
    assert "accuracy" not in report.validation.scores
    shutil.copytree(clips / "high", one / "background")
    assert learn(tagger, one, output).counts == [6]


def test_clips_are_learnt_as_a_whole_where_the_sounds_in_them_are_alike(
    tmp_path, tagger, capsys
):
    """A tone, or the same one twice: its spans tell nothing, with the encoder or
    without.
    """
    for seed in range(12):
        tone = make_sound("low", seed, seconds=0.2)
        # Longer than the surroundings of a tone
        pause = make_sound("noise", 100 + seed, seconds=0.6, level=0.01)
        write(
            tmp_path / f"clips/once/{seed}.wav", tone, pause, pause[:200], pause
        )
        write(tmp_path / f"clips/twice/{seed}.wav", tone, pause, tone, pause)
    report = learn(tagger, tmp_path / "clips", tmp_path / "my.onnx")
    assert report.are_whole and report.filled == 1
    assert report.span_seconds == pytest.approx(1.6, abs=0.15)
    assert report.validation.right.mean() > 0.8
    print_report(report)
    assert "as a whole" in capsys.readouterr().out


def test_an_encoder_helps_if_it_is_clearly_better_than_none():
    """By the standard error of the difference, over clips."""
    spectrum = np.repeat([True, False], [60, 40])
    for n_more, n_fewer, helps in ((0, 0, False), (5, 4, False), (9, 4, True)):
        right = spectrum.copy()
        right[60 : 60 + n_more] = True
        right[:n_fewer] = False
        found = Validation(np.zeros(2), right=right, spectrum_right=spectrum)
        gain = (n_more - n_fewer) / 100
        error = np.sqrt(((n_more + n_fewer) / 100 - gain**2) / 100)
        assert found.encoder_helps == helps == (gain > error)
