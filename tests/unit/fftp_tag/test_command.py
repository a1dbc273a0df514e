"""Tests of ``fftp-tag``: formats, options, streams, signals and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import RATE, sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.cli.main import VERBS, main

THRESHOLDS = [0.05, 0.2, 0.9]
COMMAND = [sys.executable, "-m", "fftp_tag.cli.main"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of clips, of time steps, and one of them with thresholds."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "clips.onnx")
    write_model(folder / "steps.onnx", has_steps=True)
    rules = {"thresholds": THRESHOLDS, "merge_gap": [0.1] * 3}
    write_model(folder / "learnt.onnx", has_steps=True, **rules)
    return folder


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


@pytest.fixture
def run(models, capsys):
    """Runs the command in this process; returns what it prints."""

    def call(*arguments, model="clips", code=0):
        path = models / f"{model}.onnx"
        assert main([*map(str, arguments), "--model", str(path)]) == code
        return capsys.readouterr()

    return call


def rounded(items):
    """Tags or events as in JSON."""
    return [
        {k: v if k == "label" else round(v, 4) for k, v in x.to_dict().items()}
        for x in items
    ]


def test_tags_in_each_format(run, models, clips):
    folder, paths = clips
    tagger = AudioTagger.from_pretrained(models / "clips.onnx")
    expected = {path: tagger.tag_file(path, top_k=2) for path in paths}
    lines = []
    for path, tags in expected.items():
        lines += [path, *(f"  {x.probability:.3f}  {x.label}" for x in tags)]
    output, errors = run(folder, "--top-k", 2)
    assert output.splitlines() == lines and not errors
    rows = [{"file": p, "tags": rounded(x)} for p, x in expected.items()]
    output, errors = run(folder, "--top-k", 2, "--format", "json")
    assert json.loads(output) == rows and not errors
    output, _ = run(folder, "--top-k", 2, "--format", "jsonl")
    assert [json.loads(line) for line in output.splitlines()] == rows
    output, _ = run(folder, "--top-k", 2, "--format", "csv")
    found = list(csv.reader(io.StringIO(output)))
    assert found == [
        ["file", "label", "probability"],
        *(
            [path, x.label, str(round(x.probability, 4))]
            for path, tags in expected.items()
            for x in tags
        ),
    ]
    assert re.fullmatch(r"0\.\d{1,4}", found[1][2])


@pytest.mark.parametrize("model", ["clips", "steps", "learnt"])
def test_events_in_each_format(run, models, clips, model):
    path = clips[1][0]
    tagger = AudioTagger.from_pretrained(models / f"{model}.onnx")
    options = ["--timeline", "--merge-gap", 0.2, "--min-duration", 0.05]
    given = {"merge_gap": 0.2, "min_duration": 0.05}
    limits = {}
    if model == "learnt":
        limits = dict(zip(tagger.labels, THRESHOLDS))
    else:
        options += ["--threshold", 0.08]
        given["threshold"] = 0.08
    expected = tagger.tag_long(path, **given)
    assert len(expected) > 1
    lines = [path]
    for x in expected:
        line = f"{x.start:9.2f} {x.end:9.2f}  {x.probability:.3f}  {x.label}"
        if model == "learnt":
            line += f"  (threshold {limits[x.label]:.3f})"
        lines.append(line)
    assert run(path, *options, model=model).out.splitlines() == lines
    output = run(path, *options, "--format", "jsonl", model=model).out
    assert json.loads(output) == {"file": path, "events": rounded(expected)}
    output = run(path, *options, "--format", "csv", model=model).out
    header, *rows = csv.reader(io.StringIO(output))
    assert header == ["file", "start", "end", "label", "probability"]
    assert rows == [
        [path, *map(str, event.values())] for event in rounded(expected)
    ]
    options.remove("--timeline")
    output = run(path, *options, "--format", "audacity", model=model).out
    assert output.splitlines() == [
        f"{x.start:.6f}\t{x.end:.6f}\t{x.label}" for x in expected
    ]


def test_names_are_no_formulas(run, tmp_path, monkeypatch):
    """Of spreadsheets."""
    monkeypatch.chdir(tmp_path)
    sf.write("=a.wav", sounds(1.0), RATE)
    rows = list(csv.reader(io.StringIO(run("=a.wav", "--format", "csv").out)))
    assert rows[1][0] == "'=a.wav" and 0 < float(rows[1][2]) < 1


def test_windows_of_the_timeline(run, models, clips):
    path = clips[1][0]
    tagger = AudioTagger.from_pretrained(models / "clips.onnx")
    options = ["--window", 1, "--hop", 0.5, "--threshold", 0.1]
    output = run(path, "--timeline", *options, "--format", "jsonl").out
    expected = tagger.tag_long(path, window=1.0, hop=0.5, threshold=0.1)
    assert json.loads(output)["events"] == rounded(expected) != []


def test_thresholds_are_shown_where_they_are_the_models(run, clips):
    path = clips[1][0]
    lines = run(path, model="learnt").out.splitlines()
    assert lines[1:] and all("(threshold 0." in line for line in lines[1:])
    assert "(thres" not in run(path, "--threshold", 0, model="learnt").out


def test_nothing_is_found(run, clips):
    path = clips[1][0]
    for options, text in (([], "no tags"), (["--timeline"], "no events")):
        output = run(path, "--threshold", 1, *options).out
        assert output.splitlines() == [path, f"  {text}"]


def test_unusable_files_beside_others(run, tmp_path):
    """Each has its tags, or an error that names it."""
    noise = sounds(3.0)
    sf.write(tmp_path / "silent.wav", np.zeros(500), RATE)
    sf.write(tmp_path / "eight_channels.wav", noise.reshape(-1, 8), RATE)
    sf.write(tmp_path / "bad_one_sample.wav", noise[:1], RATE)
    nan = np.where(np.arange(3000) == 400, np.nan, noise)
    sf.write(tmp_path / "bad_nan.wav", nan, RATE, subtype="FLOAT")
    (tmp_path / "bad_text.wav").write_text("no sound", "utf-8")
    long = tmp_path / "six_hours.wav"
    sf.write(long, noise, RATE)
    content = bytearray(long.read_bytes())
    content[40:44] = (6 * 3600 * RATE * 2).to_bytes(4, "little")
    long.write_bytes(content)  # its header says so: it is truncated
    output, errors = run(tmp_path, "--format", "jsonl", code=1)
    rows = [json.loads(line) for line in output.splitlines()]
    assert len(rows) == 6
    for row in rows:
        name = os.path.basename(row["file"])
        if name.startswith("bad_"):
            assert row["file"] in row["error"] and row["error"] in errors
        else:
            assert len(row["tags"]) == 3
        assert (name in errors) == (name != "eight_channels.wav")
    assert "3 of 6 files failed" in errors
    # Without room for errors in the format
    output, again = run(tmp_path, "--format", "csv", code=1)
    assert "bad_" not in output
    assert sorted(again.splitlines()) == sorted(errors.splitlines())


def test_files_that_are_not_there(run, clips, tmp_path):
    output, errors = run("none.wav", clips[1][0], "--format", "json", code=1)
    missing, tagged = json.loads(output)
    assert missing["file"] == "none.wav" and missing["error"] in errors
    assert tagged["tags"]
    (tmp_path / "none").mkdir()
    _, errors = run(tmp_path / "none", code=1)
    assert errors.count("\n") == 1 and ".flac, .wav" in errors


def test_figures_of_files_are_in_one_folder(run, clips, tmp_path):
    """In folders as the files are, so that no name is taken twice."""
    pytest.importorskip("matplotlib")
    folder, paths = clips
    shutil.copy(paths[0], folder / "more" / "a, b.flac")
    (folder / "bad.wav").write_bytes(b"no sound")
    target = tmp_path / "plots"
    output, errors = run(folder, "--plot", target, code=1)
    assert output == run(folder, code=1).out and "bad.wav" in errors
    found = [path for path in target.rglob("*") if path.is_file()]
    assert {str(path.relative_to(target)) for path in found} == {
        *("a, b.flac.png", "more/a, b.flac.png", "more/B.WAV.png")
    }
    assert all(path.read_bytes()[1:4] == b"PNG" for path in found)
    run(paths[1], "--plot", tmp_path / "one.svg")
    assert "<svg" in (tmp_path / "one.svg").read_text("utf-8")
    assert "one.png" in run(*paths, "--plot", "one.png", code=1).err


def test_the_note_of_a_model_is_printed_once(models, clips, tmp_path, capsys):
    path = write_model(tmp_path / "note.onnx", note="Knows little.")
    for words in (
        clips[1],
        ["index", clips[0], "--output", tmp_path / "index"],
    ):
        assert main([*map(str, words), "--model", str(path)]) == 0
        assert capsys.readouterr().err.count("Knows little.") == 1


@pytest.mark.parametrize(
    "options, word",
    [
        (["--window", "1"], "--timeline"),
        (["--timeline", "--top-k", "3"], "--threshold"),
        (["other.wav", "--format", "audacity"], "one file"),
    ],
)
def test_options_that_do_not_fit(run, clips, options, word):
    _, errors = run(clips[1][0], *options, code=1)
    assert errors.count("\n") == 1 and word in errors


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["a.wav", "--top_k", "3", "--model", "m"], "--top_k"),
        (["a.wav", "--top-k", "0", "--model", "m"], "'0'"),
        (["a.wav", "--threshold", "nan", "--model", "m"], "'nan'"),
        (["a.wav"], "--model"),
        (["--model", "m"], "FILE"),
        (["page", "m", "folder", "--", "file"], "file"),
    ],
)
def test_wrong_arguments(capsys, arguments, word):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    errors = capsys.readouterr().err
    assert error.value.code == 2 and word in errors.splitlines()[-1]


def test_files_with_the_names_of_options_and_verbs(
    models, clips, monkeypatch, capsys
):
    folder, paths = clips
    monkeypatch.chdir(folder)
    for name in ("-dash.flac", "page"):
        shutil.copy(paths[0], name)
    options = ["--format", "jsonl", "--model", str(models / "clips.onnx")]
    for arguments, names in (
        ([*options, "--", "-dash.flac", paths[0]], ["-dash.flac", paths[0]]),
        (["./page", *options], ["./page"]),
        (["tag", "page", *options], ["page"]),
    ):
        assert main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [json.loads(line)["file"] for line in lines] == names


def test_a_bug_is_no_message(run, clips, monkeypatch):
    def fail(*args, **options):
        raise KeyError("bug")

    monkeypatch.setattr(AudioTagger, "clip_probabilities", fail)
    with pytest.raises(KeyError, match="bug"):
        run(*clips[1])


def test_the_help_is_fast():
    """It imports nothing that takes long."""
    lines = [
        "import sys",
        "from fftp_tag.cli.main import make_parser",
        "assert len(make_parser().format_help()) > 200",
        "slow = {'numpy', 'torch', 'speechbrain', 'onnxruntime', 'soundfile'}",
        "sys.exit(str(slow & set(sys.modules) or ''))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True
    )
    assert done.stderr.strip() == ""


def test_help_and_version(capsys):
    for arguments in ([], ["--version"], *([verb, "--help"] for verb in VERBS)):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 0
        output = capsys.readouterr().out
        assert f"fftp-tag {arguments[0] if arguments[1:] else ''}" in output


def test_standard_output_holds_results_alone(models, clips):
    """In a process of its own, with a pipe as input and a name in bytes."""
    tagger = AudioTagger.from_pretrained(models / "clips.onnx")
    name = os.path.join(os.fsencode(clips[0]), b"caf\xe9.wav")
    shutil.copy(clips[1][1], name)
    command = [*COMMAND, "-", name, "none.wav", "--format", "json"]
    with open(clips[1][0], "rb") as file:
        done = subprocess.run(
            [*command, "--model", models / "clips.onnx"],
            stdin=file,
            capture_output=True,
        )
    assert done.returncode == 1
    *found, failed = json.loads(done.stdout)
    assert [result["file"] for result in found] == ["-", os.fsdecode(name)]
    for result, path in zip(found, clips[1], strict=True):
        assert result["tags"] == rounded(tagger.tag_file(path))
    assert failed["file"] == "none.wav" and "none.wav" in failed["error"]
    assert b"none.wav" in done.stderr and b"Traceback" not in done.stderr
    assert b"%|" not in done.stderr  # no progress bar but on a terminal


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk(models, clips):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *clips[1], "--model", models / "clips.onnx"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.stderr == "fftp-tag: No space left on device\n"
    assert done.returncode == 1


def test_a_reader_that_stops(models, clips):
    """As ``head``: quietly."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, *clips[1], "--model", models / "clips.onnx"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_interrupted(models):
    """While the rest of standard input is awaited."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, "-", "--model", models / "clips.onnx"],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        # A full pipe can be written to again as soon as the command reads it
        os.set_blocking(process.stdin.fileno(), False)
        os.write(process.stdin.fileno(), bytes(2**20))
        select.select([], [process.stdin], [], 300)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (130, "", "")
