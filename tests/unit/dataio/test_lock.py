"""Tests of the lock on a folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
import os
import signal
import socket

import pytest

from speechbrain_fftp.dataio.files import locked

FORK = multiprocessing.get_context("fork")


def hold(folder, ready, forked):
    """Holds the lock, with a forked process that outlives a kill."""
    with locked(folder, "x.lock", "in use"):
        child = FORK.Process(target=signal.pause)
        child.start()
        forked.value = child.pid
        ready.set()
        signal.pause()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_lock_of_a_killed_process_is_free_though_its_children_live(tmp_path):
    ready, forked = FORK.Event(), FORK.Value("i", 0)
    process = FORK.Process(target=hold, args=(str(tmp_path), ready, forked))
    process.start()
    try:
        assert ready.wait(60)
        who = f"in use by process {process.pid} on {socket.gethostname()} since"
        with pytest.raises(RuntimeError, match=who):
            with locked(str(tmp_path), "x.lock", "in use"):
                pass
        process.kill()
        process.join()
        os.kill(forked.value, 0)  # it lives
        with locked(str(tmp_path), "x.lock", "in use"):
            pass
    finally:
        process.kill()
        os.kill(forked.value, signal.SIGKILL)
    assert not os.listdir(tmp_path)
