"""Tests of the page in a real browser, Chromium without a window.

They are skipped where it or onnxruntime-web (npm install) is missing,
unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import dataclasses
import functools
import io
import json
import os
import shutil
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from small_models import PITCHES, RATE, tones

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.data.reviewed import ReviewFolder, read_answers
from fftp_tag.model.edit import copy_model
from fftp_tag.model.info import default_rules
from fftp_tag.model.session import Model
from fftp_tag.review.candidates import find_candidates
from fftp_tag.review.server import ReviewServer
from fftp_tag.review.session import Session

pytest.importorskip("onnxscript")

RUNTIME = Path(__file__).resolve().parents[2] / "node_modules"
PATIENCE = 120  # seconds
CHROMIUM_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
NOTE = "This model knows three tones."
SOUNDS = [
    ("Beep", 1.0, 1.5),
    ("Beep", 1.7, 2.0),
    ("Hum", 3.0, 5.0),
    ("<b>Whistle</b>", 6.0, 7.5),
]


def write_tones(path, seconds, sounds):
    """Writes tones; returns the path."""
    sf.write(path, tones(seconds, sounds), RATE, subtype="FLOAT")
    return path


def missing(what):
    """Skips a test, or fails where all must be there."""
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def driver(folder):
    """Chromium, whose microphone hears beeps."""
    try:
        from selenium import webdriver
    except ImportError:
        missing("selenium is not installed")
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        missing("no chromium or no chromedriver is installed")
    heard = folder / "tone.wav"
    write_tones(heard, 10, [("Beep", 0, 3), ("Beep", 5, 8)])
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in (
        *CHROMIUM_FLAGS,
        f"--user-data-dir={folder / 'user'}",
        f"--use-file-for-fake-audio-capture={heard}",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(paths[1]))
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def clip(folder):
    """A file of 20 s with a tone of each class."""
    return write_tones(folder / "three tones.wav", 20, SOUNDS)


@pytest.fixture(scope="module")
def beep(folder):
    """A file of 2 s with one class."""
    return write_tones(folder / "beep, short.wav", 2, [("Beep", 0.5, 1.5)])


@pytest.fixture(scope="module")
def model(folder, tones_file):
    """A frame-level one, by whose thresholds no Hum is found."""
    rules = default_rules(3).replace(
        threshold=[0.5, 1.0, 0.5],
        merge_gap=[0.5, 0.0, 0.0],
        min_duration=[0.0, 0.0, 0.3],
    )
    rules = dataclasses.replace(rules, is_learnt=True)
    info = dataclasses.replace(Model(tones_file).info, rules=rules, note=NOTE)
    copy_model(tones_file, folder / "steps.onnx", info)
    return folder / "steps.onnx"


@pytest.fixture(scope="module")
def address(folder, model, clip):
    """Of a server with the page of the model."""
    if not (RUNTIME / "onnxruntime-web").is_dir():
        missing("onnxruntime-web is not installed: npm install")
    command = ["page", model, folder / "page", "--example", clip]
    assert main([*map(str, command), "--runtime", str(RUNTIME)]) == 0
    handler = functools.partial(
        SimpleHTTPRequestHandler, directory=folder / "page"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def wait(condition):
    """Waits until a function returns something true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Page:
    """An opened page, as one who uses it sees it."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)

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

    def element(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        self.element(selector).click()

    def is_shown(self, selector):
        return self.element(selector).is_displayed()

    def texts(self, selector):
        """The texts of all such elements."""
        return self.run(
            """return Array.from(document.querySelectorAll(given[0]),
            (found) => found.textContent)""",
            selector,
        )

    def text(self, selector):
        [text] = self.texts(selector)
        return text

    def choose(self, *paths):
        """Chooses files."""
        self.element("#file").send_keys("\n".join(map(str, paths)))

    def wait_for_results(self, name):
        """Waits until the results of a file are shown."""
        wait(
            lambda: self.text("#status").startswith(f"{name}, ")
            or self.is_shown("#error")
        )
        assert not self.is_shown("#error"), self.text("#error")

    def tag(self, path):
        """Chooses a file and waits until it is tagged."""
        self.choose(path)
        self.wait_for_results(path.name)

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
        """Start and end, label, and probability of each row of the list."""
        cells = self.texts("#events button span")
        return list(zip(cells[::3], cells[1::3], cells[2::3], strict=True))

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
def page(driver, address):
    """The page of the model."""
    return Page(driver, address)


def check_events(page, expected):
    """Compares the list of events."""
    found = page.events()
    assert [row[1] for row in found] == [event.label for event in expected]
    for (times, _, probability), event in zip(found, expected):
        start, end = times.replace("0:", "").split(" – ")
        assert float(start) == pytest.approx(event.start, abs=0.02)
        assert float(end) == pytest.approx(event.end, abs=0.02)
        assert float(probability) == pytest.approx(event.probability, abs=0.01)


def test_what_is_shown_of_a_file(page, model, clip):
    page.tag(clip)
    expected = AudioTagger.from_pretrained(model).analyze(clip)
    tags = {x.label: x.probability for x in expected.tags(threshold=0.0)}
    assert page.tags() == pytest.approx(tags, abs=1e-3) and len(tags) == 3
    assert page.text("#name") == clip.name
    # Learnt thresholds first, by which there is no Hum
    assert page.bold_tags() == {"Beep", "<b>Whistle</b>"}
    check_events(page, expected.events())
    page.click("#learnt")
    page.set_threshold(0.3)
    assert page.bold_tags() == {x.label for x in expected.tags(threshold=0.3)}
    check_events(page, expected.events(0.3))
    # What the model knows
    page.click("#known")
    assert sorted(page.texts("#labels li")) == sorted(PITCHES)
    assert page.text("#note") == NOTE


def test_a_file_that_holds_nan_is_named(page, tmp_path):
    path = tmp_path / "failed.wav"
    sf.write(path, np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    page.choose(path)
    wait(lambda: "failed.wav holds NaN" in page.text("#error"))


def test_files_are_tagged_in_turn(page, model, clip, beep, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_text("no audio")
    page.choose(clip, broken, beep)
    wait(lambda: "2 of 3" in page.text("#status"))
    assert broken.name in page.text("#error")
    page.click("#files li:last-child button")
    assert page.text("#name") == beep.name
    tagger = AudioTagger.from_pretrained(model)
    events = [tagger.analyze(path).events() for path in (clip, beep)]
    check_events(page, events[1])
    # Downloads have all files
    name, text = page.download("#json")
    results = json.loads(text)
    assert name == "results.json"
    names = [clip.name, broken.name, beep.name]
    assert [row["file"] for row in results] == names
    assert ["error" in row for row in results] == [False, True, False]
    rows = list(csv.DictReader(io.StringIO(page.download("#csv")[1])))
    assert [row["file"] for row in rows if row["error"]] == [broken.name]
    assert len(rows) == 1 + sum(map(len, events))


def test_the_microphone_is_tagged_live_and_then_whole(page):
    page.click("#record")
    wait(lambda: page.tags().get("Beep", 0) > 0.5)
    level = "return document.querySelector('#level').value"
    wait(lambda: 0.3 < page.run(level) <= 1)
    # Events are there as they begin, and have an end afterwards
    wait(lambda: "Beep" in page.texts("#live-events strong"))
    wait(lambda: "Beep" in page.texts("#live-events span"))
    page.click("#record")
    page.wait_for_results("recording 1.wav")
    assert not page.is_shown("#live")
    assert "Beep" in page.bold_tags()
    assert "Beep" in [row[1] for row in page.events()]


def test_the_page_reaches_no_other_host(page, address, clip):
    """Whatever a script would do: the content security policy forbids it."""
    page.tag(clip)
    loaded = page.run(
        "return performance.getEntriesByType('resource').map(x => x.name)"
    )
    assert len(loaded) > 5
    assert all(url.startswith((address, "blob:")) for url in loaded)
    other = address.replace("127.0.0.1", "localhost")
    found = page.run(
        """return await new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) =>
                resolve(event.effectiveDirective));
            fetch(given[0], { mode: "no-cors" }).then(
                () => resolve("loaded"), () => {});
        });""",
        other,
    )
    assert found == "connect-src"


@pytest.fixture
def review(tmp_path, tones_file):
    """The address of a review of three tones, and the folder of answers."""
    write_tones(tmp_path / "tones.wav", 9, SOUNDS[1:])
    tagger = AudioTagger.from_pretrained(tones_file)
    timeline = tagger.analyze(tmp_path / "tones.wav")
    candidates = find_candidates(
        timeline, str(tmp_path), "tones.wav", seconds=0.5
    )
    events = [candidate for candidate in candidates if candidate.is_event]
    assert len(events) == 3
    folder = tmp_path / "reviewed"
    session = Session(
        events, ReviewFolder(folder), tagger.labels, "0f1e", "top"
    )
    with ReviewServer(session) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.address, folder
        server.shutdown()


def test_keys_of_a_review(driver, review):
    """They answer, and are letters where a name is typed."""
    address, folder = review
    driver.get_log("browser")  # of other tests
    page = Page(driver, address)

    def answers():
        return [(x.answer, x.label) for x in read_answers(folder)]

    def press(key, heard):
        """Presses a key, then waits for the next candidate."""
        page.element("body").send_keys(key)
        wait(lambda: page.text("#progress").startswith(f"{heard} answered"))
        wait(lambda: page.element("#mark").size["width"] > 10)

    wait(lambda: page.is_shown("#candidate"))
    asked = page.text("#question")
    assert asked[:8] == "Is this " and asked[8:-1] in PITCHES
    assert page.text("#where").startswith("tones.wav, 0:0")
    wait(lambda: page.element("#mark").size["width"] > 10)
    press("y", 1)
    assert answers() == [("yes", asked[8:-1])]
    press("u", 0)
    assert page.text("#question") == asked
    press("n", 1)
    press("2", 2)
    label = page.texts("#others button")[1].removesuffix(" 2")
    assert answers()[0] == ("no", "background")
    assert answers()[1] in [("other", label), ("yes", label)]
    played = "document.querySelector('#player').currentTime"
    wait(lambda: page.run(f"return {played}") > 0.1)
    page.element("body").send_keys(" ")
    page.element("#name").send_keys("yes, snoring\n")
    wait(lambda: page.text("#progress").startswith("3 answered"))
    assert answers()[2] == ("other", "yes, snoring")
    wait(lambda: "nothing left" in page.text("#status"))
    assert not page.is_shown("#candidate") and not page.is_shown("#error")
    page.click("#done")
    wait(lambda: page.text("#status").startswith("Done"))
    problems = [
        entry
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE"
    ]
    assert problems == []
