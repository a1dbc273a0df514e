"""Tests of the page in a real browser, Chromium without a window.

They are skipped where there is no Chromium, unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from speechbrain_fftp.cli.page import MAX_MEGABYTES, choose_windows
from speechbrain_fftp.inference import AudioTagger

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
PATIENCE = 60  # seconds
SCHEMES = ("http", "https", "ws", "wss")


@pytest.fixture(scope="module")
def address(exported, tmp_path_factory):
    """The page's address; a child process serves it, without a network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = dict.fromkeys(
        ("http_proxy", "https_proxy"), "http://127.0.0.1:9"
    )
    settings["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("uploads"))
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "speechbrain_fftp.cli.main", "serve"]
            + ["--model", str(exported[1]), "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings, "no_proxy": "127.0.0.1"},
        )
    end = time.time() + 2 * PATIENCE
    while "Serving on" not in log.read_text() and time.time() < end:
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait(PATIENCE)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The browser, and the folder to which it downloads."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        missing = "no chromium or no chromedriver is installed"
        if os.environ.get("CI_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in [*FLAGS, f"--user-data-dir={folder / 'user'}"]:
        options.add_argument(flag)
    downloads = {"download.default_directory": str(folder / "downloads")}
    options.add_experimental_option("prefs", downloads)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(paths[1]))
    yield driver, folder / "downloads"
    driver.quit()


class Page:
    """The opened page, as one who uses it sees it."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)

    def find(self, selector):
        """What CSS selects, as soon as there is something."""
        return WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: driver.find_elements(By.CSS_SELECTOR, selector)
        )

    def upload(self, path):
        """Chooses a file for the clip."""
        self.find("#clip input[type=file]")[0].send_keys(str(path))

    def tag(self):
        """Presses the button, when the clip is there."""
        self.find("#clip [data-testid=waveform-controls]")
        self.find("#tag")[0].click()

    def read(self, selector, value):
        """A value of each element that CSS selects, once there are any.

        In one script, as the page may draw its elements anew at any time.
        """
        script = f"""return Array.from(
            document.querySelectorAll("{selector}"), e => {value})"""
        return WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: any(found := driver.execute_script(script)) and found
        )

    def tags(self):
        """Labels and probabilities of the bars."""
        labels = self.read("#tags meter", "e.getAttribute('aria-label')")
        return dict(zip(labels, self.read("#tags meter", "e.value")))

    def choose_threshold(self, value):
        """Types it, again if the page drew the field anew meanwhile."""

        def type_it(driver):
            number = self.find("#threshold input[type=number]")[0]
            number.send_keys(Keys.CONTROL, "a")
            number.send_keys(value, Keys.TAB)
            return number.get_property("value") == value

        WebDriverWait(
            self.driver,
            PATIENCE,
            ignored_exceptions=[StaleElementReferenceException],
        ).until(type_it)

    def error(self):
        """The error that is shown, once it has been faded in."""
        return self.read("[data-testid=toast-body]", "e.innerText")[0]


@pytest.fixture
def page(chromium, address):
    return Page(chromium[0], address)


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


def expected_rows(tagger, path, seconds, threshold):
    """The rows of the event table, as texts."""
    windows = choose_windows(tagger, seconds)
    events = tagger.tag_long(path, threshold=threshold, **windows)
    return [
        [e.label, *map(float, (e.start, e.end, e.probability))] for e in events
    ]


def read_csv(folder):
    """The rows of the only CSV file of a folder, which is then deleted."""
    end = time.time() + PATIENCE
    while not list(folder.glob("*.csv")) and time.time() < end:
        time.sleep(0.1)
    (path,) = folder.glob("*.csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    path.unlink()
    numbers = ("start", "end", "probability")
    return [[row["label"], *(float(row[n]) for n in numbers)] for row in rows]


def cells(page, count):
    """The rows of the event table, once there are so many."""
    script = """return Array.from(
        document.querySelectorAll("#events [role=gridcell]"),
        cell => cell.textContent.trim())"""
    WebDriverWait(page.driver, PATIENCE).until(
        lambda driver: len(driver.execute_script(script)) == 4 * count
    )
    texts = page.driver.execute_script(script)
    rows = [texts[i : i + 4] for i in range(0, len(texts), 4)]
    return [[row[2], *map(float, row[:2] + row[3:])] for row in rows]


def test_what_is_shown_of_an_upload(page, chromium, tagger, tmp_path):
    path = tmp_path / "clip.wav"
    times = np.arange(5.25 * 16000) / 16000
    tone = np.sin(2 * np.pi * 700 * times) * (times % 2 < 1)
    noise = np.random.default_rng(0).standard_normal(len(times))
    sf.write(path, 0.3 * tone + 0.01 * noise, 16000)
    page.upload(path)
    page.tag()
    tags = tagger.tag_file(path)
    shown = page.tags()
    assert list(shown) == [tag.label for tag in tags] and len(shown) == 5
    for tag in tags:
        assert shown[tag.label] == pytest.approx(tag.probability, abs=1e-4)
    texts = page.read("#tags .confidence", "e.innerText.trim()")
    assert texts == [f"{round(100 * tag.probability)}%" for tag in tags]
    # Zero until the picture has been loaded
    assert page.read("#picture img", "e.naturalWidth") == [1000]
    assert page.read("#picture img", "e.naturalHeight") == [780]

    expected = expected_rows(tagger, path, 5.25, 0.5)
    assert [row[1:3] for row in expected] == 3 * [[0, 5.25]]
    found = cells(page, len(expected))
    assert [row[0] for row in found] == [row[0] for row in expected]
    for row, wanted in zip(found, expected):
        assert row[1:] == pytest.approx(wanted[1:], abs=2e-3)
    page.find("#csv")[0].click()
    assert read_csv(chromium[1]) == found

    page.choose_threshold("0.7")
    expected = expected_rows(tagger, path, 5.25, 0.7)
    assert 0 < len(expected) < len(found)
    found = cells(page, len(expected))
    assert [row[0] for row in found] == [row[0] for row in expected]
    page.find("#csv")[0].click()
    assert read_csv(chromium[1]) == found


def test_a_recording(page):
    """Of the beeps that the browser has in place of a microphone."""
    page.find("#clip [aria-label='Record audio']")[0].click()
    page.find("#clip .record-button")[0].click()
    stop = page.find("#clip .stop-button")[0]
    WebDriverWait(page.driver, PATIENCE).until(lambda _: stop.is_displayed())
    time.sleep(1.5)
    stop.click()
    page.tag()
    assert len(page.tags()) == 5
    rows = cells(page, len(page.find("#events [role=gridcell]")) // 4)
    assert 1 < rows[0][2] < 10  # where the first event ends


def test_an_example(page):
    page.find("button.gallery-item")[0].click()
    page.tag()
    assert len(page.tags()) == 5


def test_errors_are_shown(page, tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF and nothing that one could hear")
    page.upload(path)
    page.tag()
    assert "The file is not readable audio: " in page.error()
    assert str(tmp_path) not in page.error()


def test_no_clip(page):
    page.find("#tag")[0].click()
    assert "Choose a file or record a clip first." in page.error()


def test_a_clip_that_is_too_large_or_too_long(page, address, tmp_path):
    path = tmp_path / "large.wav"
    with open(path, "wb") as file:
        file.truncate((MAX_MEGABYTES + 1) * 2**20)
    page.upload(path)
    assert "exceed the maximum allowed size of 50" in page.error()
    path = tmp_path / "long.flac"
    sf.write(path, np.zeros(660 * 8000), 8000)
    page = Page(page.driver, address)
    page.upload(path)
    page.tag()
    assert (
        "lasts 11.0 minutes, but the limit of this page is 10" in page.error()
    )


def test_nothing_is_loaded_from_elsewhere(page, address):
    """Runs last: the log holds all that the browser has asked for so far."""
    page.find("#tag")
    messages = [
        json.loads(entry["message"])["message"]
        for entry in page.driver.get_log("performance")
    ]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    remote = [url for url in urls if urlparse(url).scheme in SCHEMES]
    assert len(remote) > 20
    assert not [url for url in remote if not url.startswith(address)]
