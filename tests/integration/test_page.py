"""Tests of the page in a real browser, Chromium without a window.

They are skipped where there is no Chromium, unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import shutil
import time
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.page import MAX_MEGABYTES, choose_windows
from speechbrain_fftp.inference import AudioTagger

webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
ui = pytest.importorskip("selenium.webdriver.support.ui")
faults = pytest.importorskip("selenium.common.exceptions")

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
PATIENCE = 60  # seconds
SCHEMES = ("http", "https", "ws", "wss")


@pytest.fixture(scope="module")
def address(serve_page):
    """The page's address."""
    with serve_page() as server:
        yield f"http://127.0.0.1:{server.port}/"
        assert "Traceback" not in server.log()


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
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(paths[1])
    )
    yield driver, folder / "downloads"
    driver.quit()


class Page:
    """The opened page, as one who uses it sees it."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)

    def find(self, selector):
        """What CSS selects, as soon as there is something."""
        return ui.WebDriverWait(self.driver, PATIENCE).until(
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
        return ui.WebDriverWait(self.driver, PATIENCE).until(
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
            number.send_keys(webdriver.Keys.CONTROL, "a")
            number.send_keys(value, webdriver.Keys.TAB)
            return number.get_property("value") == value

        ui.WebDriverWait(
            self.driver,
            PATIENCE,
            ignored_exceptions=[faults.StaleElementReferenceException],
        ).until(type_it)

    def error(self):
        """The error that is shown."""
        return self.read("#status [role=alert]", "e.innerText")[0]

    def wait_until_cleared(self):
        """Waits until no results are shown."""
        shown = "#tags meter, #picture img, #events td"
        ui.WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: not driver.find_elements(By.CSS_SELECTOR, shown)
        )


@pytest.fixture
def page(chromium, address):
    return Page(chromium[0], address)


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


def expected_rows(tagger, path, seconds, threshold):
    """The rows of the event table, as texts."""
    windows = choose_windows(tagger, seconds)
    events = tagger.tag_long(path, *windows, threshold=threshold)
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
    script = """return Array.from(document.querySelectorAll("#events td"),
        cell => cell.textContent)"""
    ui.WebDriverWait(page.driver, PATIENCE).until(
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
    assert page.read("#picture img", "e.naturalHeight") == [960]

    expected = expected_rows(tagger, path, 5.25, 0.5)
    assert [row[1:3] for row in expected] == 3 * [[0, 5.25]]
    found = cells(page, len(expected))
    assert [row[0] for row in found] == [row[0] for row in expected]
    for row, wanted in zip(found, expected):
        assert row[1:] == pytest.approx(wanted[1:], abs=6e-3)
    page.find("#csv")[0].click()
    for row, wanted in zip(read_csv(chromium[1]), expected):
        assert row[1:] == pytest.approx(wanted[1:], abs=6e-4)

    page.choose_threshold("0.7")
    expected = expected_rows(tagger, path, 5.25, 0.7)
    assert 0 < len(expected) < len(found)
    found = cells(page, len(expected))
    assert [row[0] for row in found] == [row[0] for row in expected]
    page.find("#csv")[0].click()
    assert [row[0] for row in read_csv(chromium[1])] == [
        row[0] for row in expected
    ]


def test_a_recording(page):
    """Of the beeps that the browser has in place of a microphone."""
    page.find("#clip [aria-label='Record audio']")[0].click()
    page.find("#clip .record-button")[0].click()
    stop = page.find("#clip .stop-button")[0]
    ui.WebDriverWait(page.driver, PATIENCE).until(lambda _: stop.is_displayed())
    time.sleep(1.5)
    stop.click()
    page.tag()
    assert len(page.tags()) == 5
    rows = cells(page, len(page.find("#events td")) // 4)
    assert 1 < rows[0][2] < 10  # where the first event ends


def test_results_vanish_with_another_clip(page):
    for number in (0, 1):
        page.find("button.gallery-item")[number].click()
        page.wait_until_cleared()
        page.tag()
        assert len(page.tags()) == 5
    page.find("#clip [aria-label=Clear]")[0].click()
    page.wait_until_cleared()
    page.find("#tag")[0].click()
    assert page.error() == "Choose a file or record a clip first."


@pytest.mark.parametrize("width", [390, 700, 1300])
def test_the_table_fits(page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
    )
    try:
        page.find("button.gallery-item")[0].click()
        page.tag()
        cells(page, len(page.find("#events td")) // 4)
        box = "(r => [r.left, r.right])(e.getBoundingClientRect())"
        ((left, right),) = page.read("#events", box)
        assert 0 <= left < right <= width
        for start, end in page.read("#events th, #events td", box):
            assert left <= start < end <= right
        overflow = "e.scrollWidth - e.clientWidth || 'none'"
        assert set(page.read("#events, #events td", overflow)) == {"none"}
        shown = page.read("#events td:last-child", "e.innerText")
        assert all(len(text) == 4 for text in shown)
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_error_is_shown_once_and_without_old_results(page, tmp_path):
    page.find("button.gallery-item")[0].click()
    page.tag()
    assert len(page.tags()) == 5
    page.find("#clip [aria-label=Clear]")[0].click()
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF and nothing that one could hear")
    page.upload(path)
    page.tag()
    assert page.error().startswith("The file is not readable audio: ")
    assert str(tmp_path) not in page.error()
    page.wait_until_cleared()
    text = page.driver.find_element(By.TAG_NAME, "body").text
    assert text.count("not readable audio") == 1 and "Error" not in text
    page.find("#clip [aria-label=Clear]")[0].click()
    page.find("button.gallery-item")[1].click()
    page.tag()
    assert len(page.tags()) == 5
    assert not page.driver.find_elements(By.CSS_SELECTOR, "[role=alert]")


def test_a_clip_that_is_too_large_or_too_long(page, address, tmp_path):
    path = tmp_path / "large.wav"
    with open(path, "wb") as file:
        file.truncate((MAX_MEGABYTES + 1) * 2**20)
    page.upload(path)
    (toast,) = page.read("[data-testid=toast-body]", "e.innerText")
    assert "exceed the maximum allowed size of 50" in toast
    path = tmp_path / "long.flac"
    sf.write(path, np.zeros(660 * 8000), 8000)
    page = Page(page.driver, address)
    page.upload(path)
    page.tag()
    assert "lasts longer than 10 minutes" in page.error()


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
