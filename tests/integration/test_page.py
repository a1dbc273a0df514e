"""Tests of the page in a real browser, Chromium without a window.

They are skipped where there is no Chromium or no onnxruntime-web (npm install),
unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import contextlib
import functools
import json
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf
from small_models import PITCHES, RATE, tones, train_on_tones

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.edit import write_model
from fftp_tag.model import Model

pytest.importorskip("onnxscript")
webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
ui = pytest.importorskip("selenium.webdriver.support.ui")

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
PATIENCE = 120  # seconds
SCHEMES = ("http", "https", "ws", "wss")


def missing(what):
    """Skips a test, or fails where all must be there."""
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def steps_file(tmp_path_factory):
    """A model of time steps; by its thresholds, no Hum is found."""
    path = tmp_path_factory.mktemp("onnx") / "steps.onnx"
    train_on_tones(path)
    rules = {
        "thresholds": [0.5, 1.0, 0.5],
        "merge_gap": [0.5, 0.0, 0.0],
        "min_duration": [0.0, 0.0, 0.3],
    }
    write_model(path, path, {**Model(path).metadata, **rules})
    return path


@pytest.fixture(scope="module")
def steps_tagger(steps_file):
    return AudioTagger.from_pretrained(steps_file)


@pytest.fixture(scope="module")
def clips_tagger(onnx_file):
    return AudioTagger.from_pretrained(onnx_file)


@pytest.fixture(scope="module")
def build_page(tmp_path_factory):
    """A function that writes the page of an ONNX model to a folder."""
    runtime = ROOT / "node_modules"
    if not (runtime / "onnxruntime-web").is_dir():
        missing("onnxruntime-web is not installed: npm install")

    def build(model):
        folder = tmp_path_factory.mktemp("pages") / "page"
        options = ["--runtime", str(runtime)]
        assert main(["page", str(model), str(folder), *options]) == 0
        return folder

    return build


@pytest.fixture(scope="module")
def steps_page(steps_file, build_page):
    """Of a model that classifies time steps, with learnt thresholds."""
    return build_page(steps_file)


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
def chromium(tmp_path_factory):
    """The browser, whose microphone hears a tone."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        missing("no chromium or no chromedriver is installed")
    folder = tmp_path_factory.mktemp("browser")
    tone = tones(10, [("Beep", 0, 10)])
    sf.write(folder / "tone.wav", tone, RATE)
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in (
        *FLAGS,
        f"--user-data-dir={folder / 'user'}",
        f"--use-file-for-fake-audio-capture={folder / 'tone.wav'}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(paths[1])
    )
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


class Page:
    """The opened page, as one who uses it sees it."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)

    def wait(self, condition):
        """Waits until a function of the driver returns something."""
        return ui.WebDriverWait(self.driver, PATIENCE).until(condition)

    def find(self, selector):
        """The element that CSS selects, once there is one."""
        return self.wait(
            lambda driver: driver.find_elements(By.CSS_SELECTOR, selector)
        )[0]

    def run(self, script, *arguments):
        """The result of the body of an async function, which is awaited."""
        found = self.driver.execute_async_script(
            f"""const finish = arguments[arguments.length - 1];
            (async (given) => {{ {script} }})(Array.from(arguments))
                .then((result) => finish({{result}}),
                      (error) => finish({{error: String(error)}}));""",
            *arguments,
        )
        assert "error" not in found, found
        return found.get("result")

    def tag(self, path):
        """Chooses a file and waits until it is tagged."""
        self.find("#file").send_keys(str(path))
        self.wait_for_results(path.name)

    def wait_for_results(self, name):
        """Waits until the results of a file are shown."""
        self.wait(
            lambda _: self.find("#status").text.startswith(f"{name}, ")
            or self.error()
        )
        assert not self.error()

    def error(self):
        """The error that is shown, if any."""
        return self.driver.find_element(By.ID, "error").text

    def tags(self):
        """Labels and probabilities of the bars."""
        return dict(
            self.run("""return Array.from(document.querySelectorAll("#tags li"),
                row => [row.firstChild.textContent,
                        row.querySelector("meter").value])""")
        )

    def bold_tags(self):
        """The labels that reach the model's thresholds."""
        return set(
            self.run("""return Array.from(
            document.querySelectorAll("#tags strong"),
            label => label.textContent)""")
        )

    def events(self):
        """Start, end, label and probability of each row of the list."""
        return self.run("""return Array.from(
            document.querySelectorAll("#events button"),
            row => Array.from(row.querySelectorAll("span"),
                cell => cell.textContent))""")

    def thresholds(self):
        """The learnt threshold of each row of the list."""
        return self.run("""return Array.from(
            document.querySelectorAll("#events button small"),
            cell => cell.textContent)""")

    def set_threshold(self, value):
        """Moves the slider."""
        self.run(
            """const slider = document.querySelector("#threshold");
            slider.value = given[0];
            slider.dispatchEvent(new Event("input"));""",
            value,
        )


@pytest.fixture
def steps(chromium, addresses):
    return Page(chromium, addresses["steps"])


@pytest.fixture
def clips(chromium, addresses):
    return Page(chromium, addresses["clips"])


SOUNDS = [
    ("Beep", 1.0, 1.5),
    ("Beep", 1.7, 2.0),
    ("Hum", 3.0, 5.0),
    ("<b>Whistle</b>", 6.0, 7.5),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A file of 20 s with a tone of each class."""
    path = tmp_path_factory.mktemp("clip") / "three tones.wav"
    sf.write(path, tones(20, SOUNDS), RATE, subtype="FLOAT")
    return path


# What the page computes of files, without showing it
TIMELINES = """
    const [contents, rate] = given;
    const { decode } = await import("./audio.js");
    const { loadModel } = await import("./model.js");
    const { analyze } = await import("./timeline.js");
    const { about, run } = await loadModel(() => {});
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
def test_probabilities_are_those_of_python(request, tmp_path, name):
    page = request.getfixturevalue(name)
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
    assert list(shown) == [tag.label for tag in tags] and len(shown) == 3
    for tag in tags:
        assert shown[tag.label] == pytest.approx(tag.probability, abs=1e-3)
    found = {tag.label for tag in expected.tags()}
    assert steps.bold_tags() == found == {"Beep", "<b>Whistle</b>"}
    # Learnt thresholds first, by which there is no Hum
    events = expected.events()
    assert {event.label for event in events} == {"Beep", "<b>Whistle</b>"}
    check_events(steps.events(), events)
    assert steps.thresholds() == ["threshold 0.50"] * len(events)
    assert steps.find("#threshold-value").text == "0.50–1.00"
    assert not steps.find("#threshold").is_enabled()
    steps.find("#learnt").click()
    for value in (0.5, 0.3, 0.7):
        steps.set_threshold(value)
        events = expected.events(value)
        assert {event.label for event in events} == set(PITCHES)
        check_events(steps.events(), events)
        assert not steps.thresholds()
        assert steps.find("#threshold-value").text == f"{value:.2f}"
    steps.set_threshold(1)
    assert not steps.events()
    assert "No event" in steps.find("#event-count").text


def test_the_microphone_is_tagged_live_and_then_whole(steps):
    steps.find("#record").click()
    steps.wait(lambda _: steps.tags().get("Beep", 0) > 0.5)
    assert "Listening" in steps.find("#status").text
    assert not steps.driver.find_element(By.ID, "player").is_displayed()
    steps.find("#record").click()
    steps.wait_for_results("recording.wav")
    shown = steps.tags()
    assert list(shown)[0] == "Beep" and shown["Beep"] > 0.5
    assert "Beep" in [row[1] for row in steps.events()]


def test_a_file_ends_the_work_so_far(steps, clip, tmp_path):
    path = tmp_path / "long.wav"
    sf.write(path, tones(600, []), RATE)
    steps.find("#record").click()
    steps.wait(lambda _: "Listening" in steps.find("#status").text)
    steps.find("#file").send_keys(str(path))
    steps.wait(lambda _: "Tagging" in steps.find("#status").text)
    assert steps.find("#record").text == "Use the microphone"
    steps.tag(clip)
    assert list(steps.tags())[0] in PITCHES and steps.events()


def test_nothing_is_loaded_from_elsewhere_or_sent(chromium, steps, clip):
    """Runs last: the log holds all that the browser has asked for so far."""
    steps.tag(clip)
    messages = [
        json.loads(entry["message"])["message"]
        for entry in steps.driver.get_log("performance")
    ]
    requests = [
        message["params"]["request"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    remote = [r for r in requests if urlparse(r["url"]).scheme in SCHEMES]
    assert len(remote) > 20
    for request in remote:
        assert urlparse(request["url"]).hostname == "127.0.0.1"
        assert request["method"] == "GET" and not request.get("hasPostData")
