"""Browsers without a window, for tests of the page.

Chromium is driven by Selenium and chromedriver, Firefox by its own WebDriver
BiDi, https://w3c.github.io/webdriver-bidi: JSON over a web socket.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
import subprocess
import time

import pytest

PATIENCE = 120  # seconds
CHROMIUM_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
FIREFOX_FLAGS = "--headless --no-remote --remote-debugging-port=0".split()
LISTENS = "WebDriver BiDi listening on "


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


class Firefox:
    """Firefox, whose microphone needs a machine with sound."""

    def __init__(self, folder):
        try:
            import websocket
        except ImportError:
            missing("websocket-client is not installed")
        path = shutil.which("firefox-esr") or shutil.which("firefox")
        if path is None:
            missing("no firefox is installed")
        log = folder / "log.txt"
        with open(log, "w") as file:
            self.process = subprocess.Popen(
                [path, *FIREFOX_FLAGS, "--profile", str(folder)],
                stderr=file,
                env={**os.environ, "HOME": str(folder)},
            )
        wait(lambda: LISTENS in log.read_text())
        address = log.read_text().split(LISTENS)[1].split()[0]
        self.socket = websocket.create_connection(
            f"{address}/session", timeout=PATIENCE, suppress_origin=True
        )
        self.number = 0  # of the last command
        self.send("session.new", capabilities={})
        tree = self.send("browsingContext.getTree")
        self.tab = {"context": tree["contexts"][0]["context"]}

    def send(self, method, **params):
        """The result of a command."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        self.socket.send(json.dumps(command))
        answer = {}
        while answer.get("id") != self.number:  # there may be events
            answer = json.loads(self.socket.recv())
        assert answer["type"] == "success", answer
        return answer["result"]

    def open(self, address):
        """Opens a page."""
        self.send(
            "browsingContext.navigate", **self.tab, url=address, wait="complete"
        )

    def run(self, script, *arguments):
        """The result of the body of an async function, which is awaited."""
        answer = self.call(
            f"""async (text) => {{
                const given = JSON.parse(text);
                const result = await (async () => {{ {script} }})();
                return JSON.stringify({{result}});
            }}""",
            json.dumps(arguments),
        )
        return json.loads(answer["value"]).get("result")

    def call(self, function, text):
        """What a function returns for a text, as BiDi describes it."""
        answer = self.send(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[{"type": "string", "value": text}],
            target=self.tab,
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"]

    def element(self, selector):
        """The element that CSS selects, as BiDi refers to it."""
        found = self.call("(css) => document.querySelector(css)", selector)
        return {"sharedId": found["sharedId"]}

    def choose(self, selector, paths):
        """Chooses files in an input."""
        files = list(map(str, paths))
        element = self.element(selector)
        self.send("input.setFiles", **self.tab, element=element, files=files)

    def click(self, selector):
        """Clicks on an element."""
        self.run("document.querySelector(given[0]).scrollIntoView()", selector)
        place = {"type": "element", "element": self.element(selector)}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": place},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self.send("input.performActions", **self.tab, actions=[mouse])

    def close(self):
        """Ends the browser."""
        self.send("browser.close")
        self.socket.close()
        self.process.wait(PATIENCE)


def wait(condition):
    """Waits until a function returns something, which is returned."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found
