"""Chromium without a window, driven by Selenium, for tests of the page.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
import time

import pytest

PATIENCE = 120  # seconds
CHROMIUM_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()


def missing(what):
    """Skips a test, or fails where all must be there."""
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


class Chromium:
    """Chromium, whose microphone hears a file."""

    def __init__(self, folder, heard):
        try:
            from selenium import webdriver
        except ImportError:
            missing("selenium is not installed")
        paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
        if None in paths:
            missing("no chromium or no chromedriver is installed")
        options = webdriver.ChromeOptions()
        options.binary_location = paths[0]
        for flag in (
            *CHROMIUM_FLAGS,
            f"--user-data-dir={folder / 'user'}",
            f"--use-file-for-fake-audio-capture={heard}",
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(paths[1])
        )
        self.driver.set_script_timeout(PATIENCE)

    def open(self, address):
        """Opens a page."""
        self.driver.get(address)

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
        """The element that CSS selects."""
        return self.driver.find_element("css selector", selector)

    def choose(self, selector, paths):
        """Chooses files in an input."""
        self.element(selector).send_keys("\n".join(map(str, paths)))

    def click(self, selector):
        """Clicks on an element."""
        self.element(selector).click()

    def requests(self):
        """All that the browser has asked for so far."""
        messages = [
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        ]
        return [
            message["params"]["request"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def close(self):
        """Ends the browser."""
        self.driver.quit()


def wait(condition):
    """Waits until a function returns something, which is returned."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found
