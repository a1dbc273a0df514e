"""Tests of learnt thresholds and rules of events, against brute force.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import re

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from tiny_onnx import LONGEST, PITCHES, RATE

from fftp_tag import evaluate
from fftp_tag.cli.main import main
from fftp_tag.score.calibrate import calibrate
from fftp_tag.score.thresholds import (
    MINIMA,
    learn_from_clips,
    learn_thresholds,
    with_rules,
)
from fftp_tag.tag.events import Timeline
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import default_rules


def f1_by_counting(true, found):
    hits = (true & found).sum()
    return 2 * hits / max(true.sum() + found.sum(), 1)


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
def test_thresholds_are_the_best_of_all_cuts(decimals):
    """Of classes with 0 to 8 positive clips of 60."""
    rng = np.random.default_rng(0)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    scores = 0.6 * rng.random((60, 9)) + 0.3 * targets
    scores = scores.astype(np.float32).round(decimals)
    thresholds = learn_thresholds(targets, scores, min_positives=4)
    assert (thresholds[:4] == 0.5).all()
    for number, limit in enumerate(thresholds[4:], start=4):
        true, column = targets[:, number] > 0, scores[:, number]
        f1 = f1_by_counting(true, column >= limit)
        cuts = [x for x in np.unique(column) if x > 0]
        scored = [f1_by_counting(true, column >= cut) for cut in cuts]
        assert f1 == pytest.approx(max(scored))
        # Half way from the highest of the best cuts to the next lower score
        cut = max(x for x, y in zip(cuts, scored) if y > max(scored) - 1e-9)
        lower = max([x for x in column if x < cut], default=0)
        assert limit == pytest.approx((cut + lower) / 2, abs=1e-7)
        assert lower < limit < cut


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(pairs, np.float32).T[:, :, None]
        return learn_thresholds(targets, scores, 1)[0]

    assert learn((1, 0.75), (0, 0.5)) == 0.625
    # Down to 0, where all clips are tagged; but never 0 itself
    assert learn((1, 0.5), (1, 0.5)) == 0.25
    assert 0 < learn((1, 0.0), (1, 0.0), (0, 0.0)) < 1e-30
    # F1 of 2/3 at 0.9 and at 0.3: the higher one
    assert learn((1, 0.9), (0, 0.5), (1, 0.3), (0, 0.4)) == pytest.approx(0.7)
    # Nothing lies between neighbours in float32
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert learn((1, high), (0, low)) == high


def test_minima_are_the_longest_that_lose_no_clip():
    """Of broken events in noise; the third class is in two clips only."""
    rng = np.random.default_rng(0)
    labels = ["Dog", "Siren", "Bell"]
    times = (np.arange(80) + 0.5) * 0.1
    timelines, targets = {}, np.zeros((16, 3), np.float32)
    for number in range(16):
        probs = 0.5 * rng.random((80, 3)) ** 4
        for c in {number % 2, 2} if number < 2 else {number % 2}:
            targets[number, c] = 1
            start = rng.uniform(0, 4)
            end = start + rng.uniform(0.5, 3)
            is_inside = (start <= times) & (times < end)
            is_gap = rng.random(80) < 0.3
            probs[is_inside & ~is_gap, c] = rng.uniform(0.35, 0.9)
        probs = probs.astype(np.float32)
        timelines[f"{number}"] = Timeline(
            times, probs, probs.max(0), 8.0, labels, default_rules(3)
        )
    probs = np.stack([found.clip_probs for found in timelines.values()])
    rules = learn_from_clips(targets, probs, timelines)
    assert rules.threshold.tolist() == learn_thresholds(targets, probs).tolist()
    assert rules.merge_gap.tolist() == [3.0] * 3
    assert rules.low == pytest.approx([0.1, 0.1, 0.5])
    anything = dataclasses.replace(rules, high=rules.low)
    for c, label in enumerate(labels[:2]):
        scores = []
        for minimum in MINIMA:
            tried = anything.replace(min_duration=minimum)
            found = [
                any(event.label == label for event in timeline.events())
                for timeline in with_rules(timelines, tried).values()
            ]
            scores.append(f1_by_counting(targets[:, c] > 0, np.array(found)))
        best = [x for x, f1 in zip(MINIMA, scores) if f1 == max(scores)]
        assert rules.min_duration[c] == max(best)
    assert 0 < rules.min_duration[:2].max()
    assert rules.min_duration[2] == 0 and rules.high[2] == 0.5


def test_events_are_as_probable_as_tells_clips_apart():
    """``high`` is between the peaks of long sounds in clips with and without."""
    times = np.arange(100) / 10 + 0.05
    timelines, targets = {}, []
    for number in range(20):
        is_true = number % 2
        probs = np.zeros((100, 1), np.float32)
        probs[10:40] = 0.2
        probs[20] = 0.8 + number / 100 if is_true else 0.5 + number / 100
        probs[90] = 0.99  # shorter than what is learnt
        timelines[f"{number}"] = Timeline(
            times, probs, probs.max(0), 10.0, ["Dog"], default_rules(1)
        )
        targets.append([is_true])
    rules = learn_from_clips(
        np.array(targets), np.full((20, 1), 0.3), timelines
    )
    assert rules.high == pytest.approx([(0.68 + 0.81) / 2])
    for number, timeline in enumerate(with_rules(timelines, rules).values()):
        times = [(event.start, event.end) for event in timeline.events()]
        expected = [pytest.approx((1.0, 4.0))] if number % 2 else []
        assert times == expected


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared folder: two of the model's classes, and another one.

    A sound is a tone with pauses.
    """
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = ["ID,wav,start,stop,labels"]
    for number in range(24):
        labels = [list(PITCHES)[number % 2], "Whistle"][: 1 + number // 20]
        start = rng.uniform(0.1, 0.8)
        end = start + rng.uniform(0.5, 1.0)
        time = np.arange(LONGEST) / RATE
        is_heard = (start <= time) & (time < end) & (time % 0.3 < 0.2)
        # The tones of all classes are heard a little
        levels = np.where(np.arange(3)[:, None] == number % 2, is_heard, 0.1)
        levels = levels * rng.uniform(0.3, 0.6, (3, 1))
        wav = (levels * tiny_onnx.cosines(LONGEST)).sum(0)
        sf.write(folder / f"{number}.wav", wav, RATE)
        wav = f"$data_root/{number}.wav"
        rows.append(f"{number},{wav},0,{LONGEST},{';'.join(labels)}")
    (folder / "valid.csv").write_text("\n".join(rows) + "\n")
    (folder / "eval.csv").write_text("\n".join(rows[:9]) + "\n")
    (folder / "classes.csv").write_text(
        "index,mid,display_name\n0,/m/0,Low\n1,/m/1,Middle\n2,/m/2,Whistle\n"
    )
    (folder / "prepared.json").write_text('{"complete": true}')
    return folder


@pytest.fixture(params=["clips", "steps"])
def model(request, tmp_path):
    """A model in the folder of its training."""
    path = tmp_path / "run" / "inference" / "model.onnx"
    path.parent.mkdir(parents=True)
    return tiny_onnx.write_model(path, has_steps=request.param == "steps")


def assert_equal(rules, expected):
    for name, values in dataclasses.asdict(expected).items():
        np.testing.assert_array_equal(getattr(rules, name), values)


def run(*arguments):
    return main(["calibrate", *map(str, arguments)])


def test_rules_are_written_into_the_model(model, data, capsys):
    before = Model(model)
    content = model.read_bytes()
    copy = model.with_name("copy.onnx")
    tagger = AudioTagger(before)
    timelines = {f"{n}": tagger.analyze(data / f"{n}.wav") for n in range(24)}
    targets = [[n % 2 == 0, n % 2 == 1, False] for n in range(24)]
    expected = learn_from_clips(
        np.array(targets, np.float32),
        np.stack([found.clip_probs for found in timelines.values()]),
        timelines if before.has_steps else {},
    )
    found = calibrate(model, data, output=copy)
    assert model.read_bytes() == content
    assert_equal(found.rules, expected)
    folder = model.parent.parent  # of its training
    assert run("--model", folder, "--data-folder", data) == 0
    after = Model(model)
    assert_equal(after.rules, expected)
    assert after.rules.threshold[2] == 0.5
    assert after.info.to_dict() == Model(copy).info.to_dict()
    unlearnt = dataclasses.replace(after.info, rules=None)
    assert unlearnt.to_dict() == before.info.to_dict()
    printed, messages = capsys.readouterr()
    assert "Whistle" in messages and str(model) in messages
    assert found.few == []
    scores = evaluate(AudioTagger(after), data, "valid").metrics
    for name, score in found.after.items():
        assert score == scores[name] > found.before[name]
        assert f"{found.before[name]:.4f}  {score:.4f}" in printed


def test_too_few_clips_change_nothing(model, data, tmp_path):
    before, output = model.read_bytes(), tmp_path / "new.onnx"
    with pytest.raises(InputError, match="nothing is learnt"):
        calibrate(model, data, "eval", output=output)
    assert model.read_bytes() == before and not output.exists()


def test_false_alarms_are_counted(model, data, tmp_path, capsys):
    """With thresholds of 0.5, or with those just learnt."""
    wav = 0.8 * tiny_onnx.cosines(5 * RATE)[0]
    wav = np.concatenate([wav, np.zeros(60 * RATE)])
    sf.write(tmp_path / "room.wav", wav, RATE)
    background = ["--background", tmp_path / "room.wav"]
    content = model.read_bytes()
    assert run("--model", model, *background) == 0
    printed = capsys.readouterr().out
    assert "1.0 minutes of background are digital silence" in printed
    low, together = printed.splitlines()[-2:]
    assert low.endswith("Low (threshold 0.500)")
    for line in (low, together):
        assert "1, at most 3" in line  # 4.74 in 5 s
        share = re.search(r"(\d+\.\d) % of the time", line)[1]
        assert float(share) >= 95
    output = tmp_path / "new.onnx"
    arguments = ["--model", model, "--data-folder", data, "--output", output]
    assert run(*arguments, *background) == 0
    assert model.read_bytes() == content
    threshold = Model(output).rules.high[0]
    assert f"Low (threshold {threshold:.3f})" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, name",
    [
        ([], "--data-folder"),
        (["--background", "x", "--split", "eval"], "--split"),
        (["--data-folder", "missing"], "missing"),
        (["--background", "missing"], "missing"),
        (["--background", "x", "--output", "new.onnx"], "--output"),
        (["--data-folder", "x", "--output", "model"], ".onnx"),
        # A published model: its conversion in the cache must not change
        (["--model", "mispeech/ced-tiny", "--data-folder", "x"], "import"),
    ],
)
def test_options_that_do_not_fit(tmp_path, capsys, options, name):
    path = tiny_onnx.write_model(tmp_path / "model.onnx")
    assert run("--model", path, *options) == 1
    assert name in capsys.readouterr().err
