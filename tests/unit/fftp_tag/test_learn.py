"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import re
import shutil

import numpy as np
import onnx
import pytest
import soundfile as sf
import tiny_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_onnx import LONGEST, RATE

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.learning.classifier import find_temperature, learn_classifier
from fftp_tag.learning.features import OUTPUT
from fftp_tag.learning.learn import make_encoder, related_names
from fftp_tag.learning.recordings import COPIES, augmented_copies
from fftp_tag.learning.validate import Examples, assign_folds
from fftp_tag.tag.edit import copy_model
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.errors import InputError

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


def write_sounds(folder, names=TONES, count=6):
    """Writes sounds into a folder of each class."""
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(count):
            wav = make_sound(name, seed=10 * number + seed)
            sf.write(folder / name / f"{seed}.wav", wav, RATE)
    return folder


@pytest.fixture
def clips(tmp_path):
    """A folder with three classes."""
    return write_sounds(tmp_path / "clips")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A model of other classes."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    return AudioTagger(Model(tiny_onnx.write_model(path, pitches=PITCHES)))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tagger):
    """The model with the features of clips."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    encoder, n_token_features = make_encoder(tagger.model, path)
    onnx.checker.check_model(onnx.load(path))
    assert n_token_features == 3 * len(PITCHES)
    return encoder


def probabilities_of(path):
    """What a model says of a quiet, a loud and a long sound."""
    sounds = [
        make_sound("low", seed=99, level=1e-3),
        make_sound("noise", seed=99, level=0.9),
        make_sound("high", seed=99, seconds=3),
    ]
    model = AudioTagger.from_pretrained(path)
    return np.stack([model.clip_probabilities(x, RATE) for x in sounds])


def expected_features(model, wav):
    """The features of a clip ``[F]``, by the model without them."""
    start = (LONGEST - len(wav)) // 2
    noise = np.random.default_rng(0).standard_normal(2**14) * 10 ** (-50 / 20)
    centred = np.abs(wav).max() * noise[:LONGEST]
    centred[start : start + len(wav)] = wav
    tokens, features = model.run(["tokens", "features"], centred[None])
    tokens, features = tokens[0], features[0]
    n_frames = len(features)
    centre = (np.arange(n_frames) + 0.5) / n_frames - 0.5
    own = np.abs(centre) <= len(wav) / LONGEST / 2 + 1e-9
    bands = features[own].reshape(own.sum(), -1, 2).mean(2)
    rises = bands[2:] - bands[:-2]
    parts = (tokens.mean(0), tokens.std(0), tokens.max(0))
    return np.concatenate([*parts, bands.mean(0), bands.std(0), rises.std(0)])


def test_features_are_of_the_centred_clip(tagger, encoder):
    """In a batch of clips of several lengths."""
    wavs = np.zeros((3, LONGEST), np.float32)
    sizes = 150, 701, LONGEST
    for seed, size in enumerate(sizes):
        wavs[seed, :size] = make_sound("high", seed, size / RATE)
    lens = np.array(sizes, np.float32) / LONGEST
    inputs = {"wavs": wavs, "wav_lens": lens}
    found = encoder.session.run([OUTPUT], inputs)[0]
    for wav, size, row in zip(wavs, sizes, found):
        expected = expected_features(tagger.model, wav[:size])
        np.testing.assert_allclose(row, expected, atol=2e-4)
    alone = encoder.run([OUTPUT], wavs[:1, : sizes[0]])[0]
    np.testing.assert_allclose(alone, found[:1], atol=2e-4)


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
    features = encoder.run([OUTPUT], np.stack(wavs))[0]
    targets = np.eye(n_classes + 1)[classes][:, :n_classes]
    if single_label:
        analysis = LinearDiscriminantAnalysis("lsqr", shrinkage="auto")
        pipeline = make_pipeline(StandardScaler(), analysis)
        expected = pipeline.fit(features, classes).predict_proba(features)
        expected = expected[:, :n_classes]
    else:
        pipeline = make_pipeline(StandardScaler(), LogisticRegression())
        expected = [
            pipeline.fit(features, column).predict_proba(features)[:, 1]
            for column in targets.T
        ]
        expected = np.stack(expected, axis=1)
    classifier = learn_classifier(features, targets, single_label)
    found = classifier.probabilities(list(features[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    softer = classifier.soften(20.0)
    found = softer.probabilities(list(features[:, None]))
    info = dataclasses.replace(
        encoder.info, labels=names[:n_classes], single_label=single_label
    )
    copy_model(encoder.path, tmp_path / "my.onnx", info, softer.add_to)
    onnx.checker.check_model(onnx.load(tmp_path / "my.onnx"))
    learnt = Model(tmp_path / "my.onnx").probabilities(np.stack(wavs))
    np.testing.assert_allclose(learnt, found, atol=1e-4)


def test_a_class_without_clips_or_others_can_be_learnt():
    """As in a fold."""
    features = np.random.default_rng(0).standard_normal((4, 3))
    targets = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 1]])
    for single_label in (False, True):
        classifier = learn_classifier(features, targets, single_label)
        probs = classifier.probabilities([features])
        assert probs[0, 0] > 0.99 and probs[0, 1] < 0.01


@pytest.mark.parametrize("temperature", [6.0, 70.0])
def test_the_temperature_is_found(temperature):
    """By which the logits of known probabilities were multiplied."""
    draw = np.random.default_rng(0)
    logits = draw.standard_normal((5000, 3)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes = np.array([draw.choice(3, p=row) for row in probs])
    found = find_temperature(temperature * logits, classes)
    assert found == pytest.approx(temperature, rel=0.13)


def test_copies_are_of_the_sound():
    """A tone of 1000 Hz, at another speed and level."""
    rate = 16000
    levels = []
    wav = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for copy in augmented_copies(wav, rate, rng):
            peak = np.abs(np.fft.rfft(copy, 2 * rate)).argmax() / 2
            assert 849 <= peak <= 1181
            assert len(copy) == pytest.approx(rate * 1000 / peak, rel=0.01)
            levels.append(20 * np.log10(np.sqrt(2) * copy.std()))
    assert -31 < min(levels) < -22 and 0 < max(levels) < 7


@pytest.fixture(params=["no classes", "time steps", "exported"])
def source(request, tmp_path):
    """Any model can learn."""
    if request.param == "exported":
        return request.getfixturevalue("onnx_file")
    path = tmp_path / "source.onnx"
    if request.param == "time steps":
        return tiny_onnx.write_model(path, has_steps=True, pitches=PITCHES)
    return tiny_onnx.write_model(path, pitches=PITCHES, labels=[])


def test_loud_and_quiet_sounds_are_recognised(tmp_path, clips, source):
    """By what has learnt, and by what has learnt from that."""
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    report = learn(AudioTagger.from_pretrained(source), clips, first)
    assert report.counts == [6, 6, 6]
    assert report.validation.scores["accuracy"].value > 0.8
    learn(AudioTagger.from_pretrained(first), clips, second)
    for path in (first, second):
        learnt = AudioTagger.from_pretrained(path)
        assert learnt.labels == sorted(TONES) and not learnt.model.has_steps
        for tone in TONES:
            for level in (0.1, 0.01):  # as recorded, and 20 dB quieter
                wav = make_sound(tone, seed=50, level=level)
                assert learnt.tag_file(wav, RATE)[0].label == tone


def test_windows_are_as_long_as_the_clips(tmp_path, tagger):
    """As the median of clips from less than a patch to several pieces."""
    lengths = (60, 900, 1200, 1300, LONGEST + 1, 3 * LONGEST + 500)
    for name in TONES:
        (tmp_path / "clips" / name).mkdir(parents=True)
        for seed, length in enumerate(lengths):
            wav = make_sound(name, seed, seconds=length / RATE)
            sf.write(tmp_path / "clips" / name / f"{seed}.wav", wav, RATE)
    (tmp_path / "clips" / "low" / "bad.wav").write_bytes(b"no audio")
    report = learn(tagger, tmp_path / "clips", tmp_path / "my.onnx")
    assert report.counts == [6, 6, 6]
    [name] = report.not_read
    assert name.endswith("bad.wav")
    assert report.validation.scores["accuracy"].value > 0.7
    assert report.window_seconds == 1250 / RATE
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.check_window() == (1250, 312)
    assert learnt.model.max_samples == LONGEST
    for name in TONES:
        for seconds in (0.6, 1.25):
            wav = make_sound(name, 90, seconds)
            assert learnt.tag_file(wav, RATE)[0].label == name


def test_background_is_a_hidden_class(tmp_path, tagger, clips, capsys):
    """The first half of recordings is learnt from, the second listened to."""
    noise = [make_sound("noise", seed) for seed in range(15)]
    second = [make_sound("high", seed) for seed in range(70, 75)]
    second += [np.zeros(5 * RATE, np.float32), *noise[:5]]
    (tmp_path / "rooms").mkdir()
    sf.write(tmp_path / "rooms" / "1.wav", np.concatenate(noise + second), RATE)
    (tmp_path / "rooms" / "2.wav").write_bytes(b"no audio")
    learn(tagger, clips, tmp_path / "without.onnx")
    options = ["--model", tagger.model.path, "--output", tmp_path / "my.onnx"]
    options += ["--background", tmp_path / "rooms"]
    assert main(["learn", *map(str, [clips, *options])]) == 0
    printed, messages = capsys.readouterr()
    assert "   15             windows of background" in printed
    numbers = re.search(r"accuracy  (\S+) \[(\S+), (\S+)\]", printed).groups()
    accuracy, low, high = map(float, numbers)
    assert 0.5 < low < accuracy < high == 1 and accuracy > 0.8
    assert "false alarms in 0.2 minutes" in printed
    assert "0.1 minutes of background are digital silence" in printed
    [alarms] = re.findall(r"(\d+), at most .* (\d+\.\d) % .*  high", printed)
    assert int(alarms[0]) >= 1 and float(alarms[1]) >= 40
    assert "not read" in printed and "2.wav" in messages
    pause = make_sound("noise", 304, seconds=3)
    low = make_sound("low", 306, seconds=3)
    mixed = np.concatenate([pause, low, pause])
    without, learnt = [
        AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        for name in ("without", "my")
    ]
    assert without.clip_probabilities(pause, RATE).sum() > 0.99
    assert learnt.clip_probabilities(pause, RATE).sum() < 0.5
    assert len(without.tag_long(mixed, RATE)) > 1
    [event] = learnt.tag_long(mixed, RATE)
    assert event.label == "low" and event.probability > 0.5
    assert (event.start, event.end) == pytest.approx((3, 6), abs=1.1)


def test_clips_of_several_classes(tmp_path, tagger, clips, caplog):
    """Make it a model of independent classes, with learnt thresholds."""
    rows = ["path,labels"]
    for name in TONES:
        rows += [f"{name}/{n}.wav,{name};Tone" for n in range(6)]
    for seed in range(6):
        wav = make_sound("noise", 400 + seed)
        sf.write(clips / f"{seed}.wav", wav, RATE)
        rows.append(f"{seed}.wav,")
    (clips / "clips.csv").write_text("\n".join(rows))
    caplog.set_level("INFO")
    report = learn(tagger, clips, tmp_path / "my.onnx")
    assert report.background_windows == 6
    assert "clips.csv: 6 clips without a label" in caplog.text
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.model.rules.is_learnt and not learnt.model.info.single_label
    tags = learnt.tag_file(make_sound("low", 95), RATE)
    assert {tag.label for tag in tags} == {"low", "Tone"}


def test_each_clip_is_encoded_once(tmp_path, tagger, clips, monkeypatch):
    output = tmp_path / "my.onnx"
    encoded = []
    run = Model.run

    def count(model, outputs, wavs):
        encoded.extend(wavs)
        return run(model, outputs, wavs)

    def encode(tagger=tagger):
        """Learns; returns the number of waveforms that were encoded."""
        encoded.clear()
        learn(tagger, clips, output)
        return len(encoded)

    monkeypatch.setattr(Model, "run", count)
    each, probe = 1 + COPIES, 1  # the latter to learn the number of features
    assert encode() == 18 * each + probe
    first = output.read_bytes()
    assert encode() == probe
    assert output.read_bytes() == first
    sf.write(clips / "low" / "new.wav", make_sound("low", seed=60), RATE)
    sf.write(clips / "high" / "0.wav", make_sound("high", seed=61)[:900], RATE)
    assert encode() == 2 * each + probe  # a new one, and one that has changed
    info = dataclasses.replace(tagger.model.info, note="Another model.")
    copy_model(tagger.model.path, tmp_path / "other.onnx", info)
    other = AudioTagger(Model(tmp_path / "other.onnx"))
    assert encode(other) == 19 * each + probe
    cache = tmp_path / "my.onnx.npz"
    cache.write_bytes(cache.read_bytes()[:-100])
    assert encode(other) == 19 * each + probe


def test_clips_of_eval_are_only_scored(tmp_path, tagger, clips):
    """Nor are copies of them learnt from, or others of their groups."""

    def score(label_of_eval, more=()):
        """The score of the split eval, and what the model says."""
        rows = ["path,labels,split,group"]
        for name, other in zip(TONES, ("middle", "high", "low")):
            own = name if label_of_eval == "right" else other
            rows += [f"{name}/{n}.wav,{name},train," for n in range(4)]
            rows += [f"{name}/4.wav,{own},eval,{name}"]
        (clips / "clips.csv").write_text("\n".join([*rows, *more]))
        report = learn(tagger, clips, tmp_path / "my.onnx")
        score = report.eval_scores["accuracy"].value
        return score, probabilities_of(tmp_path / "my.onnx")

    right, expected = score("right")
    shutil.copy(clips / "low" / "4.wav", clips / "copy.wav")
    wrong, found = score(
        "wrong", ["copy.wav,high,train,", "middle/5.wav,low,,middle"]
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert right > wrong


def test_clips_of_a_group_are_in_one_fold():
    draw = np.random.default_rng(0)
    groups = [f"day {n}" for n in draw.integers(12, size=60)]
    targets = np.eye(3)[draw.integers(3, size=60)]
    folds = assign_folds(Examples(groups, groups, [], [], targets))
    assert set(folds) == set(range(5))
    assert len(set(zip(groups, folds))) == len(set(groups))


def test_parts_of_a_recording_are_as_clips_of_their_own(
    tmp_path, tagger, clips, capsys
):
    files = ["path,labels,group"]
    parts = ["path,labels,group,start,end"]
    (tmp_path / "parts").mkdir()
    for name in TONES:
        wavs = []
        for n in range(6):
            wavs.append(sf.read(clips / name / f"{n}.wav", dtype="int16")[0])
            files.append(f"{name}/{n}.wav,{name},{name}")
            parts.append(f"{name}.wav,{name},{name},{n},{n + 1}")
        sf.write(tmp_path / "parts" / f"{name}.wav", np.concatenate(wavs), RATE)
    parts.append("low.wav,low,low,17,18")
    found = []
    for folder, rows in ((clips, files), (tmp_path / "parts", parts)):
        (folder / "clips.csv").write_text("\n".join(rows))
        model = tmp_path / f"{folder.name}.onnx"
        options = ["--model", tagger.model.path, "--output", model]
        assert main(["learn", *map(str, [folder, *options])]) == 0
        found.append(probabilities_of(model))
    np.testing.assert_allclose(*found, atol=1e-5)
    printed = capsys.readouterr().out
    assert "low.wav, 17.0-18.0 s" in printed  # after the end
    assert "such as low.wav, 0.0-1.0 s" in printed  # is confused
    # Three groups do not show how much scores vary
    assert "accuracy" in printed and "[" not in printed


def test_parts_of_a_recording_are_recognised_by_name():
    def related(*names):
        targets = np.zeros((len(names), 1))
        return related_names(Examples(names, names, [], [], targets))

    assert related("a/Recording 1.wav", "a/Recording 2.wav") == []
    for own in (
        ["a/door_1.wav", "a/door_2.wav"],
        ["a/1-22694-A-20.wav", "a/1-22694-B-20.wav"],
        ["a/door_1a.wav", "a/door_1b.wav"],
    ):
        assert related(*own, "a/gate_1.wav", "b/door_3.wav") == own


def test_doubtful_scores_cause_warnings(tmp_path, tagger, clips, caplog):
    """Of a class of one clip, and of names like those of a recording's parts."""
    for number in range(1, 6):
        (clips / "low" / f"{number}.wav").unlink()
    for number, letter in ((0, "A"), (1, "B")):
        path = clips / "high" / f"{number}.wav"
        path.rename(path.with_name(f"bell-{letter}.wav"))
    report = learn(tagger, clips, tmp_path / "my.onnx")
    assert "all clips of low as missed" in caplog.text
    assert report.validation.scores["accuracy"].value <= 12 / 13
    assert "bell-A.wav" in caplog.text


def test_one_class_needs_background(tmp_path, tagger, clips):
    room = shutil.move(clips / "high" / "0.wav", tmp_path)
    noise = shutil.move(clips / "high", tmp_path)
    shutil.rmtree(clips / "middle")
    output = tmp_path / "my.onnx"
    with pytest.raises(InputError, match="low.* background"):
        learn(tagger, clips, output)
    report = learn(tagger, clips, output, background=room)
    assert (report.labels, report.counts) == (["low"], [6])
    # All clips of the class have the right one of one
    assert "accuracy" not in report.validation.scores
    shutil.move(noise, clips / "background")
    assert learn(tagger, clips, output).counts == [6]


def test_what_cannot_be_learnt_is_an_error(
    tmp_path, tagger, clips, monkeypatch, capsys
):
    damaged = shutil.copytree(clips, tmp_path / "damaged")
    (damaged / "empty").mkdir()
    (damaged / "empty" / "1.wav").write_bytes(b"")
    output = tmp_path / "my.onnx"
    with pytest.raises(InputError, match="empty"):
        learn(tagger, damaged, output)
    with pytest.raises(InputError):
        learn(tagger, clips, tagger.model.path)
    assert not output.exists()
    monkeypatch.chdir(tmp_path)  # without the default model
    assert main(["learn", "clips"]) == 1
    assert "results/demo" in capsys.readouterr().err
