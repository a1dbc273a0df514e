"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import shutil

import numpy as np
import onnx
import pytest
import soundfile as sf
import tiny_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_onnx import LONGEST, RATE

from fftp_tag import AudioTagger, learn
from fftp_tag.learning import classifier, recordings
from fftp_tag.learning.classifier import learn_classifier
from fftp_tag.learning.recordings import augmented_copies
from fftp_tag.learning.validate import (
    Example,
    cross_validate,
    score_clips,
    validate,
)
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model
from fftp_tag.model.spans import OUTPUT, make_span_model
from fftp_tag.score.groups import assign_folds
from fftp_tag.score.thresholds import are_learnable, learn_thresholds

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
    model = LinearDiscriminantAnalysis("lsqr", shrinkage="auto")
    if not single_label:
        model = OneVsRestClassifier(LogisticRegression())
    pipeline = make_pipeline(StandardScaler(), model)
    pipeline.fit(features, classes if single_label else targets)
    expected = pipeline.predict_proba(features)[:, :n_classes]
    classifier = learn_classifier(features, targets, single_label)
    found = classifier.probabilities(list(features[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    softer = classifier.soften(20.0)
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


def test_copies_are_of_the_sound():
    """A tone of 1000 Hz at another speed."""
    rate = 16000
    time = np.arange(rate) / rate
    wav = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    copies = [*augmented_copies(wav, rate, np.random.default_rng(0))]
    assert len(copies) == 5
    for copy in copies:
        peak = np.abs(np.fft.rfft(copy, 10 * rate)).argmax() / 10  # in Hz
        assert 849 <= peak <= 1181
        assert len(copy) == pytest.approx(rate * 1000 / peak, rel=0.01)


@pytest.fixture(params=["no classes", "frame-level", "exported"])
def source(request, tmp_path):
    """Any model can learn."""
    path = tmp_path / "source.onnx"
    if request.param == "exported":
        return request.getfixturevalue("onnx_file")
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


def test_spans_are_as_long_as_the_clips(tmp_path, tagger, caplog):
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
    assert "4.0 s" in caplog.text and "3 clips" in caplog.text
    assert report.validation.scores["accuracy"].value > 0.7
    # A span has whole tokens of 50 ms
    assert report.span_seconds == pytest.approx(1.0, abs=0.05)
    assert report.hop_seconds == pytest.approx(1 / 8, abs=0.05)
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert share_right(learnt, [90], seconds=0.6) == 1
    assert share_right(learnt, [90], seconds=1.25) == 1


def test_background_is_a_hidden_class(tmp_path, tagger, clips):
    noise = [make_sound("noise", seed) for seed in range(30)]
    write(tmp_path / "room.wav", *noise)
    path = tmp_path / "my.onnx"
    learn(tagger, clips, path, tmp_path / "room.wav")
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


def test_clips_of_several_classes(tmp_path, tagger, clips):
    """Make it a model of independent classes, with learnt thresholds."""
    rows = ["path,labels"]
    for seed in range(6):
        rows += [f"{name}/{seed}.wav,{name};Tone" for name in TONES]
        write(clips / f"{seed}.wav", make_sound("noise", 400 + seed))
        rows.append(f"{seed}.wav,")
    (clips / "clips.csv").write_text("\n".join(rows))
    report = learn(tagger, clips, tmp_path / "my.onnx")
    assert report.background_spans >= 6
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.model.rules.is_learnt and not learnt.model.info.single_label
    tags = learnt.tag_file(make_sound("low", 95), RATE)
    assert {tag.label for tag in tags} == {"low", "Tone"}


@pytest.fixture
def read(monkeypatch):
    """The recordings that are encoded, in a list."""
    found = []
    features_of = recordings.features_of

    def remember(encoder, recording):
        found.append(recording)
        return features_of(encoder, recording)

    monkeypatch.setattr(recordings, "features_of", remember)
    return found


def test_each_clip_is_encoded_once(tmp_path, tagger, clips, read):
    output, room = tmp_path / "my.onnx", tmp_path / "room.wav"

    def count(output=output, background=None):
        """Learns; returns the number of recordings that were encoded."""
        read.clear()
        learn(tagger, clips, output, background)
        return len(read)

    assert count() == 18
    first = output.read_bytes()
    assert count() == 0
    assert output.read_bytes() == first
    # A new clip, and those of which it is around copies
    write(clips / "low" / "new.wav", make_sound("low", seed=60))
    assert 1 <= count() < 12
    # A room of equal length is another room
    for level in (0.1, 0.5):
        write(room, make_sound("noise", 80, seconds=8, level=level))
        assert count(background=room) == 20
    found = output.read_bytes()
    count(output=tmp_path / "fresh.onnx", background=room)
    assert (tmp_path / "fresh.onnx").read_bytes() == found


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
    around = {x.path for own in read for x in own.clips}
    held_out = [x for x in read if x.part.path.endswith("4.wav")]
    assert around and held_out
    assert not around & {x.part.path for x in held_out}
    assert not any(x.has_copies for x in held_out)


def make_examples(spans, targets, groups=None):
    """Clips of spans ``[N, K, F]``, by default each a group of its own."""
    groups = groups or [f"{n}.wav" for n in range(len(targets))]
    return [
        Example(group, group, target, own, copies=own[:0])
        for group, target, own in zip(groups, targets, spans)
    ]


@pytest.mark.parametrize("single_label", [True, False])
def test_a_fold_is_classified_by_the_others_alone(single_label, monkeypatch):
    """The only clip of the last class tells no fold anything."""
    monkeypatch.setattr(classifier, "REACH", 0.0)
    draw = np.random.default_rng(0)
    classes = np.append(np.repeat(np.arange(3), 20), 3)
    folds = np.append(np.tile(np.arange(4), 15), 1)
    spans = draw.standard_normal((61, 2, 8)) + 2 * np.eye(4, 8)[classes, None]
    own = folds == 0
    labels = np.where(own, (classes + 1) % 3, classes)
    right, wrong = (
        make_examples(spans, np.eye(4)[x]) for x in (classes, labels)
    )
    _, expected = cross_validate(right, folds, 0, single_label)
    _, probs = cross_validate(wrong, folds, 0, single_label)
    np.testing.assert_allclose(probs[own], expected[own], atol=1e-6)
    assert np.abs(probs[~own] - expected[~own]).max() > 0.2
    assert (expected.argmax(1) == classes)[:60].mean() > 0.9


def test_a_fold_is_scored_by_thresholds_of_the_others():
    """Of features that say nothing: its own would look better."""
    draw = np.random.default_rng(6)
    spans = draw.standard_normal((60, 1, 5))
    targets = (draw.random((60, 2)) < 0.4).astype(float)
    examples = make_examples(spans, targets)
    folds = assign_folds(targets, [x.group for x in examples])
    _, probs = cross_validate(examples, folds, 0, single_label=False)
    tagged = np.zeros((60, 2), bool)
    for fold in range(5):
        own = folds == fold
        limits = learn_thresholds(
            targets[~own], probs[~own], are_learnable(targets)
        )
        tagged[own] = probs[own] >= limits
    *_, found = validate(["a", "b"], examples, 4, single_label=False)
    expected = f1_score(targets, tagged, average="macro")
    assert found.scores["macro_F1"].value == pytest.approx(expected)
    looks = f1_score(targets, probs >= found.thresholds, average="macro")
    assert expected < looks - 0.03


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
    scores = score_clips(examples, probs, probs > 0.5, 0.4 * probs)
    assert scores["no_tag"][:2] == (0, 1)  # by the encoder, and without it
    found = scores["accuracy"]
    assert found.value == pytest.approx(0.7)
    expected = 1.96 * (2 * 0.7 * 0.3 / n_groups) ** 0.5
    assert found.high - found.value == pytest.approx(expected, rel=0.2)
    assert found.value - found.low == pytest.approx(expected, rel=0.2)
