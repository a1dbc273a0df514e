"""Tests of learnt thresholds and rules of events, against brute force.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny_onnx
from scipy.special import expit, logit
from sklearn.metrics import f1_score
from tiny_onnx import clip_path, write_clips

from fftp_tag import evaluate
from fftp_tag.cli.main import main
from fftp_tag.data.splits import assign_folds
from fftp_tag.errors import InputError
from fftp_tag.learning.calibrate import calibrate
from fftp_tag.learning.thresholds import (
    are_learnable,
    are_ranked,
    learn_event_rules,
    learn_thresholds,
)
from fftp_tag.model.info import default_rules
from fftp_tag.model.session import Model
from fftp_tag.tag.events import Timeline
from fftp_tag.tag.tagger import AudioTagger


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
def test_thresholds_are_the_best_of_all_cuts(decimals):
    """Of classes with 0 to 8 positive clips of 60: the highest of the best."""
    rng = np.random.default_rng(0)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    probs = 0.6 * rng.random((60, 9)) + 0.3 * targets
    probs = probs.astype(np.float32).round(decimals)
    thresholds = learn_thresholds(targets, probs, are_learnable(targets))
    assert (thresholds[:5] == 0.5).all()
    for number, limit in enumerate(thresholds[5:], start=5):
        true, column = targets[:, number], probs[:, number]
        f1 = {x: f1_score(true, column >= x) for x in column if x > 0}
        best = max(x for x in f1 if f1[x] > max(f1.values()) - 1e-9)
        lower = max([x for x in column if x < best], default=0)
        assert limit == pytest.approx((best + lower) / 2, abs=1e-7)


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(5 * pairs, np.float32).T[:, :, None]
        return learn_thresholds(targets, scores, are_learnable(targets))[0]

    # In the middle of the gap, which begins at 0 if all clips are positive
    assert learn((1, 0.5), (1, 0.5)) == 0.25
    # A clip of a probability of 8e-6 is missed, although F1 would gain
    assert learn((1, 0.99), (1, 8e-6), (0, 0.0)) == pytest.approx(0.495, 1e-4)
    assert learn((1, 0.0), (1, 0.0), (0, 0.0)) == 0.5
    # Nothing lies between neighbours in float32
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert learn((1, high), (0, low)) == high


def test_rules_of_events_by_hand():
    """Of classes with loud sounds of 5 and 1 s, and short false ones."""
    times = np.arange(100) / 8 + 1 / 16
    timelines, targets = [], []
    for number in range(20):
        is_true = number % 2
        probs = np.full((100, 2), 0.05, np.float32)
        probs[8:28, 0] = probs[36:48, 0] = 0.2  # with a pause of 1 s
        probs[40:48, 1] = 0.2
        loud = (0.8 if is_true else 0.5) + number / 100
        probs[20, 0] = probs[44, 1] = loud
        probs[90] = 0.99  # shorter than what is learnt
        timeline = Timeline(
            times, probs, probs.max(0), 12.5, ["Dog", "Cat"], default_rules(2)
        )
        timelines.append(timeline)
        targets.append([is_true, is_true])
    rules = learn_event_rules(
        np.array(targets), timelines, np.float32([0.3, 0.3]), np.ones(2, bool)
    )
    # Halfway between the loudest false and the quietest true clip
    assert rules.high == pytest.approx([(0.68 + 0.81) / 2] * 2)
    assert rules.low == pytest.approx([0.1] * 2)
    assert rules.min_duration.tolist() == [2.0, 1.0]
    for number, timeline in enumerate(timelines):
        timeline = dataclasses.replace(timeline, rules=rules)
        events = [(x.start, x.end, x.label) for x in timeline.events()]
        expected = [(1.0, 6.0, "Dog"), (5.0, 6.0, "Cat")]
        assert events == (expected if number % 2 else [])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of clips."""
    return write_clips(tmp_path_factory.mktemp("data") / "sounds")


@pytest.fixture(params=["clips", "steps", "of clips"])
def model(request, tmp_path):
    """A model in the folder of its training; the last learnt from clips."""
    path = tmp_path / "run" / "inference" / "model.onnx"
    path.parent.mkdir(parents=True)
    options = {}
    if request.param == "of clips":
        of_clips = dataclasses.replace(tiny_onnx.FRAME_LEVEL, of_clips=True)
        options = {"frame_level": of_clips, "thresholds": 0.9}
    is_frame_level = request.param != "clips"
    return tiny_onnx.write_model(path, is_frame_level, **options)


def run(*arguments):
    return main(["calibrate", *map(str, arguments)])


def test_rules_are_written_into_the_model(model, data):
    """Those of all clips, as the data have no splits."""
    before = AudioTagger(Model(model))
    scores = evaluate(before, data)
    learnable = np.ones(3, bool)
    thresholds = learn_thresholds(scores.targets, scores.probs, learnable)
    expected = {"threshold": thresholds, "low": thresholds, "high": thresholds}
    if before.model.is_frame_level:
        timelines = [before.analyze(clip_path(data, x)) for x in scores.ids]
        rules = learn_event_rules(
            scores.targets, timelines, thresholds, learnable
        )
        if before.model.info.frame_level.of_clips:  # events keep their rules
            rules = before.model.rules
        expected = {**vars(rules), "threshold": thresholds}
    folder = model.parent.parent  # of its training
    yaml = model.with_name("hyperparams.yaml")  # for SpeechBrain
    yaml.write_text("a: 1")
    thresholds_file = model.with_name("thresholds.json")
    thresholds_file.write_text('{"Low": 0.9}')
    options = ["--data-folder", data, "--output", model]
    assert run("--model", folder, *options) == 0
    after = AudioTagger(Model(model))
    for name, values in {**expected, "is_learnt": True}.items():
        np.testing.assert_array_equal(getattr(after.model.rules, name), values)
    infos = [
        dataclasses.replace(x.model.info, rules=None).to_dict()
        for x in (before, after)
    ]
    assert infos[0] == infos[1]
    values = dict(zip(after.labels, thresholds.tolist()))
    assert json.loads(thresholds_file.read_text()) == values
    assert yaml.read_text() == "a: 1"


def list_groups(data, size, few=()):
    """Lists clips, ``size`` of a group; of some classes four."""
    rows = ["path,labels,group"]
    for number, path in enumerate(sorted(data.rglob("*.wav"))):
        label = path.parent.name
        if label not in few or int(path.stem) < 4:
            rows.append(f"{label}/{path.name},{label},{number // size}")
    (data / "clips.csv").write_text("\n".join(rows))
    return [row.split(",")[2] for row in rows[1:]]


def test_learnt_rules_are_scored_on_other_groups(data, tmp_path):
    """Groups are in one fold, and the rules of a fold are of the others."""
    path = tiny_onnx.write_model(tmp_path / "model.onnx")
    groups = list_groups(shutil.copytree(data, tmp_path / "data"), 3)
    found = calibrate(path, tmp_path / "data", tmp_path / "new.onnx")
    clips = evaluate(AudioTagger(Model(path)), tmp_path / "data")
    true, probs, every = clips.targets, clips.probs, np.ones(3, bool)
    folds = assign_folds(true, groups)
    assert len(set(zip(folds, groups))) == 7 and found.n_clips == 21
    tagged = np.zeros((21, 3))
    for fold in range(found.n_folds):
        own, others = folds == fold, folds != fold
        limits = learn_thresholds(true[others], probs[others], every)
        tagged[own] = probs[own] >= limits
    for scores, tags in ((found.before, probs >= 0.5), (found.after, tagged)):
        for name in ("macro", "micro"):
            expected = f1_score(true, tags, average=name)
            assert scores.f1[f"{name}_F1"] == pytest.approx(expected)
    assert (found.rules.threshold == learn_thresholds(true, probs, every)).all()


def test_classes_with_few_clips_keep_their_rules(data, tmp_path):
    """Those of the model; if it has none, the medians of the others'."""
    path = tiny_onnx.write_model(
        tmp_path / "model.onnx", thresholds=[0.2, 0.9, 0.2], merge_gap=0.3
    )
    folder, new = tmp_path / "data", tmp_path / "new.onnx"
    list_groups(shutil.copytree(data, folder), 1, few=["Middle"])
    found = calibrate(path, folder, new)
    assert found.few == ["Middle"]
    kept = found.rules.threshold == np.float32([0.2, 0.9, 0.2])
    assert kept.tolist() == [False, True, False]
    assert found.rules.merge_gap == pytest.approx([0, 0.3, 0])
    plain = tiny_onnx.write_model(tmp_path / "plain.onnx")
    low, middle, high = calibrate(plain, folder, new).rules.threshold
    assert middle == pytest.approx((low + high) / 2)
    list_groups(folder, 21)
    with pytest.raises(InputError, match="other recordings"):
        calibrate(path, folder, new)
    list_groups(folder, 11)
    assert calibrate(path, folder, new).n_folds == 2


def test_few_clips_shift_all_thresholds(data, tmp_path, capsys):
    """By that of all whole hundredths of a logit which has the best micro F1."""
    before = [0.02, 0.1, 0.01]
    path = tiny_onnx.write_model(tmp_path / "model.onnx", thresholds=before)
    folder, new = tmp_path / "data", tmp_path / "new.onnx"
    list_groups(shutil.copytree(data, folder), 1, tiny_onnx.PITCHES)
    command = ["calibrate", "--model", path, "--data-folder", folder]
    assert main([*map(str, [*command, "--output", new])]) == 0
    assert "shifted together" in capsys.readouterr().out
    after = Model(new).rules.threshold
    shift = logit(after) - logit(before)
    np.testing.assert_allclose(shift, shift[0], atol=1e-4)
    clips = evaluate(AudioTagger(Model(path)), folder)

    def micro_f1(shift):
        """Of tags."""
        tagged = clips.probs >= expit(logit(before) + shift)
        return f1_score(clips.targets, tagged, average="micro")

    best = max(micro_f1(x / 100) for x in range(-700, 700))
    assert micro_f1(shift[0]) == pytest.approx(best) and best > micro_f1(0)


@pytest.mark.parametrize("is_frame_level", [False, True])
def test_a_class_ranked_by_chance_is_never_found(
    data, tmp_path, caplog, is_frame_level
):
    """Here, Middle is the label of every second clip, whatever is heard."""
    path = tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level)
    folder, new = tmp_path / "data", tmp_path / "new.onnx"
    shutil.copytree(data, folder)
    rows = ["path,labels"]
    for number, clip in enumerate(sorted(folder.rglob("*.wav"))):
        labels = {clip.parent.name} - {"Middle"}
        labels |= {"Middle"} if number % 2 else set()
        rows.append(f"{clip.relative_to(folder).as_posix()},{';'.join(labels)}")
    (folder / "clips.csv").write_text("\n".join(rows))
    found = calibrate(path, folder, new)
    low, middle, high = found.rules.threshold
    assert middle == 1 and low < 1 and high < 1
    assert found.rules.high[1] == 1
    (warning,) = (x for x in caplog.records if x.levelname == "WARNING")
    assert warning.getMessage().endswith(": Middle")
    tagger = AudioTagger(Model(new))
    sounds = [clip_path(data, f"{x}/0") for x in ("Low", "Middle")]
    assert [[x.label for x in tagger.tag_file(s)] for s in sounds] == [
        ["Low"],
        [],
    ]
    if is_frame_level:
        assert [[x.label for x in tagger.tag_long(s)] for s in sounds] == [
            ["Low"],
            [],
        ]


def test_ranked_classes_are_better_than_tags_of_all_clips():
    """By F1, of all pairs of labels and tags of four clips."""
    cells = np.array(list(np.ndindex(*8 * [2]))).reshape(-1, 2, 4).astype(bool)
    true, tagged = cells[:, 0].T, cells[:, 1].T
    expected = [
        t.all()
        or f1_score(t, x, zero_division=0)
        > f1_score(t, np.ones(4), zero_division=0)
        for t, x in zip(true.T, tagged.T)
    ]
    assert are_ranked(true, tagged).tolist() == expected
