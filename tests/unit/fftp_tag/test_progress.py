"""Tests of showing progress, on a terminal and where there is none.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import sys

from fftp_tag.progress import show_progress


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    def isatty(self):
        return True


def test_a_terminal_has_a_bar(monkeypatch, capsys):
    assert list(show_progress(range(3), total=3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(show_progress(range(3), total=3, is_shown=False)) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""
    assert list(show_progress(range(3), total=3)) == [0, 1, 2]
    assert "0/3" in sys.stderr.getvalue() and "\r" in sys.stderr.getvalue()
