"""Tests of calling a function in threads: order and errors.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import threading
import time

import pytest

from fftp_tag.errors import InputError
from fftp_tag.parallel import in_order


def test_errors_of_input_are_text():
    """In one line, beside the results of the others, in order."""

    def fail(number):
        time.sleep(0.01 * (number == 0))
        if number == 1:
            raise InputError("b.wav is\nempty")
        if number == 2:
            raise PermissionError(13, "Permission denied", "c.wav")
        return -number

    assert list(in_order(fail, range(4), 2)) == [
        (0, 0, None),
        (1, None, "b.wav is empty"),
        (2, None, "c.wav: Permission denied"),
        (3, -3, None),
    ]


def test_bugs_are_raised():
    """Even a ValueError, whose subclass InputError is a message."""

    def fail(number):
        if number == 5:
            raise ValueError("bug")
        return number

    found = []
    with pytest.raises(ValueError, match="bug"):
        for number, _, _ in in_order(fail, itertools.count(), 2):
            found.append(number)
    assert found == [0, 1, 2, 3, 4]
    assert not workers()


def workers():
    """Threads that have not ended after the item that they work on."""
    threads = [t for t in threading.enumerate() if "ThreadPool" in t.name]
    for thread in threads:
        thread.join(10)
    return [thread for thread in threads if thread.is_alive()]


def test_endless_items_that_are_not_all_wanted():
    """At most two items a worker are taken ahead; threads end."""
    taken = []

    def items():
        for number in itertools.count():
            taken.append(number)
            yield number

    found = in_order(str, items(), 3)
    assert [next(found)[1] for _ in range(20)] == list(map(str, range(20)))
    assert len(taken) <= 20 + 6
    found.close()
    assert len(taken) <= 20 + 6 and not workers()
