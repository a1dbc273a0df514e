"""A calibration that is killed anywhere ends as if it was not.

Authors
 * The speechbrain_fftp authors 2026
"""

import random

import pytest
import tiny_onnx
from two_at_once import is_killed

from fftp_tag.cli.main import main

pytestmark = pytest.mark.slow


def test_kills_of_a_calibration(tmp_path):
    """What was there before stays; the next call writes all of it."""
    model = tiny_onnx.write_model(tmp_path / "model.onnx")
    data = tiny_onnx.write_clips(tmp_path / "data")
    options = ["calibrate", "--model", str(model), "--data-folder", str(data)]
    alone, output = tmp_path / "alone.onnx", tmp_path / "output.onnx"
    assert main([*options, "--output", str(alone)]) == 0
    whole = alone.read_bytes()
    draw = random.Random(0)
    for number in range(20):
        before = b"before" if number % 2 else None
        output.unlink(missing_ok=True)
        if before is not None:
            output.write_bytes(before)
        at = draw.randrange(1, len(whole))
        given = [*options, "--output", str(output)]
        assert is_killed(main, given, at=at)
        assert (output.read_bytes() if output.exists() else None) == before
        assert main(given) == 0
        assert output.read_bytes() == whole
