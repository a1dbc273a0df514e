"""Tests of ``fftp-tag``: tables, options, streams, signals and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import soundfile as sf
from tiny_onnx import RATE, sounds

from fftp_tag.cli.main import VERBS, main

COMMAND = [sys.executable, "-m", "fftp_tag.cli.main"]


@pytest.fixture
def clips(tmp_path):
    """A folder of two clips, one in a folder of its own, and other files."""
    folder = tmp_path / "sounds"
    (folder / "more").mkdir(parents=True)
    paths = [folder / "a, b.flac", folder / "more" / "B.WAV"]
    for number, path in enumerate(paths):
        sf.write(path, sounds(5.0, number), RATE)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder, [str(path) for path in paths]


@pytest.mark.parametrize("model", ["clips", "learnt"])
def test_silence_has_no_tags(run, tmp_path, model):
    """It is named on standard error. A faint sound has some."""
    path = tmp_path / "silence.wav"
    sf.write(path, 1e-4 * sounds(5.0), RATE, "FLOAT")
    for options, text in (([], "no tags"), (["--timeline"], "no events")):
        out, err = run(path, *options, "--threshold", 0, model=model)
        assert out.splitlines() == [str(path), f"  {text}"]
        assert f"{path} is silent" in err
    sf.write(path, 1e-2 * sounds(5.0), RATE, "FLOAT")
    assert len(run(path, "--threshold", 0, model=model).out.splitlines()) == 4


def test_the_threshold_of_a_tag(run, clips):
    """Is shown where it is the model's."""
    path = clips[1][0]
    lines = run(path, model="learnt").out.splitlines()
    assert lines[1:] and all("(threshold 0." in line for line in lines[1:])
    assert "(thres" not in run(path, "--threshold", 0, model="learnt").out
    # The most probable class is named nevertheless, but is no tag
    [_, best, *_] = run(path, "--threshold", 0).out.splitlines()
    output = run(path, "--threshold", 1).out
    start = "  none reaches its threshold; most probable:"
    assert output.splitlines() == [path, start + best]
    output = run(path, "--threshold", 1, "--format", "json").out
    assert json.loads(output)[0]["tags"] == []


def test_unusable_files_beside_others(run, clips):
    """Each has its tags, or an error that names it."""
    folder, paths = clips
    (folder / "bad.wav").write_text("no sound", "utf-8")
    content = (folder / "more" / "B.WAV").read_bytes()
    (folder / "truncated.wav").write_bytes(content[:-1000])
    output, errors = run("none.wav", folder, "--format", "json", code=1)
    rows = {os.path.basename(x["file"]): x for x in json.loads(output)}
    assert len(rows) == 5
    for name, row in rows.items():
        if name in ("none.wav", "bad.wav"):
            assert row["file"] in row["error"] and row["error"] in errors
        else:
            assert len(row["tags"]) == 3
            assert (row["file"] in errors) == (name == "truncated.wav")
    assert "2 of 5 files failed" in errors


def test_names_are_no_commands_of_a_terminal(run, clips):
    """In tables and errors."""
    folder, paths = clips
    shutil.copy(paths[1], folder / "a\x1b]0;title\x07.wav")
    (folder / "b\x1b[2J\n.wav").write_text("no sound", "utf-8")
    found = run(folder, code=1)
    for text in (*found.out.splitlines(), *found.err.splitlines()):
        assert text.isprintable()
    assert "a\\x1b]0;title\\x07.wav" in found.out


def test_files_with_the_names_of_options_and_verbs(
    run, models, clips, monkeypatch, capsys
):
    folder, paths = clips
    monkeypatch.chdir(folder)
    for name in ("-dash.flac", "page"):
        shutil.copy(paths[0], name)
    model = str(models / "clips.onnx")
    assert main(["--model", model, "--", "-dash.flac", "page"]) == 0
    names = capsys.readouterr().out.splitlines()[::4]
    assert names == ["-dash.flac", "page"]
    assert run("./page").out.startswith("./page\n")


def test_help_and_version(capsys):
    """Fast: nothing is imported that takes long."""
    for arguments in ([], ["--version"], *([verb, "--help"] for verb in VERBS)):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 0
        output = capsys.readouterr().out
        assert f"fftp-tag {arguments[0] if arguments[1:] else ''}" in output
    code = (
        "import sys; from fftp_tag.cli.main import make_parser as make;"
        "make().format_help(); print(*sys.modules, sep='\\n')"
    )
    modules = subprocess.check_output([sys.executable, "-c", code], text=True)
    slow = {"numpy", "torch", "speechbrain", "onnxruntime", "soundfile"}
    assert not slow & set(modules.splitlines())


def test_standard_output_holds_results_alone(models, clips):
    """In a process of its own, of a file whose name is in bytes."""
    name = os.path.join(os.fsencode(clips[0]), b"caf\xe9.wav")
    shutil.copy(clips[1][0], name)
    command = [*COMMAND, name, "none.wav", "--format", "json"]
    done = subprocess.run(
        [*command, "--model", models / "clips.onnx"], capture_output=True
    )
    assert done.returncode == 1
    named, failed = json.loads(done.stdout)
    assert named["file"] == os.fsdecode(name) and named["tags"]
    assert failed["file"] == "none.wav" and "none.wav" in failed["error"]
    # No traceback, and no progress bar but on a terminal
    assert done.stderr.decode().splitlines() == [
        f"fftp-tag: {failed['error']}",
        "fftp-tag: 1 of 2 files failed",
    ]


def test_output_that_cannot_be_written(models, clips):
    """A full disk; and a pipe without a reader, as of ``head``."""
    full = os.open("/dev/full", os.O_WRONLY)
    reader, closed = os.pipe()
    os.close(reader)
    message = "fftp-tag: No space left on device\n"
    for output, expected in ((full, message), (closed, "")):
        done = subprocess.run(
            [*COMMAND, *clips[1], "--model", models / "clips.onnx"],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(output)
        assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number):
    """What is half written is removed."""
    script = """
import sys, time
from fftp_tag.cli import page
from fftp_tag.cli.main import main
def run(args):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("removed", flush=True)
page.run = run
sys.exit(main(["page", "a", "b"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "removed\n", "")
