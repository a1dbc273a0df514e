"""Takes screenshots of the page of ``fftp-tag serve`` with an example's tags.

Writes page.png, page_dark.png and page_phone.png, which is 390 pixels wide.
Needs selenium, Chromium and its driver.

> python docs/shoot_page.py MODEL_FOLDER docs

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PORT = 7869
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


def shoot(driver, picture, width, scheme):
    """Tags the first example on the page and writes a screenshot."""

    def wait_for(selector):
        """Returns the first element that matches a CSS selector."""
        return WebDriverWait(driver, 60).until(
            lambda _: driver.find_elements(By.CSS_SELECTOR, selector)
        )[0]

    resize(driver, width, 800)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [feature]}
    )
    for _ in range(120):
        try:
            driver.get(f"http://127.0.0.1:{PORT}")
            break
        except WebDriverException:  # the server is still starting
            time.sleep(0.5)
    wait_for("button.gallery-item").click()
    wait_for("#clip [data-testid=waveform-controls]")
    wait_for("#tag").click()
    wait_for("#picture img")
    time.sleep(2)  # until the bars are animated
    driver.execute_script("document.activeElement.blur()")
    height = "return document.documentElement.scrollHeight"
    resize(driver, width, driver.execute_script(height))
    time.sleep(1)
    image = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
    # 256 colours take a third of the size.
    image.convert("RGB").quantize(256).save(picture, optimize=True)


def main(model, folder):
    """Serves the page for an inference folder and takes its screenshots."""
    command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "serve"]
    command += ["--model", model, "--port", str(PORT)]
    options, service = webdriver.ChromeOptions(), Service(find("chromedriver"))
    options.binary_location = find("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        server = subprocess.Popen(command)
        driver = webdriver.Chrome(options, service)
        try:
            for name, width, scheme in PICTURES:
                shoot(driver, Path(folder) / name, width, scheme)
        finally:
            driver.quit()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
