"""Tests of what the page computes; how it looks is tested in a browser.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli import page as page_module
from speechbrain_fftp.cli.page import build_page, choose_windows, open_upload
from speechbrain_fftp.inference import AudioTagger

gr = pytest.importorskip("gradio")

OUTPUTS = ("status", "tags", "results", "picture", "events", "table", "kept")


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


@pytest.fixture(scope="module")
def functions(tagger, tmp_path_factory):
    """What the page calls, by name."""
    page = build_page(tagger, tmp_path_factory.mktemp("files"))
    return {f.api_name: f.fn for f in page.fns.values()}


@pytest.fixture
def tag(functions):
    """Tags a clip; returns the outputs of the page by name."""
    return lambda *args: dict(zip(OUTPUTS, functions["tag"](*args)))


@pytest.fixture
def clip(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(4 * 22050)
    sf.write(tmp_path / "clip.flac", noise, 22050)
    return str(tmp_path / "clip.flac")


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_tag_gives_what_the_tagger_gives(tag, functions, tagger, clip):
    found = tag(clip, 0.4)
    tags = {t.label: t.probability for t in tagger.tag_file(clip)}
    assert found["tags"]["value"] == pytest.approx(tags, abs=1e-6)
    assert list(found["tags"]["value"]) == list(tags)
    assert found["results"]["visible"] and found["status"] == "clip, 4.0 s"
    assert os.path.getsize(found["picture"]) > 1000
    events = tagger.tag_long(clip, *choose_windows(tagger, 4.0), threshold=0.4)
    header, *rows = read_csv(found["table"])
    assert header == ["start", "end", "label", "probability"]
    assert len(rows) == len(events) > 0
    assert [row[2] for row in rows] == [event.label for event in events]
    _, table = functions["events"](found["kept"], 0.05)
    assert "Bark, dog" in [row[2] for row in read_csv(table)]


def test_the_model_runs_once_for_a_clip(
    tag, functions, tagger, clip, monkeypatch
):
    calls, probabilities = [], tagger.engine.probabilities

    def count(*args):
        calls.append(args)
        return probabilities(*args)

    monkeypatch.setattr(tagger.engine, "probabilities", count)
    tagger.analyze(clip, *choose_windows(tagger, 4.0))
    once = len(calls)
    timeline = tag(clip, 0.4)["kept"]
    assert len(calls) == 2 * once > 0
    monkeypatch.setattr(page_module, "open_upload", None)  # nor is it called
    for threshold in (0.3, 0.6):
        functions["events"](timeline, threshold)
    assert len(calls) == 2 * once


def test_labels_cannot_be_html(tag, tagger, clip, monkeypatch):
    labels = ["<b>"] * 5
    monkeypatch.setattr(AudioTagger, "labels", labels)
    events = tag(clip, 0.05)["events"]
    assert "&lt;b&gt;" in events and "<b>" not in events


def test_errors_replace_results(tag, tmp_path):
    broken, empty = tmp_path / "broken.wav", tmp_path / "empty.wav"
    silent = tmp_path / "silent.wav"
    broken.write_bytes(b"RIFF....WAVEfmt ")
    sf.write(empty, np.zeros(0), 16000)
    sf.write(silent, np.zeros(16000), 16000)
    for path, message in (
        (broken, "The file is not readable"),
        (empty, "no samples"),
        (silent, "is silent"),
        (None, "Choose a file or record a clip first."),
    ):
        found = tag(path and str(path), 0.5)
        assert message in found["status"] and 'role="alert"' in found["status"]
        assert str(tmp_path) not in found["status"]
        assert not found["results"]["visible"] and not found["tags"]["visible"]
        assert {found[name] for name in OUTPUTS[3:]} == {None}


def test_limits(tag, clip, monkeypatch):
    def check(megabytes, minutes):
        monkeypatch.setattr(page_module, "MAX_MEGABYTES", megabytes)
        monkeypatch.setattr(page_module, "MAX_MINUTES", minutes)
        with open_upload(clip) as (file, seconds):
            return file.name, seconds

    size, length = os.path.getsize(clip) / 2**20, 4 / 60
    assert check(size, length) == (clip, 4.0)
    with pytest.raises(ValueError, match="lasts longer than 0.065 minutes"):
        check(size, 0.065)
    with pytest.raises(ValueError, match="The file has 0 MB"):
        check(size - 1e-3, length)


def test_learned_thresholds_are_the_default(exported, tmp_path, clip):
    tagger = AudioTagger.from_pretrained(exported[1])
    best = tagger.analyze(clip, *choose_windows(tagger, 4.0)).tags()
    limits = dict.fromkeys(tagger.labels, 1.0)
    limits[best[2].label] = 0.0
    tagger.engine.thresholds = np.array(list(limits.values()), np.float32)
    for own, shown in ((tagger, True), (None, False)):
        page = build_page(
            own or AudioTagger.from_pretrained(exported[1]), tmp_path
        )
        [box] = (x for x in page.blocks.values() if isinstance(x, gr.Checkbox))
        assert box.value == box.visible == shown
        functions = {f.api_name: f.fn for f in page.fns.values()}
        if own:
            outputs = dict(zip(OUTPUTS, functions["tag"](clip, 0.5, True)))
            labels = {row[2] for row in read_csv(outputs["table"])[1:]}
            assert labels == {best[2].label}
            kept = outputs["kept"]
            _, table = functions["events"](kept, 0.05, True)
            assert {row[2] for row in read_csv(table)[1:]} == labels
            _, table = functions["events"](kept, 0.05, False)
            assert {row[2] for row in read_csv(table)[1:]} > labels
