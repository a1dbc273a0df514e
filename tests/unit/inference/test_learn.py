"""Tests of learning classes from a few clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import RATE, make_tagger

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger, heads
from speechbrain_fftp.inference.cross_validation import score_arrays
from speechbrain_fftp.inference.events import Timeline
from speechbrain_fftp.inference.false_alarms import (
    false_alarms_per_hour,
    raise_thresholds,
)
from speechbrain_fftp.inference.folder import write_folder
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

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
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(count):
            wav = make_sound(
                name, seed=10 * sorted({*TONES, *names}).index(name) + seed
            )
            sf.write(folder / name / f"{seed}.wav", wav, RATE)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with three classes."""
    return write_sounds(tmp_path_factory.mktemp("sounds"))


def random_tagger(form, single_label=False):
    """A tagger with random weights and the classes A and B, or without."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(40, 24, patch_frames=10, stride_frames=5)
    sizes = {
        "n_mels": 40,
        "embed_dim": 24,
        "depth": 1,
        "embedding": embedding,
    }
    labels = "" if form == "no classes" else "AB"
    if form == "time steps":
        encoder = ConvNeXt1d(**sizes, pooling="tokens")
        classifier = FrameClassifier(24, 2)
    else:
        encoder = AST(**sizes, num_heads=2, max_frames=200)
        classifier = torch.nn.Sequential(
            torch.nn.LayerNorm(24), torch.nn.Linear(24, 2)
        )
    if form == "no classes":
        classifier = None
    return make_tagger(
        encoder,
        classifier,
        labels,
        single_label=single_label,
        max_frames=200,
    )


def true_tone(path):
    """The class of a sound, by its folder."""
    return path.parent.name


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("single_label", [False, True])
def test_the_linear_layer_is_scikit_learns(n_classes, single_label):
    draw = np.random.default_rng(0)
    classes = draw.integers(n_classes, size=60)
    scales = np.array([1e-3, 1.0, 50.0, 0.1])
    features = draw.standard_normal((60, 4)) + classes[:, None]
    features = (features * scales).astype(np.float32)
    targets = np.eye(n_classes)[classes]
    linear = heads.fit_linear(features, targets, 0.3, single_label)
    with torch.no_grad():
        logits = linear(torch.from_numpy(features))
    regression = LogisticRegression(C=0.3, max_iter=1000)
    pipeline = make_pipeline(StandardScaler(), regression)
    if single_label:
        found = logits.softmax(-1).numpy()
        expected = pipeline.fit(features, classes).predict_proba(features)
    else:
        found = logits.sigmoid().numpy()
        expected = np.stack(
            [
                pipeline.fit(features, column).predict_proba(features)[:, 1]
                for column in targets.T
            ],
            axis=1,
        )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_clips_of_different_lengths_are_learned(tmp_path, sounds):
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)
    for number, path in enumerate(sorted(clips.rglob("*.wav"))):
        wav = sf.read(path)[0]
        sf.write(path, wav[: len(wav) - 1500 * (number % 4)], RATE)
    engine = random_tagger("time steps").engine
    model = AudioTagger(
        TorchEngine(dict(engine.mods), vars(engine.hparams), threads=2)
    )
    report = model.learn(clips, tmp_path / "model")
    learned = AudioTagger.from_pretrained(tmp_path / "model")
    assert learned.labels == sorted(TONES)
    assert report["clips"] == dict.fromkeys(sorted(TONES), 6)
    for name in TONES:
        wav = make_sound(name, seed=50)
        assert learned.tag(wav, RATE, top_k=1)[0].label == name
    scores = report["scores"]
    assert scores["accuracy"]["value"] > 0.8
    assert scores["mAP"]["low"] <= scores["mAP"]["value"]


@pytest.mark.parametrize("form", ["clips", "no classes"])
def test_learning_and_tagging_compute_the_same(tmp_path, sounds, form):
    model = random_tagger(form)
    report = model.learn(sounds, tmp_path / "model")
    learned = AudioTagger.from_pretrained(tmp_path / "model")
    paths = sorted(sounds.rglob("*.wav"))
    before = torch.nn.Identity()
    if form == "clips":
        before = model.engine.mods.classifier[0]
    features = []
    for path in paths:
        wav = torch.from_numpy(model.load_wav(path))
        features.append(before(model.encode_batch(wav))[0, 0].numpy())
    classes = np.array([true_tone(path) for path in paths])
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=report["regularization"])
    )
    quiet = make_sound("low", seed=99, level=1e-3)
    loud = make_sound("noise", seed=99, level=0.9)
    for label in TONES:
        pipeline.fit(features, classes == label)
        for wav in (quiet, loud, make_sound("high", seed=1)):
            row = before(model.encode_batch(torch.from_numpy(wav)))[0, 0]
            expected = pipeline.predict_proba([row.numpy()])[0, 1]
            tags = learned.tag(wav, RATE)
            [found] = [t.probability for t in tags if t.label == label]
            assert found == pytest.approx(expected, abs=1e-5)


def test_time_steps_minimise_the_pooled_loss():
    """The gradient of the loss that training has is zero, and not before."""
    draw = torch.Generator().manual_seed(0)
    tokens = [torch.randn(n, 6, generator=draw) for n in (9, 4, 7, 12, 5)]
    targets = torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
    classifier = FrameClassifier(6, 2, has_norm=False).eval()

    def gradient(classifier):
        """Of the loss of unscaled weights, which standardised inputs have."""
        weight = heads.last_linear(classifier).weight
        bias = heads.last_linear(classifier).bias
        steps = torch.cat(tokens)
        scaled = weight * steps.std(0)
        loss = scaled.square().sum() / (2 * 0.5)
        for clip, target in zip(tokens, targets):
            loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(
                classifier(clip[None])[0, 0], target, reduction="sum"
            )
        return torch.cat(
            [x.flatten() for x in torch.autograd.grad(loss, (weight, bias))]
        )

    found = heads.fit_time_steps(
        classifier,
        [clip.numpy() for clip in tokens],
        targets.numpy(),
        regularization=0.5,
    )
    assert gradient(classifier).norm() > 0.1
    assert gradient(found).norm() < 0.01


@pytest.mark.parametrize("form", ["clips", "time steps"])
def test_classes_are_kept(tmp_path, sounds, form):
    model = random_tagger(form)
    model.learn(sounds, tmp_path / "model", keep_classes=True)
    learned = AudioTagger.from_pretrained(tmp_path / "model")
    assert learned.labels == ["A", "B", *sorted(TONES)]
    wavs = np.stack([make_sound(name, seed=7) for name in (*TONES, "noise")])
    before = model.engine.probabilities(wavs)
    after = learned.engine.probabilities(wavs)
    np.testing.assert_allclose(after[:, :2], before, rtol=0, atol=1e-7)
    model.learn(sounds, tmp_path / "alone")
    alone = AudioTagger.from_pretrained(tmp_path / "alone")
    np.testing.assert_allclose(
        after[:, 2:], alone.engine.probabilities(wavs), rtol=0, atol=1e-6
    )


def test_each_clip_is_encoded_once(tmp_path, sounds):
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)
    encoded = []

    def learn(output="model", form="clips"):
        """Learns; returns the number of waveforms that were encoded."""
        model = random_tagger(form)
        compute = model.engine.tokens

        def count(wavs, lens):
            encoded.extend(wavs)
            return compute(wavs, lens)

        model.engine.tokens = count
        encoded.clear()
        model.learn(clips, tmp_path / output)
        return len(encoded)

    assert learn() == 18
    first = (tmp_path / "model" / "model.safetensors").read_bytes()
    assert learn() == 0
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == first
    sf.write(clips / "low" / "new.wav", make_sound("low", seed=60), RATE)
    sf.write(clips / "high" / "0.wav", make_sound("high", seed=61)[:9000], RATE)
    assert learn() == 2  # a new one, and one that has changed
    shutil.copytree(tmp_path / "model", tmp_path / "of_another")
    assert learn("of_another", form="no classes") == 0  # the same encoder
    assert learn("of_another", form="time steps") == 19


def test_clips_of_eval_are_only_scored(tmp_path, sounds):
    """Nor are copies of them learned from, or others of their groups."""
    clips = tmp_path / "clips"
    shutil.copytree(sounds, clips)

    def learn(output, label_of_eval, more=()):
        """The score of the split eval, and the weights."""
        rows = ["path,labels,split,group"]
        for name, other in zip(TONES, ("middle", "high", "low")):
            own = name if label_of_eval == "right" else other
            rows += [f"{name}/{n}.wav,{name},train," for n in range(4)]
            rows += [f"{name}/4.wav,{own},eval,{name}"]
        (clips / "clips.csv").write_text("\n".join([*rows, *more]))
        report = random_tagger("clips").learn(clips, tmp_path / output)
        weights = load_file(tmp_path / output / "model.safetensors")
        return report["scores_of_eval"]["accuracy"]["value"], weights

    right, weights = learn("right", "right")
    shutil.copy(clips / "low" / "4.wav", clips / "copy.wav")
    wrong, others = learn(
        "wrong", "wrong", ["copy.wav,high,train,", "middle/5.wav,low,,middle"]
    )
    # Clips are encoded in other batches
    torch.testing.assert_close(weights, others, rtol=1e-3, atol=1e-4)
    assert right > wrong


def test_thresholds_are_raised_as_little_as_needed():
    """Peaks are known: the second highest of an hour may stay."""
    probs = np.zeros((3600, 2), np.float32)
    peaks = [0.9, 0.8, 0.7, 0.6]
    probs[np.arange(4) * 100 + 50, 0] = peaks
    probs[10, 1] = 0.3
    times = np.arange(3600) + 0.5
    timeline = Timeline(times, probs, probs.max(0), 3600.0, 0.0, ["a", "b"])
    start = np.array([0.5, 0.4], np.float32)
    assert false_alarms_per_hour([timeline], start) == {"a": 4, "b": 0}
    for allowed, expected in ((4, 0.5), (2, 0.7), (1, 0.8), (0.5, 0.9)):
        raised = raise_thresholds([timeline], start, allowed)
        assert raised == pytest.approx([expected, 0.4], abs=1e-6)
        alarms = false_alarms_per_hour([timeline], raised)
        assert alarms["a"] <= allowed


def test_scores_are_scikit_learns():
    draw = np.random.default_rng(0)
    targets = (draw.random((40, 4)) < 0.3).astype(np.float32)
    targets[:, 3] = 0  # is not scored
    probs = draw.random((40, 4)).astype(np.float32)
    tagged = probs > 0.6
    found = score_arrays(targets, probs, tagged)
    assert found["mAP"] == pytest.approx(
        average_precision_score(targets[:, :3], probs[:, :3])
    )
    assert found["macro_F1"] == pytest.approx(
        f1_score(targets[:, :3], tagged[:, :3], average="macro")
    )


def test_parts_of_a_recording_are_as_clips_of_their_own(tmp_path, sounds):
    tables = {"files": ["path,labels,group"], "parts": []}
    tables["parts"].append("path,labels,group,start,end")
    for name in TONES:
        wavs = []
        for number in range(6):
            path = sounds / name / f"{number}.wav"
            wavs.append(sf.read(path, dtype="int16")[0])
            tables["files"].append(f"sounds/{name}/{number}.wav,{name},{name}")
            tables["parts"].append(
                f"{name}.wav,{name},{name},{number},{number + 1}"
            )
        (tmp_path / "parts").mkdir(exist_ok=True)
        wav = np.concatenate(wavs)
        sf.write(tmp_path / "parts" / f"{name}.wav", wav, RATE)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "sounds").symlink_to(sounds)
    weights = []
    for kind, rows in tables.items():
        (tmp_path / kind / "clips.csv").write_text("\n".join(rows))
        random_tagger("clips").learn(
            tmp_path / kind, tmp_path / f"{kind}_model"
        )
        path = tmp_path / f"{kind}_model" / "model.safetensors"
        weights.append(path.read_bytes())
    assert weights[0] == weights[1]


def test_the_path_of_a_practitioner(tmp_path, sounds, capsys):
    """From clips to events: learn, evaluate, calibrate, tag, export."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")

    def run(*words):
        """What a command prints."""
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    def events(model):
        """Events of the mixed recording."""
        words = [mixed, "--model", model, "--timeline", "--format", "json"]
        words += [
            "--threshold",
            "auto",
            "--merge_gap",
            0.3,
            "--min_duration",
            0.3,
        ]
        [found] = json.loads(run(*words))
        return found["events"]

    base = random_tagger("time steps").engine
    write_folder(tmp_path / "base", dict(base.mods), vars(base.hparams))
    clips, held_out = tmp_path / "clips", tmp_path / "held out"
    shutil.copytree(sounds, clips)
    write_sounds(clips, names=["background"])
    for name in (*TONES, "background"):
        (held_out / name).mkdir(parents=True)
        for seed in range(200, 204):
            wav = make_sound(name, seed)
            sf.write(held_out / name / f"{seed}.wav", wav, RATE)
    for name, seed in (("known", 301), ("unseen", 302), ("later", 303)):
        wav = make_sound("noise", seed, seconds=20.0)
        sf.write(tmp_path / f"{name}.wav", wav, RATE)
    pause = make_sound("noise", seed=304, seconds=2.0)
    high, low = make_sound("high", seed=305), make_sound("low", seed=306)
    mixed = tmp_path / "mixed.wav"
    sf.write(mixed, np.concatenate([pause, high, pause, low, pause]), RATE)

    model = tmp_path / "model"
    words = ["learn", clips, "--model", tmp_path / "base", "--output", model]
    words += ["--background", tmp_path / "known.wav"]
    assert "accuracy" in run(*words)
    scores = run("evaluate", "--model", model, "--data_folder", held_out)
    assert scores.startswith("split    all\n")
    assert float(scores.splitlines()[1].split()[1]) > 0.8  # mAP
    words = ["calibrate", "--model", model, "--max_false_alarms", 1]
    run(*words, "--background", tmp_path / "unseen.wav")
    words = [tmp_path / "later.wav", "--model", model, "--timeline"]
    assert (
        run(*words, "--threshold", "auto", "--format", "csv").count("\n") == 1
    )
    found = events(model)
    assert [event["label"] for event in found] == ["high", "low"]
    for event, start in zip(found, (2.0, 5.0)):
        assert event["start"] == pytest.approx(start, abs=0.2)
        assert event["end"] == pytest.approx(start + 1, abs=0.2)
    exported = tmp_path / "model.onnx"
    words = ["export", "--model", model, "--to", "onnx", "--output", exported]
    run(*words)
    for other, event in zip(events(exported), found, strict=True):
        assert other["label"] == event["label"]
        for key in ("start", "end", "probability"):
            assert other[key] == pytest.approx(event[key], abs=1e-3)
