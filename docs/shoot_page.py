"""Takes a screenshot of the page of ``fftp-tag serve`` with a clip's tags.

Needs selenium, Chromium and its driver.

> python docs/shoot_page.py MODEL_FOLDER docs/page.png clip.flac

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PORT = 7869
FLAGS = "--headless=new --no-sandbox --disable-gpu --window-size=1200,1130"


def find(command):
    """Returns the path of an installed command."""
    path = shutil.which(command)
    if path is None:
        raise FileNotFoundError(f"{command} is not installed.")
    return path


def shoot(driver, clip, picture):
    """Tags a clip on the page and writes a screenshot."""

    def wait_for(selector):
        """Returns the first element that matches a CSS selector."""
        return WebDriverWait(driver, 60).until(
            lambda _: driver.find_elements(By.CSS_SELECTOR, selector)
        )[0]

    for _ in range(120):
        try:
            driver.get(f"http://127.0.0.1:{PORT}")
            break
        except WebDriverException:  # the server is still starting
            time.sleep(0.5)
    upload = wait_for("#clip input[type=file]")
    upload.send_keys(str(Path(clip).resolve()))
    wait_for("#clip [data-testid=waveform-controls]")
    wait_for("#tag").click()
    wait_for("#picture img")
    time.sleep(2)  # until the bars are animated
    driver.save_screenshot(picture)


def main(folder, picture, clip):
    """Serves the page for an inference folder and takes its screenshot."""
    command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "serve"]
    command += ["--model", folder, "--port", str(PORT)]
    options, service = webdriver.ChromeOptions(), Service(find("chromedriver"))
    options.binary_location = find("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        server = subprocess.Popen(command)
        driver = webdriver.Chrome(options, service)
        try:
            shoot(driver, clip, picture)
        finally:
            driver.quit()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
