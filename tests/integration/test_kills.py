"""A training and a calibration that are killed anywhere end as if they were not.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
import time

import pytest
import tiny_onnx
from data_folders import write_class_folders
from recipe_runs import SERVER, command, run_script, train
from two_at_once import is_killed, run_limited

from fftp_tag.cli.main import main

pytestmark = pytest.mark.slow


def test_kills_of_a_training(tmp_path):
    """At random times, and at random bytes of its files, one after another."""
    clips = tmp_path / "clips"
    write_class_folders(clips, growth=0.02)
    options = {
        "data_folder": clips,
        "prepared_folder": tmp_path / "prepared",
        "number_of_epochs": 3,
        "ckpt_interval_steps": 1,
        "export": True,
    }
    started = time.monotonic()
    _, expected = train(tmp_path / "whole", **options)
    seconds = time.monotonic() - started
    files = [x for x in (tmp_path / "whole").rglob("*") if x.is_file()]
    largest = max(file.stat().st_size for file in files)
    folder = tmp_path / "killed"
    words = command(folder, **options)[1:]
    draw = random.Random(0)
    kills = 0
    for number in range(20):
        arguments = words, tmp_path, tmp_path / "log.txt", {}
        function = run_script
        if number % 2:
            size = draw.randrange(1, largest)
            function, arguments = run_limited, (run_script, arguments, size)
        process = SERVER.Process(target=function, args=arguments)
        process.start()
        process.join(None if number % 2 else draw.uniform(0, seconds))
        process.kill()
        process.join()
        kills += process.exitcode < 0
    assert kills >= 10
    _, metrics = train(folder, **options)
    assert metrics == expected
    names = {str(x.relative_to(tmp_path / "whole")) for x in files}
    left = {str(x.relative_to(folder)) for x in folder.rglob("*")}
    assert not {x for x in left - names if x.endswith((".tmp", ".unfinished"))}
    models = (
        x / "inference" / "model.onnx" for x in (tmp_path / "whole", folder)
    )
    first, second = (path.read_bytes() for path in models)
    assert first == second


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
