"""Tests of whose requests the page takes and where its files lie.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from speechbrain_fftp.cli.serve import is_own, private_folder

WAIT = """
import signal, time
from speechbrain_fftp.cli.serve import private_folder
with private_folder() as folder:
    open(folder + "/upload", "w").close()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    "host, header, expected",
    [
        ("127.0.0.1", "127.0.0.1:80", True),
        ("127.0.0.1", "LocalHost", True),
        ("127.0.0.1", "localhost:81", False),
        ("127.0.0.1", "localhost.attacker.example", False),
        ("127.0.0.1", "192.168.1.3", False),
        ("127.0.0.1", "", False),
        ("192.168.1.2", "192.168.1.2", True),
        ("fe80::1", "[FE80::1]:80", True),
        ("0.0.0.0", "attacker.example", False),
        ("0.0.0.0", socket.gethostname().upper(), True),
        ("::", "[fe80::1]", True),
    ],
)
def test_addresses_of_the_page(host, header, expected):
    assert is_own(header, host, 80) is expected


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_the_folder_is_removed_when_a_signal_ends_the_process(name):
    command = [sys.executable, "-c", WAIT]
    # nohup ignores hangups, and so do its children
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGHUP, before)
    folder = Path(process.stdout.readline().strip())
    assert folder.stat().st_mode & 0o777 == 0o700
    process.send_signal(getattr(signal, name))
    assert process.wait(30) == 128 + getattr(signal, name)
    assert not folder.exists()


def test_the_process_is_as_before_after_the_folder(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "other")
    signal_before = signal.getsignal(signal.SIGTERM)
    before = tempfile.gettempdir()
    with pytest.raises(ZeroDivisionError), private_folder() as folder:
        assert tempfile.gettempdir() == folder
        assert "GRADIO_TEMP_DIR" not in os.environ
        raise ZeroDivisionError
    assert tempfile.gettempdir() == before
    assert signal.getsignal(signal.SIGTERM) is signal_before
    assert not os.path.exists(folder)
