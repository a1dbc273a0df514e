"""Tests of errors in one line.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_fftp.datasets.batches import collate_clips
from speechbrain_fftp.datasets.convert import encode_clip
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.training import errors


def load_unreadable():
    clips = [{"id": "a", "sig": None}] * 2
    options = {"num_workers": 1, "collate_fn": collate_clips}
    list(torch.utils.data.DataLoader(clips, 2, **options))


def reported(function, capsys):
    """What is printed of the error that a function raises."""
    with pytest.raises(Exception) as caught:
        function()
    errors._report(caught.type, caught.value, caught.tb)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "function, line",
    [
        (lambda: encode_clip(None), "missing file"),
        (load_unreadable, "None of the last 2 clips can be read, for exam"),
        (Path("no.csv").read_text, "[Errno 2] No such file or directory: 'no."),
    ],
)
def test_expected_errors_are_one_line(function, line, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes/train.py"])
    printed = reported(function, capsys)
    assert printed.startswith(f"train.py: {line}")
    assert printed.count("\n") == 1
    monkeypatch.setattr(sys, "argv", ["recipes/train.py", "--verbose"])
    printed = reported(function, capsys)
    assert printed.startswith("Traceback")
    assert printed.splitlines()[-1].startswith(f"train.py: {line}")


@pytest.mark.parametrize(
    "function, name",
    [
        (lambda: int("x"), "ValueError"),
        # A library fails inside this package
        (lambda: Tagger(*4 * [torch.sin]).features("x", None), "TypeError"),
        (lambda: collate_clips([{"id": 1}]), "KeyError"),
    ],
)
def test_other_errors_have_a_traceback(function, name, capsys):
    printed = reported(function, capsys)
    assert printed.startswith("Traceback") and name in printed
    assert printed.count("\n") > 3


def test_interrupted(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import _thread, os, time\n"
        "from speechbrain_fftp.training.errors import report_errors\n"
        "report_errors()\n"
        # Python ignores what is raised here
        "os.register_at_fork(after_in_parent=_thread.interrupt_main)\n"
        "if not os.fork():\n"
        "    os._exit(0)\n"
        "time.sleep(20)\n"
    )
    words = [sys.executable, str(script)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 130
    said = "\ntrain.py: interrupted. The same command resumes.\n"
    assert done.stderr == said
