"""Tests of the command line of the recipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import pytest

from speechbrain_fftp.training import command


@pytest.mark.parametrize(
    "processes, options, minutes",
    [
        (None, [], 15),
        (None, ["--ckpt_interval_steps=9"], 0),  # SpeechBrain takes one
        ("2", [], 0),
        ("2", ["--ckpt_interval_minutes", "5"], 5),
    ],
)
def test_checkpoints_within_an_epoch(
    processes, options, minutes, tmp_path, monkeypatch
):
    """Not by default where several processes would have to agree on each."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if processes:
        monkeypatch.setenv("WORLD_SIZE", processes)
    yaml = tmp_path / "train.yaml"
    yaml.write_text(f"ckpt_interval_minutes: 15\noutput_folder: {tmp_path}/run")
    hparams = {"ckpt_interval_minutes": 15}
    _, run_opts, _ = command.parse_arguments([str(yaml), *options])
    brain = command.sb.Brain(hparams=hparams, run_opts=run_opts)
    assert brain.ckpt_interval_minutes == minutes


def test_errors_of_users_are_one_line(capsys):
    """Also those in a yaml file."""

    def print_error(error, raise_it):
        try:
            raise_it(error)
        except type(error) as caught:
            command.print_error(type(error), caught, caught.__traceback__)
        return capsys.readouterr().err

    def load_hyperpyyaml(error):
        raise error

    def another_function(error):
        raise error

    for error, raise_it in (
        (command.InputError("a.wav is missing"), another_function),
        (FileNotFoundError("a.wav is missing"), another_function),
        (ValueError("a.wav is missing"), load_hyperpyyaml),
        (TypeError("a.wav is missing"), load_hyperpyyaml),
        (ImportError("a.wav is missing"), load_hyperpyyaml),
    ):
        printed = print_error(error, raise_it)
        assert printed.startswith("a.wav is missing")
        assert printed.count("\n") == 1
    assert "Traceback" in print_error(ValueError("a bug"), another_function)
