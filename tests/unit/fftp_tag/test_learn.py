"""Tests of learning classes from a few clips, by what comes out of it.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import dataclasses
import itertools
import json
import os
import random
import shutil

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from scipy.special import expit, logit
from scipy.stats import ttest_rel
from sklearn.metrics import f1_score
from tiny_onnx import LONGEST, RATE

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.learning.validate import Validation, measure_gain
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model

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


def write_table(folder, rows):
    """Writes which clips are learnt from."""
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(itertools.chain(*rows)))
        writer.writeheader()
        writer.writerows(rows)


def read_model(path):
    return AudioTagger.from_pretrained(path)


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
    return read_model(tiny_onnx.write_model(path, pitches=PITCHES))


@pytest.fixture
def my(tmp_path):
    """What is written."""
    return tmp_path / "my.onnx"


@pytest.mark.parametrize("several", [False, True])
def test_a_fold_is_classified_by_the_others_alone(tagger, clips, my, several):
    """Its own labels change nothing but, of one class, how sure it is, which is
    found on the others by what has learnt from it.
    """
    of_folds = {}
    for change in (0, 1):
        rows = []
        for (c, name), n in itertools.product(enumerate(TONES), range(6)):
            label = [*TONES][(c + change * (n % 3 == 0)) % 3]
            if several and n < 3:
                label += ";Tone"
            path = f"{name}/{n}.wav"
            rows.append({"path": path, "labels": label, "group": n % 3})
        write_table(clips, rows)
        found = learn(tagger, clips, my).validation
        assert found.n_folds == 3
        for fold in range(3):
            of_folds[change, fold] = np.stack([
                clip.probs if several else clip.probs.argsort()
                for clip in sorted(found.clips, key=lambda clip: clip.name)
                if int(clip.name[-5]) % 3 == fold
            ])  # fmt: skip
    np.testing.assert_allclose(of_folds[1, 0], of_folds[0, 0], atol=1e-6)
    for fold in (1, 2):
        assert np.abs(of_folds[1, fold] - of_folds[0, fold]).max() > 0.2


def test_a_fold_is_scored_by_thresholds_of_the_others(tmp_path, tagger, my):
    """Of sounds that say nothing, its own would look better."""
    draw = np.random.default_rng(3)
    rows = []
    for n in range(60):
        write(tmp_path / "data" / f"{n}.wav", make_sound("noise", n, 0.2))
        labels = [x for x in ("a", "b") if draw.random() < 0.4]
        rows.append({"path": f"{n}.wav", "labels": ";".join(labels)})
    write_table(tmp_path / "data", rows)
    found = learn(tagger, tmp_path / "data", my).validation
    targets, probs = (
        np.stack([getattr(clip, name) for clip in found.clips])
        for name in ("target", "probs")
    )
    looks = f1_score(targets, probs >= found.thresholds, average="macro")
    assert found.scores["macro_F1"].value < looks - 0.03


@pytest.fixture
def heard(monkeypatch):
    """A list of the sounds that models run on; ``heard.most`` stop it."""

    class Heard(list):
        most = np.inf

    found, run = Heard(), Model.run

    def count(model, outputs, wavs):
        if len(found) >= found.most:
            raise KeyboardInterrupt
        found.extend(wav for wav in wavs if wav.any())
        return run(model, outputs, wavs)

    monkeypatch.setattr(Model, "run", count)
    return found


def test_what_is_cached_equals_what_is_fresh(
    tmp_path, tagger, clips, my, heard
):
    """Whatever has changed since; what has not is not encoded again."""
    draw, rooms = random.Random(0), tmp_path / "rooms"
    write(rooms / "0.wav", make_sound("noise", 80, seconds=4))
    other = tmp_path / "other.onnx"
    tiny_onnx.write_model(other, pitches={**PITCHES, "20 Hz": 25.0})
    encoders = [tagger, read_model(other)]
    numbers = itertools.count(100)

    def some_clip():
        return draw.choice(sorted(clips.rglob("*.wav")))

    def add():
        label, number = draw.choice([*TONES, "background"]), next(numbers)
        write(clips / label / f"{number}.wav", make_sound(label, number))

    def replace():
        """By another sound of equal length, older than the cache."""
        path = some_clip()
        write(path, make_sound(path.parent.name, next(numbers)))
        os.utime(path, (1, 1))

    def touch():
        os.utime(some_clip(), (1, 1))

    def relabel():
        path = some_clip()
        label = draw.choice(list(TONES))
        path.rename(clips / label / f"{next(numbers)}.wav")

    def change_room():
        write(rooms / "0.wav", make_sound("noise", next(numbers), seconds=4))

    def change_encoder():
        encoders.reverse()

    def damage():
        for path in my.parent.glob(f"{my.name}?*"):
            path.write_bytes(path.read_bytes()[: -draw.randrange(1, 100)])

    def interrupt():
        heard.clear()
        heard.most = draw.randrange(1, 60)
        add()
        try:
            learn(encoders[0], clips, my, rooms)
        except KeyboardInterrupt:
            pass
        heard.most = np.inf

    changes = [add, replace, touch, relabel, change_room, interrupt]
    draw.shuffle(changes)
    changes = [*zip(changes[::2], changes[1::2]), [change_encoder], [damage]]
    learn(encoders[0], clips, my, rooms)
    for number, some in enumerate(changes):
        for change in some:
            change()
        learn(encoders[0], clips, my, rooms)
        fresh = tmp_path / f"{number}.onnx"
        learn(encoders[0], clips, fresh, rooms)
        assert my.read_bytes() == fresh.read_bytes()


def test_what_has_not_changed_is_not_encoded_again(tagger, clips, my, heard):
    """Nor what an interrupted command has encoded."""

    def count():
        heard.clear()
        learn(tagger, clips, my)
        return len(heard)

    heard.most = 60
    with pytest.raises(KeyboardInterrupt):
        count()
    heard.most = np.inf
    rest = count()
    assert count() == 0
    write(clips / "low" / "new.wav", make_sound("low", seed=60))
    few = count()
    my.with_name("my.onnx.npz").unlink()
    everything = count()
    assert 0 < few < everything / 2 and 0 < rest < everything - 20


def test_clips_of_eval_are_never_learnt_from(tagger, clips, my):
    """Nor copies of them, nor others of their groups, nor around copies of
    others; spans are not as long as theirs.
    """
    train = [
        {"path": f"{name}/{n}.wav", "labels": name, "split": "train"}
        for name in TONES
        for n in range(4)
    ]
    write_table(clips, train)
    assert learn(tagger, clips, my).eval_scores == {}
    expected = my.read_bytes()
    shutil.copy(clips / "low" / "4.wav", clips / "copy.wav")
    more = [
        {"path": "copy.wav", "labels": "high", "split": "train"},
        {"path": "middle/5.wav", "labels": "low", "group": "middle"},
    ]
    wrong = dict(zip(TONES, ("middle", "high", "low")))
    scores = []
    for seconds, labels in ((1.0, dict(zip(TONES, TONES))), (1.9, wrong)):
        rows = train + more
        for name, label in labels.items():
            path = f"{name}/4.wav"
            if seconds > 1:
                write(clips / path, make_sound(name, 90, seconds))
                shutil.copy(clips / path, clips / "copy.wav")
            rows.append(
                {"path": path, "labels": label, "split": "eval", "group": name}
            )
        write_table(clips, rows)
        scores.append(learn(tagger, clips, my).eval_scores["accuracy"])
        assert my.read_bytes() == expected
    assert scores[0].value == scores[0].without_encoder == 1
    assert scores[1].value < 0.5 and scores[1].without_encoder < 0.5


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


def test_loud_and_quiet_sounds_are_recognised(clips, my, source):
    report = learn(read_model(source), clips, my)
    assert report.counts == [6, 6, 6] and report.validation.n_folds == 5
    assert report.validation.scores["accuracy"].value > 0.8
    learnt = read_model(my)
    assert learnt.labels == sorted(TONES) and learnt.model.is_frame_level
    for level in (0.1, 0.01):  # as recorded, and 20 dB quieter
        assert share_right(learnt, range(50, 55), level=level) > 0.8


@pytest.fixture
def poor(tmp_path):
    """A model that hears one pitch, which is none of the classes'."""
    path = tmp_path / "poor.onnx"
    return read_model(tiny_onnx.write_model(path, pitches={"480 Hz": 480.0}))


@pytest.mark.parametrize("first_is_poor", [True, False])
def test_the_better_encoder_is_taken(
    tagger, poor, clips, my, first_is_poor, capsys
):
    """Whichever is first; each is cross-validated as it is alone."""
    both = [poor, tagger] if first_is_poor else [tagger, poor]
    command = ["learn", clips, "--output", my]
    for encoder in both:
        command += ["--model", encoder.model.path]
    assert main([*map(str, command)]) == 0
    printed = capsys.readouterr().out
    better = my.read_bytes()
    shares = {}
    for encoder in both:
        report = learn(encoder, clips, my)
        shares[encoder] = report.validation.share_right
        assert f"{shares[encoder]:.3f} right  {encoder.model.path}" in printed
        assert (my.read_bytes() == better) == (encoder is tagger)
    gain = shares[both[1]] - shares[both[0]]
    assert f"{gain:+.3f} [" in printed and abs(gain) > 0.3
    assert f"{tagger.model.path} is taken" in printed


def test_the_first_of_equal_encoders_is_taken(tagger, clips, my):
    found = learn(tagger, clips, my, other_encoders=[tagger]).encoders
    assert [x.is_taken for x in found] == [True, False]
    assert found[1].gain == (0, 0, 0)
    for name in ("middle", "high"):
        shutil.rmtree(clips / name)
    write(clips / "background" / "a.wav", make_sound("noise", 1))
    with pytest.raises(InputError, match="needs several classes"):
        learn(tagger, clips, my, other_encoders=[tagger])


def test_a_gain_is_of_groups_of_clips():
    """As a paired t-test of as many, if each clip is a group."""
    draw = np.random.default_rng(0)
    right = draw.random((2, 40)) < [[0.5], [0.7]]

    def gain(groups):
        first, other = (
            Validation(None, None, right=x, groups=groups) for x in right
        )
        return measure_gain(first, other)

    expected = ttest_rel(*right[::-1].astype(float)).confidence_interval()
    alone = gain([*map(str, range(40))])
    assert alone[1:] == pytest.approx([expected.low, expected.high])
    # Clips that are copies of others tell no more than these
    right = np.repeat(right, 3, axis=1)
    together = gain([str(n // 3) for n in range(120)])
    assert together == pytest.approx(alone)


def test_spans_are_as_long_as_the_sounds(tmp_path, tagger, my):
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
    report = learn(tagger, folder, my)
    assert report.counts == [6, 6, 6]
    [name] = report.not_read
    assert name.endswith("bad.wav")
    assert report.validation.scores["accuracy"].value > 0.7
    # A span has whole tokens of 50 ms
    assert report.span_seconds == pytest.approx(1.0, abs=0.05)
    assert report.hop_seconds == pytest.approx(1 / 8, abs=0.05)
    for seconds in (0.6, 1.25):
        assert share_right(read_model(my), [90], seconds) == 1


def test_background_is_a_hidden_class(tmp_path, tagger, clips, my):
    """The first half of recordings is learnt from, the second listened to."""
    noise = [make_sound("noise", seed) for seed in range(15)]
    second = [make_sound("high", seed) for seed in range(70, 75)]
    second += [np.zeros(5 * RATE, np.float32), *noise[:5]]
    write(tmp_path / "rooms" / "1.wav", *noise, *second)
    (tmp_path / "rooms" / "2.wav").write_bytes(b"no audio")
    report = learn(tagger, clips, my, tmp_path / "rooms")
    [name] = report.not_read
    assert name.endswith("2.wav")
    assert report.background_seconds == pytest.approx(15)
    alarms = report.false_alarms
    # The second half without its digital silence
    assert (alarms.seconds, alarms.silent_seconds) == pytest.approx((10, 5))
    assert alarms.of_classes["high"].count >= 1
    score = report.validation.scores["accuracy"]
    assert 0.5 < score.low < score.value <= score.high == 1
    learnt = read_model(my)
    pause = make_sound("noise", 304, seconds=3)
    assert learnt.clip_probabilities(pause, RATE).sum() < 0.5
    # A file has the tags of its events, by stored rules
    wav = np.concatenate([pause, make_sound("low", 306, seconds=3), pause])
    [event] = learnt.tag_long(wav, RATE)
    assert event.label == "low" and event.probability > 0.5
    assert (event.start, event.end) == pytest.approx((3, 6), abs=1.1)
    assert "low" in {tag.label for tag in learnt.tag_file(wav, RATE)}
    rules = learnt.model.rules
    assert rules.is_learnt
    for found, expected in (
        (rules.threshold, 0.5),
        (rules.low, 0.2),
        (rules.high, 0.7),
    ):
        assert found.tolist() == pytest.approx([expected] * 3)
    # What is shared says so, until the model is another
    kept = json.loads(tmp_path.joinpath("my.onnx.json").read_text())
    assert kept["scores"]["accuracy"]["value"] == score.value
    assert kept["clips"] == dict.fromkeys(sorted(TONES), 6)
    row = f"| accuracy | {100 * score.value:.0f} % | {100 * score.low:.0f} to"
    count = f"minutes of background: {alarms.together.count}, at most"
    card = share(my, tmp_path / "shared")
    assert row in card and count in card and "18 clips, 6 to 6 of" in card
    copy_model(my, my, dataclasses.replace(learnt.model.info, note="Other."))
    assert "## Scores" not in share(my, tmp_path / "other")


def share(model, folder):
    """The card of a model that is shared."""
    options = ("--name", "me/tones", "--license", "cc0-1.0")
    assert not main(["share", str(model), str(folder), *options])
    return folder.joinpath("README.md").read_text()


def test_each_span_of_background_is_learnt_from(tmp_path, tagger, clips, my):
    """A short sound in it is no event, though the clip is mostly noise."""
    time = np.arange(RATE) / RATE
    tone = (0.1 * np.sin(2 * np.pi * 180 * time)).astype(np.float32)
    found = []
    for middle in (make_sound("noise", 0), tone):
        for number in range(6):
            noise = [make_sound("noise", 10 * number + n) for n in range(8)]
            path = clips / "background" / f"{number}.wav"
            write(path, *noise[:4], middle, *noise[4:])
        learn(tagger, clips, my)
        found.append(read_model(my).clip_probabilities(tone, RATE).sum())
    assert found[1] < 0.5 * found[0]


def test_clips_of_several_classes(tagger, clips, my):
    """Make it a model of independent classes, with learnt thresholds."""
    rows = []
    for seed in range(6):
        write(clips / f"{seed}.wav", make_sound("noise", 400 + seed))
        rows.append({"path": f"{seed}.wav", "labels": ""})
        for name in TONES:
            path = f"{name}/{seed}.wav"
            rows.append({"path": path, "labels": f"{name};Tone"})
    write_table(clips, rows)
    report = learn(tagger, clips, my)
    assert report.background_seconds == pytest.approx(6)
    learnt = read_model(my)
    assert learnt.model.rules.is_learnt and not learnt.model.info.single_label
    tags = learnt.tag_file(make_sound("low", 95), RATE)
    assert {tag.label for tag in tags} == {"low", "Tone"}


def test_parts_of_a_recording_are_clips(tmp_path, tagger, my):
    """Two groups do not show how much scores vary."""
    part = {"path": "low.wav", "labels": "low", "group": "a"}
    rows = [{**part, "start": 17, "end": 18}]
    folder = tmp_path / "parts"
    for name in TONES:
        write(folder / f"{name}.wav", *(make_sound(name, n) for n in range(6)))
        part = {"path": f"{name}.wav", "labels": name}
        for n in range(6):
            rows.append({**part, "start": n, "end": n + 1, "group": n % 2})
    write_table(folder, rows)
    report = learn(tagger, folder, my)
    [reason] = report.not_read.values()
    assert "ends before 17 s" in reason
    assert report.counts == [6, 6, 6] and report.filled == 1
    assert report.validation.scores["accuracy"].low is None
    assert share_right(read_model(my), [90]) == 1


@pytest.mark.parametrize("is_partly", [False, True])
def test_label_tracks_are_learnt_from(tmp_path, tagger, my, is_partly):
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
    found = learn(
        tagger,
        tmp_path / "recordings",
        my,
        strong_labels=tmp_path / "tracks",
        partly_labelled=is_partly,
    )
    assert (found.labels, found.counts) == (["high", "low"], [6, 6])
    assert (found.background_seconds == 0) == is_partly


def test_what_cannot_be_measured_is_not_scored(tagger, clips, my):
    """A class of one clip; if all are, there are no scores."""
    alone = []
    for name in TONES:
        for number in range(1, 6):
            (clips / name / f"{number}.wav").unlink()
        alone = sorted([*alone, name])
        found = learn(tagger, clips, my).validation
        assert found.unmeasured == alone
        assert bool(found.scores) == (len(alone) < 3)
    assert not found.confusions
    assert all(clip.doubt is None for clip in found.clips)
    with pytest.raises(InputError, match="needs held-out clips"):
        learn(tagger, clips, my, operate="eager")


def test_wrong_labels_are_in_doubt(tmp_path, tagger, clips, my, capsys):
    """The command prints, and writes, which clips were taken for what."""
    write(clips / "low" / "0.wav", make_sound("high", 90))
    write(clips / "background" / "a.wav", make_sound("middle", 91))
    for number in range(8):
        path = clips / "background" / f"{number}.wav"
        write(path, make_sound("noise", 200 + number))
    found = learn(tagger, clips, my).validation
    confused = [tuple(x) for x in found.confusions]
    assert ("low", "high", ["low/0.wav"]) in confused
    assert ("background", "middle", ["background/a.wav"]) in confused
    first = next(clip for clip in found.clips if clip.name[:3] == "low")
    assert first.name == "low/0.wav" and first.doubt > 0.9
    table = tmp_path / "doubt.csv"
    command = ["learn", clips, "--model", tagger.model.path]
    command += ["--output", my, "--clips", table, "--operate", "eager"]
    assert main([*map(str, command)]) == 0
    printed = capsys.readouterr().out
    # Nine of ten clips whose most probable class is right reach it
    reached = [
        max(clip.probs)
        for clip in found.clips
        if clip.target[clip.probs.argmax()] > 0.5
    ]
    rules = read_model(my).model.rules
    shift = np.quantile(logit(reached), 0.1)
    np.testing.assert_allclose(rules.threshold, expit(shift), atol=1e-3)
    high = expit(shift + logit(0.7))
    np.testing.assert_allclose(rules.high, high, atol=1e-3)
    for name in [*TONES, first.name, f"{found.scores['accuracy'].value:.3f}"]:
        assert name in printed
    doubts = [float(row["doubt"]) for row in csv.DictReader(table.open())]
    assert len(doubts) == 27 and doubts == sorted(doubts, reverse=True)


def test_false_alarms_are_limited(tmp_path, tagger, clips, my):
    """By what is not learnt from: the third quarter, and by default none."""
    wavs = [make_sound("noise", n) for n in range(120)]
    time = np.arange(RATE) / RATE
    for number in range(61, 120, 3):  # between low and middle tones
        tone = np.sin(2 * np.pi * (70 + number % 20) * time)
        wavs[number] = (wavs[number] + 0.03 * tone).astype(np.float32)
    write(tmp_path / "room.wav", *wavs)
    counts = []
    for limit in (None, 0):
        report = learn(
            tagger,
            clips,
            my,
            tmp_path / "room.wav",
            false_alarms_per_hour=limit,
        )
        found = report.false_alarms
        counts.append(found.together.count)
        assert found.seconds == pytest.approx(60 if limit is None else 30)
        high = read_model(my).model.rules.high
        assert high.tolist() == pytest.approx(report.event_thresholds)
    assert counts[0] > 5 and counts[1] < counts[0] / 4
    with pytest.raises(InputError, match="needs --background"):
        learn(tagger, clips, my, false_alarms_per_hour=1)


@pytest.mark.parametrize("form", ["folders", "names", "one a folder"])
def test_clips_of_one_recording_are_tested_together(tagger, clips, my, form):
    """By a folder inside, or by name if that is asked for."""
    numbered = form == "names"
    for name, number in itertools.product(TONES, range(6)):
        place = f"{number // 2}/{number}.wav"
        if numbered:
            place = f"{'abc'[number // 2]}_{number}.wav"
        elif form == "one a folder":
            place = f"{name} {number}/{number}.wav"
        place = clips / name / place
        place.parent.mkdir(exist_ok=True)
        (clips / name / f"{number}.wav").rename(place)
    report = learn(tagger, clips, my, numbered=numbered)
    assert report.has_groups
    assert report.validation.n_folds == (3 if form == "folders" else 5)


def test_what_cannot_be_learnt_is_an_error(tmp_path, tagger, clips, my):
    """Among these, one class without background."""
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
        (damaged, my, None, "empty"),
        (clips, my, bad, "1.wav.*--background"),
        (clips, my, half, "half.flac.*--background"),
        (clips, tagger.model.path, None, "model.onnx"),
        (one, my, None, "low.* background"),
    ):
        with pytest.raises(InputError, match=named):
            learn(tagger, folder, target, background)
    assert not my.exists()
    report = learn(tagger, one, my, tmp_path / "room.wav")
    assert (report.labels, report.counts) == (["low"], [6])
    # All clips of the class have the right one of one
    assert "accuracy" not in report.validation.scores


def test_clips_are_learnt_as_a_whole_where_the_sounds_in_them_are_alike(
    tmp_path, tagger, my
):
    """A tone, or the same one twice: its spans tell nothing, with the encoder or
    without.
    """
    for seed in range(12):
        tone = make_sound("low", seed, seconds=0.2)
        # Longer than the surroundings of a tone
        pause = make_sound("noise", 100 + seed, seconds=0.6, level=0.01)
        once, twice = (
            tmp_path / f"clips/{name}/{seed}.wav" for name in ("once", "twice")
        )
        write(once, tone, pause, pause[:200], pause)
        write(twice, tone, pause, tone, pause)
    report = learn(tagger, tmp_path / "clips", my)
    assert report.are_whole and report.filled == 1
    assert report.span_seconds == pytest.approx(1.6, abs=0.15)
    assert report.validation.right.mean() > 0.8
