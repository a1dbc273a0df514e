"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import shutil
import warnings

import numpy as np
import onnx
import pytest
import soundfile as sf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import CLIP, RATE

from fftp_tag import learn
from fftp_tag.cli.main import main
from fftp_tag.learning.classifier import find_temperature, learn_classifier
from fftp_tag.learning.features import OUTPUT
from fftp_tag.learning.learn import make_encoder, related_names
from fftp_tag.learning.recordings import COPIES, augmented_copies
from fftp_tag.learning.validate import (
    Examples,
    assign_folds,
    score_arrays,
    score_clips,
)
from fftp_tag.tag.edit import copy_model
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import Steps

TONES = {"low": 300, "middle": 1200, "high": 4800}  # in Hz


def make_sound(name, seed, seconds=1.0, level=0.1):
    """A tone of a class in noise, or noise alone."""
    draw = np.random.default_rng(seed)
    size = int(seconds * RATE)
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


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with three classes."""
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def tagger(onnx_file):
    """With random weights and other classes."""
    return AudioTagger.from_pretrained(onnx_file)


def probabilities_of(path):
    """What a model says of a quiet, a loud and a long sound."""
    sounds = [
        make_sound("low", seed=99, level=1e-3),
        make_sound("noise", seed=99, level=0.9),
        make_sound("high", seed=99, seconds=3),
    ]
    model = AudioTagger.from_pretrained(path)
    return np.stack([model.clip_probabilities(x, RATE) for x in sounds])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tagger):
    """With the features of clips, and how many of them are of tokens."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    return make_encoder(tagger.model, path)


def expected_features(model, wav):
    """The features of a clip ``[F]``, by the model without them."""
    size = max(model.max_samples, len(wav))
    start = (size - len(wav)) // 2
    noise = np.random.default_rng(0).standard_normal(2**14) * 10 ** (-50 / 20)
    centred = np.abs(wav).max() * noise[np.arange(size) % 2**14]
    centred[start : start + len(wav)] = wav
    tokens, features = model.run(["tokens", "features"], centred[None])
    tokens, features = tokens[0], features[0]
    n_frames, n_bins = features.shape
    centre = (np.arange(n_frames) + 0.5) / n_frames - 0.5
    own = np.abs(centre) <= len(wav) / size / 2 + 1e-9
    width = -(-n_bins // 64)
    bands = np.stack(
        [
            features[own, first : first + width].mean(1)
            for first in range(0, n_bins, width)
        ],
        axis=1,
    )
    rises = bands[2:] - bands[:-2]
    parts = (tokens.mean(0), tokens.std(0), tokens.max(0))
    return np.concatenate([*parts, bands.mean(0), bands.std(0), rises.std(0)])


@pytest.mark.parametrize("n_samples", [3000, 9001, CLIP])
def test_features_are_of_the_centred_clip(tagger, encoder, n_samples):
    wavs = [make_sound("low", 1, 5)[:n_samples], make_sound("high", 2, 5)]
    wavs = np.stack([wavs[0], wavs[1][:n_samples]])
    model, n_token_features = encoder
    onnx.checker.check_model(onnx.load(model.path))
    found = model.run([OUTPUT], wavs)[0]
    for wav, row in zip(wavs, found):
        expected = expected_features(tagger.model, wav)
        np.testing.assert_allclose(row, expected, atol=2e-4)
    assert n_token_features == 3 * 24
    # A clip in a longer batch
    padded = np.pad(wavs[:1], [(0, 0), (0, 1000)])
    lens = np.array([n_samples / (n_samples + 1000)], np.float32)
    if n_samples + 1000 <= CLIP:
        inputs = {"wavs": padded, "wav_lens": lens}
        again = model.session.run([OUTPUT], inputs)[0]
        np.testing.assert_allclose(again, found[:1], atol=1e-4)


@pytest.mark.parametrize(
    "n_classes, single_label, has_background",
    [(2, True, False), (3, True, True), (2, False, True), (3, False, False)],
)
def test_the_learnt_graph_is_scikit_learns(
    tmp_path, encoder, n_classes, single_label, has_background
):
    draw = np.random.default_rng(0)
    classes = draw.integers(n_classes + has_background, size=20)
    names = [*list(TONES)[:n_classes], "noise"]
    wavs = np.stack(
        [make_sound(names[c], seed) for seed, c in enumerate(classes)]
    )
    model, _ = encoder
    features = model.run([OUTPUT], wavs)[0]
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
        model.info, labels=names[:n_classes], single_label=single_label
    )
    copy_model(model.path, tmp_path / "my.onnx", info, softer.add_to)
    onnx.checker.check_model(onnx.load(tmp_path / "my.onnx"))
    learnt = Model(tmp_path / "my.onnx")
    np.testing.assert_allclose(learnt.probabilities(wavs), found, atol=1e-4)


def test_the_temperature_is_found():
    """By which the logits of known probabilities were multiplied."""
    draw = np.random.default_rng(0)
    logits = draw.standard_normal((5000, 3)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes = np.array([draw.choice(3, p=row) for row in probs])
    for temperature in (6.0, 20.0, 70.0):
        found = find_temperature(temperature * logits, classes)
        assert found == pytest.approx(temperature, rel=0.13)


def test_copies_are_of_the_sound():
    """A tone of 1000 Hz: its pitch, level and noise are known."""
    levels = []
    wav = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        copies = list(augmented_copies(wav, RATE, rng))
        assert len(copies) == COPIES
        for number, copy in enumerate(copies):
            power = np.abs(np.fft.rfft(copy, 2 * RATE)) ** 2
            peak = int(power.argmax())
            low, high = (850, 1180) if number < 2 else (920, 1080)
            assert low - 1 <= peak / 2 <= high + 1
            assert len(copy) == pytest.approx(
                RATE * 1000 / (peak / 2), rel=0.01
            )
            own = power[peak - 20 : peak + 20].sum()
            ratio = 10 * np.log10(own / (power.sum() - own))
            if number >= 2:
                assert 16 < ratio < 42
            levels.append(20 * np.log10(np.sqrt(2) * copy.std()))
    assert -31 < min(levels) < -22 and 0 < max(levels) < 7


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


def test_a_class_without_clips_or_others_can_be_learnt():
    """As in a fold."""
    features = np.random.default_rng(0).standard_normal((4, 3))
    targets = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 1]])
    for single_label in (False, True):
        classifier = learn_classifier(features, targets, single_label)
        probs = classifier.probabilities([features])
        assert probs[0, 0] > 0.99 and probs[0, 1] < 0.01


def remove_classes(graph):
    """Makes a model one without classes."""
    del graph.output[0]


def add_time_steps(graph):
    """Makes a model one of time steps, whose classes are some of the tokens."""
    steps = onnx.parser.parse_graph("""
        steps (float[batch, n, 24] tokens)
            => (float[batch, n, 5] frame_probabilities)
        <int64[1] start = {0}, int64[1] end = {5}, int64[1] axis = {2}>
        {
            some = Slice(tokens, start, end, axis)
            frame_probabilities = Sigmoid(some)
        }""")
    graph.node.extend(steps.node)
    graph.initializer.extend(steps.initializer)
    graph.output.extend(steps.output)


FORMS = {
    "clips": ({}, None),
    "no classes": ({"labels": []}, remove_classes),
    "time steps": (
        {"steps": Steps(0.06, 800)},
        add_time_steps,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_model_can_learn(tmp_path, sounds, onnx_file, form):
    source = tmp_path / "source.onnx"
    changes, change = FORMS[form]
    info = dataclasses.replace(Model(onnx_file).info, **changes)
    copy_model(onnx_file, source, info, change)
    first = AudioTagger.from_pretrained(source)
    report = learn(first, sounds, tmp_path / "first.onnx", num_workers=2)
    assert report.counts == [6, 6, 6]
    assert report.validation.scores["accuracy"].value > 0.8
    again = AudioTagger.from_pretrained(tmp_path / "first.onnx")
    learn(again, sounds, tmp_path / "again.onnx", num_workers=2)
    for name in ("first", "again"):
        learnt = AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        assert learnt.labels == sorted(TONES)
        assert not learnt.model.has_steps
        for tone in TONES:
            for level in (0.1, 0.01):  # as recorded, and 20 dB quieter
                wav = make_sound(tone, seed=50, level=level)
                assert learnt.tag_file(wav, RATE)[0].label == tone


def test_windows_are_as_long_as_the_clips(tmp_path, tagger):
    """As the median of clips from less than a patch to several pieces."""
    lengths = (1000, 9000, 12000, 13000, CLIP + 1, 3 * CLIP + 500)
    for name in TONES:
        (tmp_path / "clips" / name).mkdir(parents=True)
        for seed, length in enumerate(lengths):
            wav = make_sound(name, seed, seconds=length / RATE)
            sf.write(tmp_path / "clips" / name / f"{seed}.wav", wav, RATE)
    (tmp_path / "clips" / "low" / "bad.wav").write_bytes(b"no audio")
    report = learn(
        tagger, tmp_path / "clips", tmp_path / "my.onnx", num_workers=2
    )
    assert report.counts == [6, 6, 6]
    [name] = report.not_read
    assert name.endswith("bad.wav")
    assert report.validation.scores["accuracy"].value > 0.7
    assert report.window_seconds == 12500 / RATE
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.check_window() == (12500, 3125)
    assert learnt.model.max_samples == CLIP
    # Short and long clips are heard as they were learnt from
    for name in TONES:
        for seconds in (0.6, 1.25):
            wav = make_sound(name, 90, seconds)
            assert learnt.tag_file(wav, RATE)[0].label == name


def test_background_is_a_hidden_class(tmp_path, tagger, sounds, caplog):
    """The first half of recordings is learnt from, the second listened to."""
    noise = [make_sound("noise", seed) for seed in range(15)]
    second = [make_sound("high", seed) for seed in range(70, 75)]
    second += [np.zeros(5 * RATE, np.float32), *noise[:5]]
    (tmp_path / "rooms").mkdir()
    sf.write(tmp_path / "rooms" / "1.wav", np.concatenate(noise + second), RATE)
    (tmp_path / "rooms" / "2.wav").write_bytes(b"no audio")
    without = learn(tagger, sounds, tmp_path / "without.onnx")
    report = learn(
        tagger, sounds, tmp_path / "my.onnx", background=tmp_path / "rooms"
    )
    assert without.background_windows == 0 and without.false_alarms is None
    assert report.background_windows == 15
    assert report.single_label
    [name] = report.not_read
    assert name.endswith("2.wav") and name in caplog.text
    assert report.false_alarms.seconds == 10
    assert report.false_alarms.of_classes["high"].count >= 1
    assert report.false_alarms.of_classes["high"].share >= 0.4
    wav = make_sound("noise", 301, seconds=1)
    for name, is_heard in (("without", True), ("my", False)):
        learnt = AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        total = learnt.clip_probabilities(wav, RATE).sum()
        assert (total > 0.99) == is_heard
        assert total < 0.5 or is_heard
        assert bool(learnt.tag_long(wav, RATE)) == is_heard
        low = learnt.clip_probabilities(make_sound("low", 302), RATE)
        assert low.argmax() == learnt.labels.index("low") and low.max() > 0.5


def test_clips_of_several_classes(tmp_path, tagger, sounds, caplog):
    """Make it a model of independent classes, with learnt thresholds."""
    shutil.copytree(sounds, tmp_path / "clips")
    rows = ["path,labels"]
    for name in TONES:
        rows += [f"{name}/{n}.wav,{name};Tone" for n in range(6)]
    for seed in range(6):
        wav = make_sound("noise", 400 + seed)
        sf.write(tmp_path / "clips" / f"{seed}.wav", wav, RATE)
        rows.append(f"{seed}.wav,")
    (tmp_path / "clips" / "clips.csv").write_text("\n".join(rows))
    caplog.set_level("INFO")
    report = learn(tagger, tmp_path / "clips", tmp_path / "my.onnx")
    assert not report.single_label
    assert report.background_windows == 6
    assert "clips.csv: 6 clips without a label" in caplog.text
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.model.rules.is_learnt
    tags = learnt.tag_file(make_sound("low", 95), RATE)
    assert {tag.label for tag in tags} == {"low", "Tone"}
    with pytest.raises(InputError, match="several"):
        learn(
            tagger, tmp_path / "clips", tmp_path / "my.onnx", single_label=True
        )


def test_each_clip_is_encoded_once(tmp_path, onnx_file, sounds, monkeypatch):
    clips, output = tmp_path / "clips", tmp_path / "my.onnx"
    shutil.copytree(sounds, clips)
    encoded = []
    run = Model.run

    def count(model, outputs, wavs):
        encoded.extend(wavs)
        return run(model, outputs, wavs)

    def encode(source=onnx_file):
        """Learns; returns the number of waveforms that were encoded."""
        encoded.clear()
        learn(AudioTagger.from_pretrained(source), clips, output)
        return len(encoded)

    monkeypatch.setattr(Model, "run", count)
    each, probe = 1 + COPIES, 1  # the latter to learn the number of features
    assert encode() == 18 * each + probe
    first = output.read_bytes()
    assert encode() == probe
    assert output.read_bytes() == first
    rows = ["path,labels,split"]
    rows += [f"{name}/{n}.wav,{name}," for name in TONES for n in range(6)]
    (clips / "clips.csv").write_text("\n".join([*rows[:-1], f"{rows[-1]}eval"]))
    assert encode() == 1 + probe  # what is only scored has no copies
    (clips / "clips.csv").unlink()
    assert encode() == each + probe
    sf.write(clips / "low" / "new.wav", make_sound("low", seed=60), RATE)
    sf.write(clips / "high" / "0.wav", make_sound("high", seed=61)[:9000], RATE)
    assert encode() == 2 * each + probe  # a new one, and one that has changed
    info = dataclasses.replace(Model(onnx_file).info, note="Another model.")
    copy_model(onnx_file, tmp_path / "other.onnx", info)
    assert encode(tmp_path / "other.onnx") == 19 * each + probe
    cache = tmp_path / "my.onnx.npz"
    cache.write_bytes(cache.read_bytes()[:-100])
    assert encode(tmp_path / "other.onnx") == 19 * each + probe


def test_clips_of_eval_are_only_scored(tmp_path, tagger, sounds):
    """Nor are copies of them learnt from, or others of their groups."""
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)

    def score(label_of_eval, more=()):
        """The score of the split eval, and the model."""
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
    pieces = [np.zeros((1, 3))] * 60
    folds = assign_folds(Examples(groups, groups, pieces, pieces, targets))
    assert set(folds) == set(range(5))
    for group in set(groups):
        assert len({f for f, g in zip(folds, groups) if g == group}) == 1


def test_parts_of_a_recording_are_as_clips_of_their_own(
    tmp_path, tagger, sounds, capsys
):
    files = ["path,labels,group"]
    parts = ["path,labels,group,start,end"]
    (tmp_path / "parts").mkdir()
    for name in TONES:
        wavs = []
        for n in range(6):
            wavs.append(sf.read(sounds / name / f"{n}.wav", dtype="int16")[0])
            files.append(f"sounds/{name}/{n}.wav,{name},{name}")
            parts.append(f"{name}.wav,{name},{name},{n},{n + 1}")
        sf.write(tmp_path / "parts" / f"{name}.wav", np.concatenate(wavs), RATE)
    parts.append("low.wav,low,low,17,18")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "sounds").symlink_to(sounds)
    found = []
    for kind, rows in (("files", files), ("parts", parts)):
        (tmp_path / kind / "clips.csv").write_text("\n".join(rows))
        model = tmp_path / f"{kind}.onnx"
        options = ["--model", tagger.model.path, "--output", model]
        assert main(["learn", *map(str, [tmp_path / kind, *options])]) == 0
        found.append(probabilities_of(model))
    printed = capsys.readouterr().out
    assert "low.wav, 17.0-18.0 s" in printed  # after the end
    assert "such as low.wav, 0.0-1.0 s" in printed  # is confused
    # Three groups do not show how much scores vary
    assert "accuracy" in printed and "[" not in printed
    np.testing.assert_allclose(*found, atol=1e-5)


def test_scores_are_scikit_learns():
    draw = np.random.default_rng(0)
    targets = (draw.random((40, 4)) < 0.3).astype(np.float32)
    targets[:, 3] = 0  # is not scored
    probs = draw.random((40, 4)).astype(np.float32).round(1)  # some are equal
    tagged = probs > 0.6
    found = score_arrays(targets, probs, tagged)
    assert found["mAP"] == pytest.approx(
        average_precision_score(targets[:, :3], probs[:, :3])
    )
    assert found["macro_F1"] == pytest.approx(
        f1_score(targets[:, :3], tagged[:, :3], average="macro")
    )


def test_undefined_scores_are_missing():
    """Some need classes that some clips have and others lack."""
    clips = Examples(["a"], ["a"], [], [], np.array([[1.0, 0.0]]))
    probs = np.array([[0.7, 0.3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert score_clips(clips, probs, probs > 0.5) == {
            "accuracy": (1, None, None)
        }


def test_doubtful_scores_cause_warnings(tmp_path, tagger, sounds, caplog):
    """Of a class of one clip, and of names like those of a recording's parts."""
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)
    learn(tagger, clips, tmp_path / "all.onnx")
    assert not caplog.text
    for number in range(1, 6):
        (clips / "low" / f"{number}.wav").unlink()
    for number, letter in ((0, "A"), (1, "B")):
        path = clips / "high" / f"{number}.wav"
        path.rename(path.with_name(f"bell-{letter}.wav"))
    report = learn(tagger, clips, tmp_path / "my.onnx")
    assert "all clips of low as missed" in caplog.text
    assert report.validation.scores["accuracy"].value <= 12 / 13
    assert "bell-A.wav" in caplog.text


def test_one_class_needs_background(tmp_path, tagger, sounds):
    clips, output = tmp_path / "clips", tmp_path / "my.onnx"
    shutil.copytree(sounds / "low", clips / "low")
    with pytest.raises(InputError, match="low.* background"):
        learn(tagger, clips, output)
    room = sounds / "high" / "0.wav"
    report = learn(tagger, clips, output, background=room)
    assert (report.labels, report.counts) == (["low"], [6])
    shutil.copytree(sounds / "high", clips / "background")
    assert learn(tagger, clips, output).counts == [6]


def test_what_cannot_be_learnt_is_an_error(
    tmp_path, tagger, sounds, monkeypatch, capsys
):
    shutil.copytree(sounds, tmp_path / "clips")
    (tmp_path / "clips" / "empty").mkdir()
    (tmp_path / "clips" / "empty" / "1.wav").write_bytes(b"")
    output = tmp_path / "my.onnx"
    for folder, path, error in (
        (tmp_path / "clips", output, InputError),
        (sounds, tmp_path / "my_folder", InputError),
        (sounds, tmp_path / "none" / "my.onnx", OSError),
        (sounds, tagger.model.path, InputError),
    ):
        with pytest.raises(error):
            learn(tagger, folder, path)
    assert not output.exists()
    monkeypatch.chdir(tmp_path)  # without the default model
    assert main(["learn", "clips"]) == 1
    assert "results/demo" in capsys.readouterr().err


def test_the_path_of_a_practitioner(tmp_path, onnx_file, sounds, capsys):
    """From clips to events: learn, tag, learn one more class, tag again."""
    clips, model = tmp_path / "clips", tmp_path / "my.onnx"
    write_sounds(clips, names=["low", "middle", "background"])
    pause = make_sound("noise", seed=304, seconds=3.0)
    low = make_sound("low", seed=306, seconds=3.0)
    high = make_sound("high", seed=305, seconds=3.0)
    mixed = tmp_path / "mixed.wav"
    sf.write(mixed, np.concatenate([pause, low, pause, high, pause]), RATE)

    def run(*words):
        """What a command prints."""
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    def learn():
        """What learning prints; it has background to listen to."""
        return run(
            *("learn", clips, "--model", onnx_file, "--output", model),
            *("--background", mixed.with_name("room.wav")),
        )

    def events():
        """Labels and times of the events in the recording."""
        text = run(mixed, "--model", model, "--timeline", "--format", "csv")
        rows = [line.split(",") for line in text.splitlines()[1:]]
        return [(row[3], float(row[1]), float(row[2])) for row in rows]

    room = make_sound("noise", seed=301, seconds=20.0)
    sf.write(tmp_path / "room.wav", room, RATE)
    assert "accuracy" in learn()
    [found] = events()
    assert found[0] == "low"
    assert found[1:] == pytest.approx((3, 6), abs=1.1)
    shutil.copytree(sounds / "high", clips / "high")
    assert "high" in learn()
    first, second = events()
    assert first[0] == "low" and second[0] == "high"
    assert second[1:] == pytest.approx((9, 12), abs=1.1)
