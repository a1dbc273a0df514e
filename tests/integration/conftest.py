"""What several tests of recipes and of the page share.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
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
def serve_page(tmp_path_factory):
    """Serves a folder of ``fftp-tag page`` in a child process.

    Yields the process, its port, and a function that returns what it has
    printed.
    """

    @contextlib.contextmanager
    def serve(folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path_factory.mktemp("server") / "log.txt"
        command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "serve"]
        command += [str(folder), "--port", str(port)]
        with open(log, "w") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT
            )
        end = time.time() + 120
        try:
            while "Serving on" not in log.read_text() and time.time() < end:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield SimpleNamespace(process=process, port=port, log=log.read_text)
        finally:
            process.terminate()
            process.wait(60)

    return serve
