"""Tests of ``fftp-tag``: tables, errors, streams and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import csv
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
import soundfile as sf
from tiny_onnx import RATE, sounds

from fftp_tag.cli.import_model import default_name
from fftp_tag.cli.main import main

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


def flac(samples):
    """The content of a FLAC file."""
    file = io.BytesIO()
    sf.write(file, samples, RATE, format="FLAC")
    return file.getvalue()


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


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_file_may_be_piped(models, clips, name):
    """Windows need it twice."""
    _, [path, _] = clips
    options = ["--timeline", "--model", models / "clips.onnx"]
    with open(path, "rb") as file:
        done = subprocess.run(
            [*COMMAND, name, *options], input=file.read(), capture_output=True
        )
    expected = subprocess.run([*COMMAND, path, *options], capture_output=True)
    assert done.stdout.splitlines()[0] == name.encode()
    assert done.stdout.splitlines()[1:] == expected.stdout.splitlines()[1:]
    done = subprocess.run(
        [*COMMAND, name, "--output", "found", *options],
        input=b"",
        capture_output=True,
    )
    assert done.returncode == 1 and b"not a pipe" in done.stderr


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
    # And a row each: nothing is left out in silence
    sf.write(folder / "silence.wav", 0 * sounds(5.0), RATE)
    output, _ = run("none.wav", folder, "--format", "csv", code=1)
    table = list(csv.DictReader(io.StringIO(output)))
    found = collections.Counter(os.path.basename(x["file"]) for x in table)
    assert found.keys() == {*rows, "silence.wav"}
    for row in table:
        name = os.path.basename(row["file"])
        assert row["error"] == rows.get(name, {}).get("error", "")
        assert bool(row["label"]) == ("tags" in rows.get(name, {}))


def test_what_is_read_in_part_is_said_everywhere(run, clips, tmp_path):
    """In each format, in the manifest, and by the exit code; it is read again."""
    folder, paths = clips
    content = bytearray(flac(sounds(8.0)))
    content[len(content) // 2] ^= 1
    damaged = folder / "damaged.flac"
    damaged.write_bytes(content)
    seconds = {}
    for options in ([], ["--timeline"]):
        output, errors = run(folder, "--format", "json", *options, code=3)
        [row] = [x for x in json.loads(output) if "seconds_read" in x]
        assert row["file"] == str(damaged)
        assert 3 < row["seconds_read"] < row["seconds_stated"] == 8
        assert "1 of 3 files are damaged" in errors
        seconds = {x: row[x] for x in ("seconds_read", "seconds_stated")}
        output, _ = run(folder, "--format", "csv", *options, code=3)
        for row in csv.DictReader(io.StringIO(output)):
            is_damaged = row["file"] == str(damaged)
            for name, value in seconds.items():
                assert row[name] == (str(value) if is_damaged else "")
    output, errors = run(damaged, code=3)
    text = f"damaged: {seconds['seconds_read']:g} of 8 s can be read"
    assert text in output and text in errors

    target = tmp_path / "found"
    run(folder, "--output", target, code=3)
    assert text in (target / "damaged.flac.txt").read_text("utf-8")
    for _ in range(2):
        _, *rows = map(
            json.loads, (target / "manifest.jsonl").read_text().splitlines()
        )
        for row in rows:
            expected = seconds if row["file"] == "damaged.flac.txt" else {}
            assert expected.items() <= row.items()
            assert ("seconds_read" in row) == bool(expected)
        found = run(folder, "--output", target, "--continue", code=3)
        assert found.out == f"wrote {target / 'damaged.flac.txt'}\n"
    # Not over what was edited, and once it is whole, as it should be
    damaged.write_bytes(flac(sounds(8.0)))
    result = target / "damaged.flac.txt"
    before = result.read_bytes()
    result.write_text("mine", "utf-8")
    found = run(folder, "--output", target, "--continue", code=1)
    assert "was edited" in found.err and result.read_text() == "mine"
    result.write_bytes(before)
    run(folder, "--output", target, "--continue")
    assert text not in result.read_text()
    run(folder, "--output", target, "--continue")


def test_an_empty_folder_beside_others_is_reported(run, clips, tmp_path):
    folder, paths = clips
    (tmp_path / "empty").mkdir()
    found = run(tmp_path / "empty", folder, "--format", "json", code=1)
    assert [row["file"] for row in json.loads(found.out)] == paths
    [error] = found.err.splitlines()
    assert "empty has no audio files" in error
    assert "no audio files" in run(tmp_path / "empty", code=1).err


def test_names_are_no_commands_of_a_terminal(run, clips):
    """In tables and errors."""
    folder, paths = clips
    shutil.copy(paths[1], folder / "a\x1b]0;title\x07.wav")
    (folder / "b\x1b[2J\n.wav").write_text("no sound", "utf-8")
    found = run(folder, code=1)
    for text in (*found.out.splitlines(), *found.err.splitlines()):
        assert text.isprintable()
    assert "a\\x1b]0;title\\x07.wav" in found.out


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


@pytest.mark.parametrize(
    "command, name",
    [
        ("share starter new --name a/b --license mit --about x", "x"),
        ("import missing.pth new.onnx --labels x", "x"),
        ("page starter new --runtime node", "package.json"),
        ("tag sound.wav --output found", "manifest.jsonl"),
        ("page starter x", "x"),
    ],
)
def test_files_of_another_kind_are_named(
    tmp_path, monkeypatch, capsys, command, name
):
    """In one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    sf.write("sound.wav", sounds(1.0), RATE)
    for path in (
        "x",
        "node/onnxruntime-web/package.json",
        "found/manifest.jsonl",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"Gr\xfcn")
    assert main(command.split()) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert name in line
    assert not list(tmp_path.glob("new*"))


def test_an_import_has_a_name_of_its_own(tmp_path):
    """That of the model, without its owner, revision, folder or ending."""
    for source, name in {
        "efficientat/mn04_as": "mn04_as",
        "MIT/ast-10-10-0.4593@a1b2": "ast-10-10-0.4593",
        "weights/mn04_as_mAP_432.pt": "mn04_as_mAP_432",
        "birds.onnx": "birds",
        str(tmp_path): tmp_path.name,
    }.items():
        assert default_name(source) == f"{name}.onnx"
