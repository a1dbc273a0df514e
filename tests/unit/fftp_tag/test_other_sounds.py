"""Tests of sounds in clips, and of the bank of other sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import configparser
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

import fftp_tag
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data.clips import Clip
from fftp_tag.learning import fit as fitting
from fftp_tag.learning.bank import FOLDER, read_bank
from fftp_tag.learning.features import Sample
from fftp_tag.learning.fit import fit, learn_from, without_alike
from fftp_tag.learning.thresholds import POINTS
from fftp_tag.learning.unknown import find_lookalikes, summarise, without_class
from fftp_tag.learning.validate import validate
from fftp_tag.model.spans import Views

RATE = 16000


def test_sounds_are_found_whatever_their_level():
    """Pauses of more than 0.25 s separate sounds; faint noise is none."""
    draw = np.random.default_rng(0)
    wav = 1e-3 * draw.standard_normal(5 * RATE)
    true = [(0.5, 0.8), (1.0, 1.6), (3.0, 3.05)]
    for start, end in true:
        part = slice(round(start * RATE), round(end * RATE))
        wav[part] += 0.1 * draw.standard_normal(part.stop - part.start)
    # The first two are one, by a pause of 0.2 s; the last one is short
    expected = [(0.5, 1.6), (2.975, 3.075)]
    for level in (1.0, 0.01):
        found = find_sounds(level * wav, RATE)
        np.testing.assert_allclose(found, expected, atol=0.041)
    steady = draw.standard_normal(RATE)
    assert find_sounds(steady, RATE) == [(0.0, 1.0)]
    assert find_sounds(np.zeros(100), RATE) == [(0.0, 100 / RATE)]


def test_the_bank_is_complete():
    """Each sound is where its table says, and its origin is told."""
    wav, rate = soundfile.read(FOLDER / "bank.ogg")
    with open(FOLDER / "bank.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    levels = []
    for row in rows:
        start, end = float(row["start"]), float(row["end"])
        own = wav[round(start * rate) : round(end * rate)]
        levels.append(own.std())
        gap = wav[round((end + 0.1) * rate) : round((end + 0.2) * rate)]
        assert 0.05 <= end - start <= 1.51 and gap.std() < 0.1 * own.std()
        assert row["title"] and row["licence"] and row["source"]
        assert row["licence"] in ("CC BY", "CC-BY", "CC BY 4.0", "CC0")
        assert row["author"] or row["licence"] == "CC0"
    assert min(levels) > 0.01
    assert max(Counter(row["kind"] for row in rows).values()) == 4
    assert [clip.kind for clip in read_bank()] == [row["kind"] for row in rows]


def test_the_notice_names_what_is_of_others():
    """Each file of the package that is no code or text of its own."""
    package = Path(fftp_tag.__file__).parent
    text = (package / "NOTICE").read_text("utf-8")
    for path in package.rglob("*"):
        name = path.relative_to(package).as_posix()
        is_ours = path.suffix in (".py", ".pyc", ".md", ".typed")
        if path.is_file() and not is_ours and name != "NOTICE":
            folder = f"{name.partition('/')[0]}/"
            assert name in text or f"\n{folder}" in text, name
    assert "NOTICE" in setup_cfg()["options.package_data"]["fftp_tag"]
    assert "fftp_tag/NOTICE" in setup_cfg()["metadata"]["license_files"]


def test_the_starter_credits_each_author():
    """But of what no one recorded: sounds of programs."""
    table = Path(fftp_tag.__file__).parent / "starter" / "attribution.csv"
    with open(table, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file)]
    made = {row["folder"] for row in rows if "; author: " not in row["credit"]}
    assert made == {"music", "speech"}
    assert not any("author: ;" in row["credit"] for row in rows)


def setup_cfg():
    """The settings of the distribution."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[3] / "setup.cfg", "utf-8")
    return config


def make_samples(means, size, seed, kinds=None, is_reviewed=False):
    """Clips around means: of classes or, with ``kinds``, of other sounds."""
    draw = np.random.default_rng(seed)
    samples = []
    for number, mean in enumerate(means):
        for clip in range(size):
            rows = mean + draw.standard_normal((3, len(mean)))
            target = np.zeros(2)
            if kinds is None:
                target[number] = 1
            name = f"{seed} {number} {clip}"
            own = Clip(
                name,
                None,
                group=name,
                kind="" if kinds is None else str(kinds[number]),
                is_reviewed=is_reviewed,
            )
            is_known = np.ones(2, bool)
            samples.append(Sample(own, target, is_known, rows, rows))
    return samples


@pytest.mark.parametrize("single_label", [True, False])
def test_unknown_sounds_get_no_tag(single_label):
    """Even of kinds that the bank lacks; one that is a class is left out."""
    draw = np.random.default_rng(5)
    means = 4 * draw.standard_normal((2, 12))
    others = 4 * draw.standard_normal((20, 12))
    clips = make_samples(means, 6, seed=0)
    kinds = [*range(20), 20]
    bank = make_samples([*others, means[0]], 4, 1, kinds)
    views = Views([np.arange(12)], [np.arange(6, 12)])
    left = without_alike(clips + bank, views.encoder, single_label)
    dropped = set(map(str, kinds)) - {x.clip.kind for x in left}
    assert "20" in dropped and len(dropped) <= 6

    new = make_samples(4 * draw.standard_normal((40, 12)), 1, 2, [0] * 40)
    known = make_samples(means, 20, seed=3)
    shares = {}
    for name, sounds in (("with", bank), ("without", bank[:4])):
        found = validate(["a", "b"], clips + sounds, views, single_label)
        classifier = found.encoder.classifier
        tagged = [
            classifier.probabilities([x.spans for x in own]) >= 0.5
            for own in (new, known)
        ]
        shares[name] = tagged[0].any(1).mean()
        is_right = tagged[1] == [x.target > 0.5 for x in known]
        assert is_right.all(1).mean() > 0.8
        if name == "with":
            printed = found.others_tagged
    assert shares["with"] < 0.5 * shares["without"]
    assert printed == pytest.approx(shares["with"], abs=0.15)


@pytest.mark.parametrize("single_label", [True, False])
def test_operating_points_hold_on_new_sounds(single_label):
    """Each tags about the share of new clips, and of other sounds, that is printed.

    If clips have one class, fewer: all kinds of the bank compete with it, and in
    cross-validation those of the other folds.
    """
    tolerance = 0.2 if single_label else 0.12
    draw = np.random.default_rng(4)
    means = 0.7 * draw.standard_normal((2, 12))
    others = 0.7 * draw.standard_normal((40, 12))
    clips = make_samples(means, 60, seed=0)
    bank = make_samples(others, 4, 1, [*range(len(others))])
    new = make_samples(means, 200, seed=2)
    unknown = make_samples(
        0.7 * draw.standard_normal((400, 12)), 1, 3, [0] * 400
    )
    views = Views([np.arange(12)], [np.arange(6, 12)])
    found = []
    for name, share in POINTS.items():
        learnt = validate(
            ["a", "b"], clips + bank, views, single_label, operate=name
        )
        printed = learnt.points[name]
        assert learnt.others_tagged == printed.others
        of_new, of_unknown = (
            learnt.encoder.answers(own) for own in (new, unknown)
        )
        target = np.stack([x.target for x in new]) > 0.5
        tagged = (of_new.tagged & target).any(1)
        right = target[np.arange(len(new)), of_new.probs.argmax(1)]
        assert tagged[right].mean() == pytest.approx(share, abs=tolerance)
        assert tagged.mean() == pytest.approx(printed.own, abs=tolerance)
        seen = of_unknown.tagged.any(1).mean()
        assert seen == pytest.approx(printed.others, abs=tolerance)
        found.append(printed)
    for shares in zip(*found):
        assert list(shares) == sorted(shares) and shares[0] < shares[2]
    assert "default" in learnt.points


def test_reviewed_clips_are_not_calibrated_on(monkeypatch):
    """They are unlike what will be heard, but are classified."""
    counts = []

    def calibration(logits, classes, weights, n_classes):
        """Counts the clips; makes all probabilities equal."""
        counts.append(len(classes))
        return 1e9, 0.0

    monkeypatch.setattr(fitting, "find_calibration", calibration)
    clips = make_samples(np.eye(2, 5), 10, seed=0)
    reviewed = make_samples(np.eye(2, 5), 4, seed=1, is_reviewed=True)
    folds = np.arange(28) % 4
    found = fit(clips + reviewed, [np.arange(5)], True, folds)
    assert counts == [20, 15, 15, 15, 15]
    np.testing.assert_allclose(found.held_out.probs, 0.5, atol=1e-6)


def test_no_held_out_clip_is_its_own_neighbour():
    """Where clips tell nothing, held-out ones are as sure as new ones are."""
    clips = make_samples(np.zeros((2, 30)), 20, seed=0)
    bank = make_samples(np.zeros((10, 30)), 4, 1, range(10))
    view = [np.arange(30), np.arange(30)]
    found = fit(clips + bank, view, True, np.arange(80) % 5)
    assert found.classifier.likeness is not None
    new = make_samples(np.zeros((2, 30)), 20, seed=2)
    of_clips = found.held_out.probs[:40].sum(1)
    assert np.median(of_clips) == pytest.approx(
        np.median(found.answers(new).probs.sum(1)), abs=0.1
    )
    assert np.median(found.answers(clips).probs.sum(1)) > 0.8


def make_fit(samples, view, n_folds=3):
    """What is learnt from samples, with folds of clips and of kinds."""
    return fit(samples, view, True, np.arange(len(samples)) % n_folds)


def test_a_left_out_class_is_not_learnt_from():
    """Changes of its own clips change nothing but what these are taken for."""
    view = [np.arange(12)]
    means = 4 * np.random.default_rng(5).standard_normal((2, 12))
    clips = make_samples(means, 6, seed=0)
    bank = make_samples(np.eye(4, 12), 3, 1, range(4))
    fitted = make_fit(clips + bank, view)
    rows, probs = without_class(fitted, clips + bank, view)
    assert rows.tolist() == list(range(12))
    of_classes = np.array([x.target.argmax() for x in clips])
    assert (probs[rows, of_classes] == 0).all()
    # As a classifier of one class that is learnt and calibrated here
    rest = clips[6:] + bank
    expected = learn_from(rest, view, True)
    expected = expected.calibrate(
        fitted.classifier.temperature, fitted.classifier.offset
    )
    np.testing.assert_allclose(
        probs[:6],
        expected.probabilities([x.spans for x in clips[:6]]),
        atol=1e-6,
    )


def test_the_interval_is_of_kinds_not_of_clips():
    """It is as wide, however many clips of each kind there are."""
    shares = [0, 0.25, 0.5, 0.25, 0.75]
    found = []
    for size in (4, 400):
        kinds = np.repeat(list("abcde"), size).tolist()
        tagged = np.concatenate(
            [np.arange(size) < share * size for share in shares]
        )
        found.append(summarise(kinds, tagged[:, None]))
    assert found[0] == found[1]
    assert found[0][0] == pytest.approx(0.35)
    assert (found[0].worst, found[0].worst_share) == ("e", 0.75)
    half = 2.776 * np.std(shares, ddof=1) * (2 / 5) ** 0.5
    assert found[0].high == pytest.approx(0.35 + half, abs=1e-3)
    assert summarise(["a", "b"], np.ones((2, 1))).low is None
    assert summarise([], np.ones((0, 1))) is None
    # Three times as many kinds as are tagged at most, if none is
    alike = summarise(list("abcdefghij"), np.zeros((10, 1)))
    assert alike.high == pytest.approx(2**0.5 * 0.3085, abs=1e-4)


def test_what_cannot_be_told_apart_is_named():
    """A class whose clips are no more probable than others that look like it."""
    classes = np.repeat([0, 1, 2], 10)
    probs = np.random.default_rng(0).random((30, 3)) / 4
    probs[np.arange(30), classes] += 0.5
    unknown = probs.copy()
    unknown[np.arange(30), classes] = 0
    # Clips of c are as sure to be a; those of a are taken for b, those of b for c,
    # but less surely
    unknown[20:] = probs[:10]
    unknown[:10, 1] = unknown[10:20, 2] = 0.3
    assert find_lookalikes(["a", "b", "c"], classes, probs, unknown) == ["a"]
