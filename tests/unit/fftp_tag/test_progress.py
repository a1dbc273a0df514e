"""Tests of showing progress, on a terminal and where there is none.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import re
import sys

import pytest

from fftp_tag import progress
from fftp_tag.progress import show_progress


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which a test changes."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_lines_come_every_ten_seconds(clock, capsys):
    shown = []
    for number in show_progress(range(100), total=100, unit="clips"):
        clock[0] += 0.5
        if text := capsys.readouterr().err:
            shown.append((number, text))
    # After 20, 40, ... of them, before the next one
    assert [number for number, _ in shown] == [20, 40, 60, 80]
    for number, text in shown:
        found = re.fullmatch(r"(\d+) of 100 clips.* 00:(\d+) left\n", text)
        assert int(found[1]) == number
        assert int(found[2]) == (100 - number) / 2


def test_sizes_and_an_unknown_end(clock, capsys):
    for _ in show_progress(["ab", "cde"], unit="letters", size=len):
        clock[0] += 11
    text = capsys.readouterr().err
    assert re.findall(r"(\d+) of \? letters", text) == ["2", "5"]


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(show_progress(range(3), total=3)) == [0, 1, 2]
    assert "0/3" in sys.stderr.getvalue() and "\r" in sys.stderr.getvalue()


def test_nothing_is_shown(clock, capsys):
    for _ in show_progress(range(3), total=3, is_shown=False):
        clock[0] += 11
    assert capsys.readouterr().err == ""


def test_items_are_closed_with_their_user():
    ended = []

    def items():
        try:
            yield from range(9)
        finally:
            ended.append(True)

    for is_shown in (True, False):
        shown = show_progress(items(), is_shown=is_shown)
        next(shown)
        shown.close()
    assert ended == [True, True]
