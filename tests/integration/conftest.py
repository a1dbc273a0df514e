"""What several tests of recipes and of the page share.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from data_folders import write_audioset_demo

from speechbrain_fftp.datasets.prepare import prepare_data


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "audioset"
    write_audioset_demo(folder, num_train=24, num_valid=8, num_eval=8)
    return folder


@pytest.fixture(scope="session")
def prepare():
    """The function that prepares AudioSet and custom data."""
    return prepare_data


@pytest.fixture(scope="session")
def serve_page(exported, tmp_path_factory):
    """Starts the page in a child process, without a network.

    Yields the process, its port, the folder in which it keeps its temporary
    files, and a function that returns what it has printed.
    """

    @contextlib.contextmanager
    def serve(*options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = tmp_path_factory.mktemp("temporary")
        log = tmp_path_factory.mktemp("server") / "log.txt"
        settings = dict.fromkeys(
            ("http_proxy", "https_proxy"), "http://127.0.0.1:9"
        )
        settings.update(TMPDIR=str(folder), no_proxy="127.0.0.1")
        settings["GRADIO_TEMP_DIR"] = str(folder / "not used")
        command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "serve"]
        command += ["--model", str(exported[1]), "--port", str(port), *options]
        with open(log, "w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **settings},
            )
        end = time.time() + 120
        try:
            while "Serving on" not in log.read_text() and time.time() < end:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield SimpleNamespace(
                process=process, port=port, folder=folder, log=log.read_text
            )
        finally:
            process.terminate()
            process.wait(60)

    return serve
