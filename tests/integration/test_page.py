"""Tests of the page in a real browser, Chromium without a window.

They are skipped where it or onnxruntime-web (npm install) is missing,
unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import contextlib
import csv
import dataclasses
import functools
import io
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf
from browser import Chromium, missing, wait
from small_models import PITCHES, RATE, tones

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.tag.edit import copy_model
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.model_info import default_rules

pytest.importorskip("onnxscript")

ROOT = Path(__file__).resolve().parents[2]
SCHEMES = ("http", "https", "ws", "wss")
NOTE = "This model knows three tones."
SOUNDS = [
    ("Beep", 1.0, 1.5),
    ("Beep", 1.7, 2.0),
    ("Hum", 3.0, 5.0),
    ("<b>Whistle</b>", 6.0, 7.5),
]


@pytest.fixture(scope="module")
def steps_file(tones_file, tmp_path_factory):
    """A model of time steps; by its thresholds, no Hum is found."""
    path = tmp_path_factory.mktemp("onnx") / "steps.onnx"
    rules = default_rules(3).replace(
        threshold=[0.5, 1.0, 0.5],
        merge_gap=[0.5, 0.0, 0.0],
        min_duration=[0.0, 0.0, 0.3],
    )
    rules = dataclasses.replace(rules, is_learnt=True)
    info = dataclasses.replace(Model(tones_file).info, rules=rules, note=NOTE)
    copy_model(tones_file, path, info)
    return path


@pytest.fixture(scope="module")
def steps_tagger(steps_file):
    return AudioTagger.from_pretrained(steps_file)


@pytest.fixture(scope="module")
def clips_tagger(onnx_file):
    return AudioTagger.from_pretrained(onnx_file)


@pytest.fixture(scope="module")
def build_page(tmp_path_factory):
    """A function that writes the page of an ONNX model to a folder, and options."""
    runtime = ROOT / "node_modules"
    if not (runtime / "onnxruntime-web").is_dir():
        missing("onnxruntime-web is not installed: npm install")

    def build(model, *options):
        folder = tmp_path_factory.mktemp("pages") / "page"
        command = ["page", str(model), str(folder), "--runtime", str(runtime)]
        assert main([*command, *options]) == 0
        return folder

    return build


@pytest.fixture(scope="module")
def steps_page(steps_file, clip, build_page):
    """Of a model that classifies time steps, with learnt thresholds."""
    return build_page(steps_file, "--example", str(clip))


@pytest.fixture(scope="module")
def clips_page(onnx_file, build_page):
    """Of a model that classifies clips of up to 1.3 s."""
    return build_page(onnx_file)


@contextlib.contextmanager
def serve(folder):
    """Serves a folder as ``python -m http.server`` does; yields its address."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def addresses(steps_page, clips_page):
    """The address of each page, by its name."""
    with serve(steps_page) as steps, serve(clips_page) as clips:
        yield {"steps": steps, "clips": clips}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, whose microphone hears a beep."""
    folder = tmp_path_factory.mktemp("chromium")
    tone = tones(10, [("Beep", 0, 10)])
    sf.write(folder / "tone.wav", tone, RATE)
    with contextlib.closing(Chromium(folder, folder / "tone.wav")) as browser:
        yield browser


class Page:
    """The opened page, as one who uses it sees it."""

    def __init__(self, browser, address):
        browser.open(address)
        self.browser = browser
        self.run = browser.run
        self.click = browser.click

    def text(self, selector):
        """The text of an element."""
        code = "return document.querySelector(given[0]).textContent"
        return self.run(code, selector)

    def texts(self, selector):
        """The texts of all such elements."""
        return self.run(
            """return Array.from(document.querySelectorAll(given[0]),
            (found) => found.textContent)""",
            selector,
        )

    def is_shown(self, selector):
        """Whether an element can be seen."""
        code = "return document.querySelector(given[0]).checkVisibility()"
        return self.run(code, selector)

    def choose(self, *paths):
        """Chooses files."""
        self.browser.choose("#file", paths)

    def tag(self, path):
        """Chooses a file and waits until it is tagged."""
        self.choose(path)
        self.wait_for_results(path.name)

    def wait_for_results(self, name):
        """Waits until the results of a file are shown."""
        wait(
            lambda: self.text("#status").startswith(f"{name}, ")
            or self.is_shown("#error")
        )
        assert not self.is_shown("#error"), self.text("#error")

    def wait_for_status(self, text):
        """Waits until the status has a text."""
        wait(lambda: text in self.text("#status"))

    def tags(self):
        """Labels and probabilities of the bars."""
        return dict(
            self.run("""return Array.from(document.querySelectorAll("#tags li"),
                row => [row.firstChild.textContent,
                        row.querySelector("meter").value])""")
        )

    def bold_tags(self):
        """The labels that reach the model's thresholds."""
        return set(self.texts("#tags strong"))

    def events(self):
        """Start, end, label and probability of each row of the list."""
        return self.run("""return Array.from(
            document.querySelectorAll("#events button"),
            row => Array.from(row.querySelectorAll("span"),
                cell => cell.textContent))""")

    def files(self):
        """The names in the list of files, each with what is said of it."""
        names = self.texts("#files span")
        return list(zip(names, self.texts("#files small"), strict=True))

    def set_threshold(self, value):
        """Moves the slider."""
        self.run(
            """const slider = document.querySelector("#threshold");
            slider.value = given[0];
            slider.dispatchEvent(new Event("input"));""",
            value,
        )

    def download(self, selector):
        """The name and the text of the file that a button saves."""
        return self.run(
            """const before = HTMLAnchorElement.prototype.click;
            let link;
            HTMLAnchorElement.prototype.click = function () { link = this; };
            document.querySelector(given[0]).click();
            HTMLAnchorElement.prototype.click = before;
            return [link.download, await (await fetch(link.href)).text()];""",
            selector,
        )


@pytest.fixture
def steps(browser, addresses):
    return Page(browser, addresses["steps"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A file of 20 s with a tone of each class."""
    path = tmp_path_factory.mktemp("clip") / "three tones.wav"
    sf.write(path, tones(20, SOUNDS), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def beep(tmp_path_factory):
    """A file of 2 s with one class."""
    path = tmp_path_factory.mktemp("beep") / "beep, short.wav"
    sf.write(path, tones(2, [("Beep", 0.5, 1.5)]), RATE, subtype="FLOAT")
    return path


# What the page computes of files, without showing it
TIMELINES = """
    const [contents, rate] = given;
    const { decode } = await import("./audio.js");
    const { loadModel, readJson } = await import("./model.js");
    const { analyze } = await import("./timeline.js");
    const about = await readJson("model.json");
    const settings = await readJson("page.json");
    const run = await loadModel(about, settings, () => {});
    const found = [];
    for (const content of contents) {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt());
        const samples = await decode(new File([bytes], "clip.wav"), rate);
        const timeline = await analyze(samples, about, run, () => {});
        for (const name of ["probs", "clipProbs"]) {
            timeline[name] = Array.from(timeline[name]);
        }
        found.push(timeline);
    }
    return found;"""


@pytest.mark.parametrize("name", ["clips", "steps"])
def test_probabilities_are_those_of_python(
    request, browser, addresses, tmp_path, name
):
    page = Page(browser, addresses[name])
    tagger = request.getfixturevalue(f"{name}_tagger")
    paths = []
    for seconds in (0.05, 1.0, 3.0, 11.3):
        paths.append(tmp_path / f"{seconds}.wav")
        sounds = [("Beep", 0, seconds / 2), ("Hum", seconds / 3, seconds)]
        wav = tones(seconds, sounds)
        sf.write(paths[-1], wav, RATE, subtype="FLOAT")
    contents = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    timelines = page.run(TIMELINES, contents, RATE)
    for path, found in zip(paths, timelines, strict=True):
        expected = tagger.analyze(path)
        np.testing.assert_allclose(found["times"], expected.times, atol=1e-6)
        for key, values in (
            ("probs", expected.probs),
            ("clipProbs", expected.clip_probs),
        ):
            np.testing.assert_allclose(
                found[key], values.ravel(), rtol=0, atol=1e-3
            )
        assert found["duration"] == pytest.approx(expected.duration)


def seconds_of(text):
    """Minutes and seconds in seconds."""
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + float(seconds)


def check_events(found, expected):
    """Compares rows of the list with events."""
    assert [row[1] for row in found] == [event.label for event in expected]
    for (times, _, probability), event in zip(found, expected):
        start, end = map(seconds_of, times.split(" – "))
        assert start == pytest.approx(event.start, abs=0.02)
        assert end == pytest.approx(event.end, abs=0.02)
        assert float(probability) == pytest.approx(event.probability, abs=0.01)


def test_what_is_shown_of_a_file(steps, steps_tagger, clip):
    steps.tag(clip)
    expected = steps_tagger.analyze(clip)
    shown = steps.tags()
    tags = expected.tags(threshold=0.0)
    assert set(shown) == {tag.label for tag in tags} and len(shown) == 3
    assert steps.text("#name") == clip.name
    for tag in tags:
        assert shown[tag.label] == pytest.approx(tag.probability, abs=1e-3)
    found = {tag.label for tag in expected.tags()}
    assert steps.bold_tags() == found == {"Beep", "<b>Whistle</b>"}
    # Learnt thresholds first, by which there is no Hum
    events = expected.events()
    assert {event.label for event in events} == {"Beep", "<b>Whistle</b>"}
    check_events(steps.events(), events)
    thresholds = steps.texts("#events button small")
    assert thresholds == ["threshold 0.50"] * len(events)
    assert steps.text("#threshold-value") == "0.50–1.00"
    assert steps.run("return document.querySelector('#threshold').disabled")
    steps.click("#learnt")
    for value in (0.5, 0.3, 0.7):
        steps.set_threshold(value)
        events = expected.events(value)
        tags = {tag.label for tag in expected.tags(threshold=value)}
        assert {event.label for event in events} == tags == steps.bold_tags()
        check_events(steps.events(), events)
        assert not steps.texts("#events button small")
        assert steps.text("#threshold-value") == f"{value:.2f}"
    steps.set_threshold(1)
    assert not steps.events()
    assert "No event" in steps.text("#event-count")


def test_what_the_model_knows(steps, clip):
    wait(lambda: steps.is_shown("#known"))
    steps.click("#known")
    assert sorted(steps.texts("#labels li")) == sorted(PITCHES)
    assert steps.text("#note") == NOTE
    steps.click("#example")
    steps.wait_for_results(clip.name)
    assert "Beep" in steps.bold_tags()


def test_pictures_and_controls_have_words(steps, clip):
    steps.tag(clip)
    picture = "return document.querySelector(given[0]).ariaLabel"
    for label in PITCHES:
        assert label in steps.run(picture, "#timeline")
    assert "8000" in steps.run(picture, "#spectrogram")
    nameless = steps.run("""return Array.from(
        document.querySelectorAll("button, input, progress"),
        found => (found.labels?.length || found.innerText.trim()) || !found.checkVisibility()
            ? null : found.outerHTML).filter(found => found)""")
    assert not nameless


def test_files_are_tagged_in_turn(steps, steps_tagger, clip, beep, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_text("no audio")
    steps.choose(clip, broken, beep)
    steps.wait_for_status("2 of 3")
    assert broken.name in steps.text("#error")
    files = dict(steps.files())
    assert list(files) == [clip.name, broken.name, beep.name]
    assert "Beep" in files[beep.name] and "Whistle" in files[clip.name]
    assert broken.name in files[broken.name]
    assert steps.text("#name") == clip.name
    steps.click("#files li:last-child button")
    assert steps.text("#name") == beep.name
    assert steps.bold_tags() == {"Beep"}
    expected = [steps_tagger.analyze(path) for path in (clip, beep)]
    check_events(steps.events(), expected[1].events())
    # Downloads have all files
    name, text = steps.download("#csv")
    assert name == "results.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    paths = {clip.name: expected[0], beep.name: expected[1]}
    assert [(row["file"], row["label"]) for row in rows] == [
        (name, event.label)
        for name, timeline in paths.items()
        for event in timeline.events()
    ]
    results = {x["file"]: x for x in json.loads(steps.download("#json")[1])}
    assert list(results) == list(files) and "error" in results[broken.name]
    for name, timeline in paths.items():
        for key in ("tags", "events"):
            found = [item["label"] for item in results[name][key]]
            assert found == [x.label for x in getattr(timeline, key)()]


DROP = """
    const dropped = new DataTransfer();
    const bytes = Uint8Array.from(atob(given[0]), (c) => c.charCodeAt());
    dropped.items.add(new File([bytes], "dropped.wav"));
    const event = new DragEvent("drop", {
        dataTransfer: dropped, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
    return event.defaultPrevented;"""


def test_a_file_can_be_dropped(steps, beep):
    content = base64.b64encode(beep.read_bytes()).decode()
    assert steps.run(DROP, content)
    steps.wait_for_results("dropped.wav")
    assert steps.bold_tags() == {"Beep"}


def test_a_file_that_is_cut_off_has_a_notice(steps, tmp_path, clip):
    whole, half = tmp_path / "whole.mp3", tmp_path / "half.mp3"
    sf.write(whole, tones(20, SOUNDS), RATE)
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    steps.tag(half)
    wait(lambda: steps.is_shown("#notice"))
    assert "0:20" in steps.text("#notice") and "0:10" in steps.text("#notice")
    steps.tag(whole)
    assert not steps.is_shown("#notice")


def test_tagging_can_be_cancelled(steps, clip, beep, tmp_path):
    long_file = tmp_path / "long.wav"
    sf.write(long_file, tones(1200, []), RATE)
    steps.choose(long_file, beep)
    # Not "Tagging 2 files", which is shown before there is anything to cancel
    wait(lambda: f"Tagging {long_file.name}" in steps.text("#doing"))
    steps.click("#cancel")
    wait(lambda: not steps.is_shown("#work"))
    assert not steps.is_shown("#error")
    assert ["cancelled" in state for _, state in steps.files()] == [True, True]
    steps.tag(clip)
    assert steps.text("#name") == clip.name and steps.events()
    # Those that were cancelled can be tagged after all
    steps.click("#files li:nth-child(2) button")
    steps.wait_for_results(beep.name)
    assert steps.bold_tags() == {"Beep"}
    assert "cancelled" in dict(steps.files())[long_file.name]


def test_the_microphone_is_tagged_live_and_then_whole(steps):
    steps.click("#record")
    wait(lambda: steps.tags().get("Beep", 0) > 0.5)
    assert not steps.is_shown("#player")
    steps.click("#record")
    steps.wait_for_results("recording 1.wav")
    shown = steps.tags()
    assert list(shown)[0] == "Beep" and shown["Beep"] > 0.5
    assert "Beep" in [row[1] for row in steps.events()]


def test_files_end_the_microphone_whose_recording_is_kept(steps, clip):
    steps.click("#record")
    wait(lambda: steps.tags())
    steps.choose(clip)
    steps.wait_for_status("2 of 2")
    names = [name for name, _ in steps.files()]
    assert names == ["recording 1.wav", clip.name]


def test_nothing_is_loaded_from_elsewhere_or_sent(steps, clip):
    """Runs last: the log holds all that the browser has asked for so far."""
    steps.tag(clip)
    requests = steps.browser.requests()
    remote = [r for r in requests if urlparse(r["url"]).scheme in SCHEMES]
    assert len(remote) > 20
    for request in remote:
        assert urlparse(request["url"]).hostname == "127.0.0.1"
        assert request["method"] == "GET" and not request.get("hasPostData")
