"""Tests of the lock on a folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
import signal

import pytest

from speechbrain_fftp.dataio.files import locked

FORK = multiprocessing.get_context("fork")


def hold(path, ready):
    with locked(path, "in use"):
        ready.set()
        signal.pause()


def test_lock_of_another_process(tmp_path):
    path = str(tmp_path / "x.lock")
    ready = FORK.Event()
    process = FORK.Process(target=hold, args=(path, ready))
    process.start()
    try:
        assert ready.wait(60)
        with pytest.raises(RuntimeError, match="is in use") as error:
            with locked(path, "in use"):
                raise AssertionError
        assert str(tmp_path) in str(error.value)
    finally:
        process.kill()
        process.join()
    with locked(path, "in use"):  # it is free after a kill
        pass
