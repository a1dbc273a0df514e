"""Takes screenshots of the page of ``fftp-tag page`` with a clip's events.

Writes page.png, page_dark.png and page_phone.png, which is 390 pixels wide.
Needs selenium, Chromium and its driver, and `npm install`.

> python docs/shoot_page.py MODEL CLIP docs

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import io
import shutil
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from fftp_tag.cli.main import main as fftp_tag

RUNTIME = Path(__file__).resolve().parents[1] / "node_modules"
FLAGS = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars"
# File, width in pixels, colour scheme
PICTURES = (
    ("page.png", 1200, "light"),
    ("page_dark.png", 1200, "dark"),
    ("page_phone.png", 390, "light"),
)


def find(command):
    """Returns the path of an installed command."""
    path = shutil.which(command)
    if path is None:
        raise FileNotFoundError(f"{command} is not installed.")
    return path


def resize(driver, width, height):
    """Sets the size of the page in pixels, which may exceed the screen's."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
    )


def shoot(driver, address, clip, picture, width, scheme):
    """Tags a clip on the page and writes a screenshot."""
    resize(driver, width, 800)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [feature]}
    )
    driver.get(address)
    driver.find_element(By.ID, "file").send_keys(str(clip.resolve()))
    name = driver.find_element(By.ID, "name")
    player = "return document.querySelector('#player').readyState"
    WebDriverWait(driver, 120).until(
        lambda _: name.text == clip.name and driver.execute_script(player) == 4
    )
    height = "return document.documentElement.scrollHeight"
    resize(driver, width, driver.execute_script(height))
    image = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
    # 256 colours take a third of the size.
    image.convert("RGB").quantize(256).save(picture, optimize=True)


def main(model, clip, folder):
    """Writes and serves the page of a model and takes its screenshots."""
    options, service = webdriver.ChromeOptions(), Service(find("chromedriver"))
    options.binary_location = find("chromium")
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary, "page")
        arguments = ["page", model, str(page), "--runtime", str(RUNTIME)]
        if fftp_tag(arguments):
            raise SystemExit(1)
        handler = functools.partial(SimpleHTTPRequestHandler, directory=page)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for flag in [*FLAGS.split(), f"--user-data-dir={temporary}/profile"]:
            options.add_argument(flag)
        driver = webdriver.Chrome(options, service)
        address = f"http://127.0.0.1:{server.server_port}/"
        try:
            for name, width, scheme in PICTURES:
                picture = Path(folder) / name
                shoot(driver, address, Path(clip), picture, width, scheme)
        finally:
            driver.quit()
            server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
