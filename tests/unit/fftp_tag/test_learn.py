"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import numpy as np
import onnx
import pytest
import soundfile as sf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import CLIP, RATE

from fftp_tag.cli.main import main
from fftp_tag.clip_classifier import clip_features, learn_classifier
from fftp_tag.cross_validation import Examples, assign_folds, score_arrays
from fftp_tag.edit import write_model
from fftp_tag.model import Model
from fftp_tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError

TONES = {"low": 300, "middle": 1200, "high": 4800}  # in Hz
NEW_CLASSES = {"steps": None, "thresholds": None}


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


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("single_label", [False, True])
def test_the_learnt_graph_is_scikit_learns(
    tmp_path, tagger, n_classes, single_label
):
    draw = np.random.default_rng(0)
    classes = draw.integers(n_classes, size=20)
    wavs = np.stack(
        [make_sound(list(TONES)[c], seed) for seed, c in enumerate(classes)]
    )
    features = clip_features(tagger.model.run(["tokens"], wavs)[0])
    targets = np.eye(n_classes)[classes]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    if single_label:
        expected = pipeline.fit(features, classes).predict_proba(features)
    else:
        expected = [
            pipeline.fit(features, column).predict_proba(features)[:, 1]
            for column in targets.T
        ]
        expected = np.stack(expected, axis=1)
    classifier = learn_classifier(features, targets, single_label)
    found = classifier.probabilities(list(features[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    write_model(
        tagger.model.path,
        tmp_path / "my.onnx",
        {
            "labels": list(TONES)[:n_classes],
            "single_label": single_label,
            **NEW_CLASSES,
        },
        classifier.add_to,
    )
    onnx.checker.check_model(onnx.load(tmp_path / "my.onnx"))
    model = Model(tmp_path / "my.onnx")
    np.testing.assert_allclose(model.probabilities(wavs), found, atol=1e-5)
    short = wavs[:1, :9000]
    padded = np.pad(short, [(0, 0), (0, 7000)])
    inputs = {"wavs": padded, "wav_lens": np.array([9 / 16], np.float32)}
    np.testing.assert_allclose(
        model.session.run(["probabilities"], inputs)[0],
        model.probabilities(short),
        atol=1e-5,
    )


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
        {"steps": {"first_seconds": 0.06, "step_samples": 800}},
        add_time_steps,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_model_can_learn(tmp_path, sounds, onnx_file, form):
    source = tmp_path / "source.onnx"
    write_model(onnx_file, source, *FORMS[form])
    first = AudioTagger.from_pretrained(source)
    report = first.learn(sounds, tmp_path / "first.onnx", num_workers=2)
    assert report["clips"] == dict.fromkeys(sorted(TONES), 6)
    assert report["scores"]["accuracy"]["value"] > 0.8
    again = AudioTagger.from_pretrained(tmp_path / "first.onnx")
    again.learn(sounds, tmp_path / "again.onnx", num_workers=2)
    for name in ("first", "again"):
        learnt = AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        assert learnt.labels == sorted(TONES)
        assert not learnt.model.has_steps
        for tone in TONES:
            wav = make_sound(tone, seed=50)
            assert learnt.tag_file(wav, RATE)[0].label == tone
        np.testing.assert_allclose(
            learnt.embed_file(wav, RATE), first.embed_file(wav, RATE), atol=1e-5
        )
    np.testing.assert_allclose(
        probabilities_of(tmp_path / "first.onnx"),
        probabilities_of(tmp_path / "again.onnx"),
        atol=1e-4,
    )


def test_clips_of_different_lengths_are_learnt(tmp_path, tagger, sounds):
    """From less than a patch to more than the maximum clip length."""
    lengths = (1000, 9000, RATE, CLIP + 1, 3 * CLIP + 500, 12345)
    for name in TONES:
        (tmp_path / "clips" / name).mkdir(parents=True)
        for seed, length in enumerate(lengths):
            wav = make_sound(name, seed, seconds=length / RATE)
            sf.write(tmp_path / "clips" / name / f"{seed}.wav", wav, RATE)
    (tmp_path / "clips" / "low" / "bad.wav").write_bytes(b"no audio")
    report = tagger.learn(
        tmp_path / "clips", tmp_path / "my.onnx", num_workers=2
    )
    assert report["clips"] == dict.fromkeys(sorted(TONES), 6)
    [name] = report["not_read"]
    assert name.endswith("bad.wav")
    assert report["scores"]["accuracy"]["value"] > 0.7


def test_each_clip_is_encoded_once(tmp_path, onnx_file, sounds, monkeypatch):
    clips, output = tmp_path / "clips", tmp_path / "my.onnx"
    shutil.copytree(sounds, clips)
    encoded = []
    run = Model.run

    def count(model, outputs, wavs):
        encoded.extend(wavs)
        return run(model, outputs, wavs)

    def learn(source=onnx_file):
        """Learns; returns the number of waveforms that were encoded."""
        encoded.clear()
        AudioTagger.from_pretrained(source).learn(clips, output)
        return len(encoded)

    monkeypatch.setattr(Model, "run", count)
    assert learn() == 18
    first = output.read_bytes()
    assert learn() == 0
    assert output.read_bytes() == first
    sf.write(clips / "low" / "new.wav", make_sound("low", seed=60), RATE)
    sf.write(clips / "high" / "0.wav", make_sound("high", seed=61)[:9000], RATE)
    assert learn() == 2  # a new one, and one that has changed
    write_model(onnx_file, tmp_path / "other.onnx", {"thresholds": [0.1] * 5})
    assert learn(tmp_path / "other.onnx") == 19


def test_clips_of_eval_are_only_scored(tmp_path, tagger, sounds):
    """Nor are copies of them learnt from, or others of their groups."""
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)

    def learn(label_of_eval, more=()):
        """The score of the split eval, and the model."""
        rows = ["path,labels,split,group"]
        for name, other in zip(TONES, ("middle", "high", "low")):
            own = name if label_of_eval == "right" else other
            rows += [f"{name}/{n}.wav,{name},train," for n in range(4)]
            rows += [f"{name}/4.wav,{own},eval,{name}"]
        (clips / "clips.csv").write_text("\n".join([*rows, *more]))
        report = tagger.learn(clips, tmp_path / "my.onnx")
        score = report["scores_of_eval"]["accuracy"]["value"]
        return score, probabilities_of(tmp_path / "my.onnx")

    right, expected = learn("right")
    shutil.copy(clips / "low" / "4.wav", clips / "copy.wav")
    wrong, found = learn(
        "wrong", ["copy.wav,high,train,", "middle/5.wav,low,,middle"]
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert right > wrong


def test_clips_of_a_group_are_in_one_fold():
    draw = np.random.default_rng(0)
    groups = [f"day {n}" for n in draw.integers(12, size=60)]
    targets = np.eye(3)[draw.integers(3, size=60)]
    pieces = [np.zeros((1, 3))] * 60
    folds = assign_folds(Examples(groups, groups, pieces, targets))
    assert set(folds) == set(range(5))
    for group in set(groups):
        assert len({f for f, g in zip(folds, groups) if g == group}) == 1


def test_parts_of_a_recording_are_as_clips_of_their_own(
    tmp_path, tagger, sounds
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
        output = tmp_path / f"{kind}.onnx"
        report = tagger.learn(tmp_path / kind, output)
        assert len(report["not_read"]) == (kind == "parts")  # after the end
        found.append(probabilities_of(output))
    np.testing.assert_allclose(*found, atol=1e-5)


def test_thresholds_are_raised_for_background(tmp_path, tagger, sounds):
    """Whose second half has tones, and whose first half is learnt from."""
    noise = [make_sound("noise", seed) for seed in range(20)]
    second = [
        make_sound(name, seed, seconds=2)
        for seed in range(70, 75)
        for name in ("high", "noise")
    ]
    (tmp_path / "rooms").mkdir()
    sf.write(tmp_path / "rooms" / "1.wav", np.concatenate(noise + second), RATE)
    (tmp_path / "rooms" / "2.wav").write_bytes(b"no audio")

    def learn(per_hour):
        """The report, with thresholds that are those of the model."""
        report = tagger.learn(
            sounds, tmp_path / "my.onnx", tmp_path / "rooms", per_hour
        )
        assert report["clips_of_no_class"] >= 10
        assert len(report["not_read"]) == 1
        rules = Model(tmp_path / "my.onnx").rules
        values = list(report["thresholds"].values())
        assert rules.threshold.tolist() == pytest.approx(values)
        return report

    before, after = learn(None), learn(0)
    assert before["false_alarms_per_hour"]["high"] >= 360
    assert set(after["false_alarms_per_hour"].values()) == {0.0}
    assert after["thresholds"]["high"] > before["thresholds"]["high"]
    assert after["thresholds"]["low"] >= before["thresholds"]["low"]


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


def test_what_cannot_be_learnt_is_an_error(tmp_path, tagger, sounds):
    shutil.copytree(sounds, tmp_path / "clips")
    (tmp_path / "clips" / "empty").mkdir()
    (tmp_path / "clips" / "empty" / "1.wav").write_bytes(b"")
    output = tmp_path / "my.onnx"
    for folder, path, options in (
        (tmp_path / "clips", output, {}),
        (sounds, tmp_path / "my_folder", {}),
        (sounds, tmp_path / "none" / "my.onnx", {}),
        (sounds, tagger.model.path, {}),
        (sounds, output, {"max_false_alarms": 1}),
        (sounds, output, {"single_label": True, "background": sounds}),
    ):
        is_writable = path != tmp_path / "none" / "my.onnx"
        with pytest.raises(InputError if is_writable else OSError):
            tagger.learn(folder, path, **options)
    assert not output.exists()


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
            *("--max-false-alarms", 1),
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
