"""Tests of rules that are learnt and written into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
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
    learn_from_clips,
    learn_from_events,
    learn_thresholds,
)
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError

LABELS = list(PITCHES)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared folder: two of the model's classes, and another one.

    A sound is a tone with pauses; there is a table of the sounds, too.
    """
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = ["ID,wav,start,stop,labels"]
    events = ["filename\tonset\toffset\tevent_label"]
    for number in range(24):
        labels = [LABELS[number % 2], "Whistle"][: 1 + number // 20]
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
        events.append(f"{number}\t{start}\t{end}\t{labels[0]}")
    for split in ("train", "valid", "eval"):
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    table = (
        "index,mid,display_name\n0,/m/0,Low\n1,/m/1,Middle\n2,/m/2,Whistle\n"
    )
    (folder / "classes.csv").write_text(table)
    (folder / "prepared.json").write_text('{"complete": true}')
    (folder / "strong.tsv").write_text("\n".join(events) + "\n")
    return folder


@pytest.fixture(params=["clips", "steps"])
def model(request, tmp_path):
    """A model in the folder of its training."""
    path = tmp_path / "run" / "inference" / "model.onnx"
    path.parent.mkdir(parents=True)
    return tiny_onnx.write_model(path, has_steps=request.param == "steps")


def analyze(tagger, data):
    """Targets, probabilities and timelines of the clips."""
    clips = range(24)
    timelines = {f"{n}": tagger.analyze(data / f"{n}.wav") for n in clips}
    probs = [found.clip_probs for found in timelines.values()]
    targets = [[n % 2 == 0, n % 2 == 1, False] for n in clips]
    return np.array(targets, np.float32), np.stack(probs), timelines


def assert_equal(rules, expected):
    for name, values in dataclasses.asdict(expected).items():
        np.testing.assert_array_equal(getattr(rules, name), values)


def test_rules_are_written_into_the_model(model, data, caplog):
    caplog.set_level(logging.INFO)
    before = Model(model)
    targets, probs, timelines = analyze(AudioTagger(before), data)
    found = calibrate(model, data)
    after = Model(model)
    expected = learn_from_clips(
        targets, probs, timelines if after.has_steps else {}
    )
    assert_equal(found.rules, expected)
    assert_equal(after.rules, expected)
    assert after.rules.threshold[2] == 0.5
    unlearnt = dataclasses.replace(after.info, rules=None)
    assert unlearnt.to_dict() == before.info.to_dict()
    assert found.few == [] and "Whistle" in caplog.text
    assert str(model) in caplog.text
    scores = evaluate(AudioTagger(after), data, "valid").metrics
    for name, score in found.after.items():
        assert score == scores[name] > found.before[name]


def test_rules_of_events_are_written(model, data, tmp_path):
    table = data / "strong.tsv"
    content = model.read_bytes()
    tagger = AudioTagger.from_pretrained(model)
    targets, probs, timelines = analyze(tagger, data)
    found = calibrate(
        model, data, strong_labels=table, output=tmp_path / "new.onnx"
    )
    assert model.read_bytes() == content
    truth = {}
    for row in table.read_text().splitlines()[1:]:
        clip, start, end, label = row.split("\t")
        truth[clip] = [(float(start), min(float(end), 2.0), label)]
    expected = dataclasses.replace(
        learn_from_events(timelines, truth, LABELS),
        threshold=learn_thresholds(targets, probs),
    )
    assert_equal(Model(tmp_path / "new.onnx").rules, expected)
    for rules, scores in ((tagger, found.before), (None, found.after)):
        other = rules or AudioTagger.from_pretrained(tmp_path / "new.onnx")
        events = evaluate(other, data, "valid", strong_labels=table).events
        assert scores["overlap_F1"] == events["overlap_F1"]
    if tagger.model.has_steps:
        assert found.after["overlap_F1"] > found.before["overlap_F1"] + 0.3


def test_few_clips_change_nothing(model, data, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in data.iterdir():
        (few / path.name).symlink_to(path)
    rows = (data / "valid.csv").read_text().splitlines()[:9]
    (few / "valid.csv").unlink()
    (few / "valid.csv").write_text("\n".join(rows) + "\n")
    before = model.read_bytes()
    output = tmp_path / "new.onnx"
    for table in (None, few / "strong.tsv"):
        with pytest.raises(InputError, match="nothing is learnt"):
            calibrate(model, few, strong_labels=table, output=output)
    assert model.read_bytes() == before and not output.exists()


def run(*arguments):
    return main(["calibrate", *map(str, arguments)])


def test_the_command(model, data, tmp_path, capsys):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    expected = calibrate(copy, data)
    folder = model.parent.parent  # of its training
    assert run("--model", folder, "--data-folder", data) == 0
    printed = capsys.readouterr().out
    for name, score in expected.after.items():
        before = expected.before[name]
        assert f"{name:10} {before:.4f}  {score:.4f}" in printed
    assert_equal(Model(model).rules, expected.rules)
    content = model.read_bytes()
    output = tmp_path / "output.onnx"
    arguments = ["--model", model, "--data-folder", data, "--output", output]
    assert run(*arguments, "--strong-labels", data / "strong.tsv") == 0
    assert "overlap_F1" in capsys.readouterr().out
    assert model.read_bytes() == content
    assert Model(output).info.to_dict() != Model(model).info.to_dict()


def test_false_alarms_are_counted(model, data, tmp_path, capsys):
    """With thresholds of 0.5, or with those just learnt."""
    wav = 0.8 * tiny_onnx.cosines(5 * RATE)[0]
    wav = np.concatenate([wav, np.zeros(60 * RATE)])
    sf.write(tmp_path / "room.wav", wav, RATE)
    background = ["--background", tmp_path / "room.wav"]
    content = model.read_bytes()
    assert run("--model", model, *background) == 0
    assert model.read_bytes() == content
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
    ],
)
def test_options_that_do_not_fit(tmp_path, capsys, options, name):
    path = tiny_onnx.write_model(tmp_path / "model.onnx")
    assert run("--model", path, *options) == 1
    assert name in capsys.readouterr().err


def test_a_published_model_is_imported_first(tmp_path, data, capsys):
    """Its conversion in the cache must not change."""
    (tmp_path / "config.json").write_text("{}")
    for source in (tmp_path, "mispeech/ced-tiny", tmp_path / "config.json"):
        assert run("--model", source, "--data-folder", data) == 1
        error = capsys.readouterr().err
        assert str(source) in error and "fftp-tag import" in error


def test_a_model_without_classes(tmp_path, data):
    path = tiny_onnx.write_model(tmp_path / "model.onnx", labels=[])
    with pytest.raises(InputError, match="no classes"):
        calibrate(path, data)
