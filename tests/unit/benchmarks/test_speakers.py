"""Tests of the table of speakers.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"
ROWS = """ID,labels,tag_1
yes_0a_nohash_0,yes,yes
yes_0a_nohash_1,yes,no
_unknown__bed_0a_nohash_0,_unknown_,no
no_1b_nohash_0,no,no
_silence__1024,_silence_,_silence_
_silence__1025,_silence_,no
"""


@pytest.fixture
def speakers(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from study import speakers

    return speakers


def test_clips_and_errors_are_counted(speakers, tmp_path):
    (tmp_path / "predictions.csv").write_text(ROWS, "utf-8")
    clips, errors = speakers.read_errors(tmp_path / "predictions.csv")
    assert clips == {"0a": 3, "1b": 1, "_silence__1024": 1, "_silence__1025": 1}
    assert errors["0a"] == 2 and sum(errors.values()) == 3


def test_standard_error_is_that_of_the_bootstrap(speakers):
    rng = np.random.default_rng(0)
    clips = rng.integers(1, 20, 80)
    errors = rng.binomial(clips, rng.beta(0.5, 3, 80))
    drawn = rng.integers(80, size=(20000, 80))
    rates = errors[drawn].sum(1) / clips[drawn].sum(1)
    found = speakers.standard_error(
        dict(enumerate(clips)), dict(enumerate(errors))
    )
    assert found == pytest.approx(rates.std(), rel=0.05)


def test_one_clip_per_speaker_is_simple_random_sampling(speakers):
    errors = {clip: clip < 30 for clip in range(100)}
    found = speakers.standard_error(dict.fromkeys(range(100), 1), errors)
    assert found == pytest.approx((0.3 * 0.7 / 99) ** 0.5)


def test_table(speakers, tmp_path, monkeypatch):
    (tmp_path / "predictions.csv").write_text(ROWS, "utf-8")
    table = tmp_path / "table.md"
    words = ["speakers.py", str(tmp_path), str(table)]
    monkeypatch.setattr(sys, "argv", words)
    speakers.main()
    text = table.read_text("utf-8")
    assert text.startswith("Accuracy 50.00 % of 6 clips, 3 errors.")
    assert text.endswith(
        "| 0a | 3 | 2 | 67 |\n| _silence__1025 | 1 | 1 | 100 |\n"
    )
