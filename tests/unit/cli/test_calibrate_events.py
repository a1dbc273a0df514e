"""Tests of ``fftp-tag calibrate --strong_labels``.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import precision_recall_curve
from small_models import make_tagger

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.event_scores import find_events, learn_events
from speechbrain_fftp.inference.events import Timeline
from speechbrain_fftp.inference.folder import write_folder
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

RATE, LABELS = 16000, ["Dog", "Siren"]
STEP = 0.05  # seconds


@pytest.fixture
def model(tmp_path):
    """A model whose random outputs change with the level of a time step."""
    torch.manual_seed(0)
    encoder = ConvNeXt1d(
        128, 16, 0, FFTPEmbedding(128, 16, 10, 5), pooling="tokens"
    )
    classifier = FrameClassifier(16, len(LABELS))
    engine = make_tagger(
        encoder, classifier, labels=LABELS, max_frames=198
    ).engine
    write_folder(tmp_path / "model", dict(engine.mods), vars(engine.hparams))
    return tmp_path / "model"


@pytest.fixture
def data(tmp_path):
    """Prepared clips, half of which are loud in the middle; strong labels."""
    rng, folder = np.random.default_rng(0), tmp_path / "data"
    folder.mkdir()
    rows = ["ID,wav,labels"]
    events = ["filename\tonset\toffset\tevent_label"]
    for number in range(12):
        wav = 0.001 * rng.standard_normal(3 * RATE)
        wav[RATE : 2 * RATE] *= 100 if number % 2 else 1
        soundfile.write(folder / f"{number}.wav", wav, RATE)
        rows.append(f"{number},$data_root/{number}.wav,{LABELS[number % 2]}")
        if number % 2:
            events.append(f"{number}\t1.0\t2.0\tSiren")
        else:
            events.append(f"{number}\t\t\t")
    (folder / "valid.csv").write_text("\n".join(rows) + "\n", "utf-8")
    classes = ["index,mid,display_name"]
    classes += [f"{i},/m/{i},{label}" for i, label in enumerate(LABELS)]
    (folder / "classes.csv").write_text("\n".join(classes) + "\n", "utf-8")
    (folder / "prepared.json").write_text('{"complete": true}', "utf-8")
    (folder / "strong.tsv").write_text("\n".join(events) + "\n", "utf-8")
    return folder


def run(*arguments):
    return main(list(map(str, arguments)))


def average(values, steps):
    """The mean over so many steps, or those there are, around each."""
    ones = np.ones(steps)
    total = np.convolve(np.asarray(values, float), ones, "same")
    return total / np.convolve(np.ones(len(values)), ones, "same")


def f1_by_limit(true, probs):
    """F1 at each probability as the threshold, and these thresholds."""
    precision, recall, limits = precision_recall_curve(true, probs)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    return f1[:-1], limits


def test_thresholds_and_the_average_are_used(model, data, capsys):
    tagger = AudioTagger.from_pretrained(model)
    arguments = ["--model", model, "--data_folder", data]
    arguments += ["--strong_labels", data / "strong.tsv"]
    assert run("calibrate", *arguments) == 0
    printed = capsys.readouterr().out
    changed = AudioTagger.from_pretrained(model)
    seconds = changed.engine.mean_seconds
    assert f"moving average of {seconds:g} s" in printed
    steps = max(round(seconds / STEP) // 2 * 2 + 1, 1)
    probs = []
    for number in range(12):
        clip = data / f"{number}.wav"
        found = changed.analyze(clip)
        _, plain = tagger.frame_probabilities(clip)
        expected = np.stack([average(x, steps) for x in plain.T], 1)
        np.testing.assert_allclose(found.probs, expected, atol=1e-6)
        probs.append(expected[:, 1])
    true = [
        (n % 2 == 1) & (1 <= found.times) & (found.times < 2) for n in range(12)
    ]
    true, probs = np.concatenate(true), np.concatenate(probs)
    found = probs >= changed.thresholds[1]
    f1 = 2 * (true & found).sum() / (true.sum() + found.sum())
    assert f1 == pytest.approx(f1_by_limit(true, probs)[0].max(), abs=1e-6)


def test_the_average_is_the_one_whose_events_score_best(
    model, data, monkeypatch
):
    tagger = AudioTagger.from_pretrained(model)
    rng, times = np.random.default_rng(0), (np.arange(60) + 0.5) * STEP
    clips = 0.05 * rng.random((12, 60, 2), np.float32)
    gaps = rng.random((6, 20)) < 0.4
    clips[1::2, 20:40, 1] = 0.9 * ~gaps  # of 1.0 to 2.0 s

    def timeline(probs, window=0.0):
        return Timeline(times, probs, probs.max(0), 3.0, window, LABELS)

    def analyze_frames(source):
        return timeline(clips[int(Path(source).stem)])

    monkeypatch.setattr(tagger, "analyze_frames", analyze_frames)
    seconds, rows = learn_events(tagger, data, data / "strong.tsv")
    scores, true = {}, np.tile([0.0] * 20 + [1.0] * 20 + [0.0] * 20, 6)
    for length in (0.0, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0):
        steps = round(length / STEP) // 2 * 2 + 1
        probs = [average(clip[:, 1], steps) for clip in clips]
        flat = np.concatenate(probs[1::2] + probs[::2])
        target = np.concatenate([true, np.zeros(360)])
        f1, limits = f1_by_limit(target, flat)
        limit = limits[np.argmax(f1)]
        if length == seconds:
            assert rows[1][3] == pytest.approx(max(f1), abs=1e-6)
        hits = found = 0
        for number, each in enumerate(probs):
            both = np.stack([0 * each, each], 1).astype(np.float32)
            window = steps * STEP / 2 if steps > 1 else 0.0
            for event in timeline(both, window).events(limit):
                near = abs(event.start - 1) <= 0.2 and abs(event.end - 2) <= 0.2
                hits, found = hits + (near and number % 2), found + 1
        scores[length] = 2 * hits / (6 + found)
    assert scores[seconds] == max(scores.values()) > scores[0.0]


def test_events_and_clips_that_count(model, data):
    """Those of clips in the table, within their clip."""
    tagger, table = AudioTagger.from_pretrained(model), data / "strong.tsv"
    lines = table.read_text("utf-8").splitlines()
    lines = [line for line in lines if line[:2] != "2\t"]
    lines += ["1\t2.5\t9.0\tDog", "1\t3.0\t4.0\tDog", "3\t7.0\t8.0\tDog"]
    table.write_text("\n".join(lines) + "\n", "utf-8")
    found, truth = find_events(tagger, data, table, "valid")
    assert set(found) == set(truth) == {str(n) for n in range(12) if n != 2}
    assert truth["0"] == []
    assert truth["1"] == [(1.0, 2.0, "Siren"), (2.5, 3.0, "Dog")]
    assert truth["3"] == [(1.0, 2.0, "Siren")]
    _, rows = learn_events(tagger, data, table)
    times = found["1"].times
    assert rows[0][2] == ((2.5 <= times) & (times < 3)).sum()
