"""Tests of the command's inputs, outputs and further commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger, plots

TIMELINE = ["--timeline", "--window", "1", "--hop", "0.25"]


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


@pytest.fixture
def clips(tmp_path):
    """A folder of two clips, one in a folder of its own, and other files."""
    folder = tmp_path / "sounds"
    (folder / "more").mkdir(parents=True)
    paths = [folder / "a, b.flac", folder / "more" / "B.WAV"]
    for n, path in enumerate(paths):
        samples = np.random.default_rng(n).standard_normal(48000)
        sf.write(path, 0.1 * samples, 16000)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder, [str(path) for path in paths]


def run(exported, *arguments):
    return main([*map(str, arguments), "--model", str(exported[1])])


def test_json(exported, tagger, clips, capsys):
    folder, paths = clips
    assert run(exported, folder, "--format", "json", "--top-k", 2) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [
        {"file": p, "tags": [t.to_dict() for t in tagger.tag_file(p, 2)]}
        for p in paths
    ]
    assert not captured.err


def test_jsonl_of_events(exported, tagger, clips, capsys):
    options = ["--format", "jsonl", "--threshold", "0.4", *TIMELINE]
    assert run(exported, clips[0], *options) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [json.loads(line) for line in lines]
    assert found == [
        {
            "file": path,
            "events": [
                event.to_dict()
                for event in tagger.tag_long(path, 1.0, 0.25, threshold=0.4)
            ],
        }
        for path in clips[1]
    ]
    assert found[0]["events"]


def test_csv(exported, tagger, clips, capsys):
    assert run(exported, *clips[1], "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(r["file"], r["label"], float(r["probability"])) for r in rows] == [
        (path, tag.label, tag.probability)
        for path in clips[1]
        for tag in tagger.tag_file(path, 5)
    ]
    assert {row["label"] for row in rows} >= {"Bark, dog"}
    assert run(exported, clips[1][0], "--format", "csv", *TIMELINE) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    events = tagger.tag_long(clips[1][0], 1.0, 0.25)
    assert list(rows[0]) == ["file", "start", "end", "label", "probability"]
    assert [float(row["end"]) for row in rows] == [e.end for e in events]


def test_audacity(exported, tagger, clips, capsys):
    options = ["--format", "audacity", *TIMELINE[1:]]
    assert run(exported, clips[1][1], *options) == 0
    lines = capsys.readouterr().out.splitlines()
    events = tagger.tag_long(clips[1][1], 1.0, 0.25)
    assert lines and len(lines) == len(events)
    for line, event in zip(lines, events):
        start, end, label = line.split("\t")
        assert float(start) == pytest.approx(event.start, abs=1e-6)
        assert float(end) == pytest.approx(event.end, abs=1e-6)
        assert label == event.label


def test_table_of_events(exported, tagger, clips, capsys):
    assert run(exported, clips[1][0], *TIMELINE) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == clips[1][0]
    events = tagger.tag_long(clips[1][0], 1.0, 0.25)
    for line, event in zip(lines, events):
        start, end, p, label = line.split(maxsplit=3)
        assert (label, p) == (event.label, f"{event.probability:.3f}")
        assert (start, end) == (f"{event.start:.2f}", f"{event.end:.2f}")


def test_windows_by_default_are_the_longest(exported, tagger, clips, capsys):
    arguments = [clips[1][0], "--timeline", "--format", "json"]
    assert run(exported, *arguments) == 0
    window = tagger.max_window
    expected = tagger.tag_long(clips[1][0], window, window / 2)
    [found] = json.loads(capsys.readouterr().out)
    assert found["events"] == [event.to_dict() for event in expected]


def test_threshold_of_tags(exported, tagger, clips, capsys):
    tags = tagger.tag_file(clips[1][0])
    arguments = ["--threshold", tags[1].probability, "--format", "json"]
    assert run(exported, clips[1][0], *arguments) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["tags"] == [tag.to_dict() for tag in tags[:2]]


def test_standard_input(exported, tagger, clips, capsys, monkeypatch):
    for path in clips[1]:
        with open(path, "rb") as file:
            stdin = types.SimpleNamespace(buffer=file)
            monkeypatch.setattr(sys, "stdin", stdin)
            assert run(exported, "-", "--format", "json") == 0
        [found] = json.loads(capsys.readouterr().out)
        expected = [tag.to_dict() for tag in tagger.tag_file(path, 5)]
        assert found == {"file": "-", "tags": expected}
    for content in (b"", b"no sound"):
        buffer = io.BytesIO(content)
        buffer.name = "<stdin>"
        stdin = types.SimpleNamespace(buffer=buffer)
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run(exported, "-") == 1
        captured = capsys.readouterr()
        assert "<stdin> is not readable audio" in captured.err
        assert not captured.out


NAMES = ["text", "empty", "one sample", "nan", "no samples", "missing"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [[], TIMELINE])
def test_bad_files(exported, odd_audio, capsys, name, options):
    path, message = odd_audio[1][name]
    assert run(exported, path, *options) == 1
    captured = capsys.readouterr()
    assert not captured.out
    [line] = captured.err.splitlines()
    assert line.startswith("fftp-tag: ") and message in line
    assert str(path) in line


def test_odd_files_and_a_folder_with_bad_ones(exported, odd_audio, capsys):
    good, bad = odd_audio
    folder = good["silent"][0].parent
    assert run(exported, folder, "--format", "jsonl") == 1
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    found = {result.pop("file"): result for result in found}
    in_folder = [bad[name] for name in NAMES if name != "missing"]
    assert list(found) == sorted(
        str(p) for p, _ in [*good.values(), *in_folder]
    )
    assert all(len(found[str(path)]["tags"]) == 5 for path, _ in good.values())
    *lines, last = captured.err.splitlines()
    errors = [x for x in lines if not x.startswith("fftp-tag: warning: ")]
    assert len(errors) == len(in_folder)
    for name in ("short", "truncated", "six hours"):
        [warning] = [x for x in lines if str(good[name][0]) in x]
        assert warning.startswith("fftp-tag: warning: ")
        assert "is truncated" in warning
    for path, message in in_folder:
        [error] = [error for error in errors if str(path) in error]
        assert message in error
        assert found[str(path)] == {"error": error.removeprefix("fftp-tag: ")}
    assert last == f"fftp-tag: {len(errors)} of {len(found)} files failed"


def test_files_that_need_ffmpeg_are_not_ignored(
    exported, clips, monkeypatch, capsys
):
    film = os.path.join(clips[0], "film.m4a")
    with open(film, "wb") as file:
        file.write(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", "")
    assert run(exported, clips[0], "--format", "jsonl") == 1
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    errors = {row["file"]: row["error"] for row in rows if "error" in row}
    assert len(rows) == 3 and list(errors) == [film]
    assert "ffmpeg" in errors[film]
    lines = captured.err.splitlines()
    assert lines == [
        f"fftp-tag: {errors[film]}",
        "fftp-tag: 1 of 3 files failed",
    ]


def test_folders_without_audio_and_unreadable_ones(
    exported, clips, tmp_path, capsys, monkeypatch
):
    (tmp_path / "nothing").mkdir()
    assert run(exported, tmp_path / "nothing", clips[1][0]) == 1
    captured = capsys.readouterr()
    assert "nothing has no audio files (.flac" in captured.err
    assert captured.out.splitlines()[0] == clips[1][0]
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "more":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert run(exported, clips[0], "--format", "json") == 1
    captured = capsys.readouterr()
    assert "more: Permission denied" in captured.err
    refused, found = json.loads(captured.out)
    more = os.path.join(clips[0], "more")
    assert refused == {"file": more, "error": f"{more}: Permission denied"}
    assert found["file"] == clips[1][0] and len(found["tags"]) == 5


def test_a_damaged_model_is_not_loaded_by_its_yaml(
    exported, clips, tmp_path, capsys
):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    (folder / "labels.csv").unlink()
    assert main([clips[1][0], "--model", str(folder)]) == 1
    captured = capsys.readouterr()
    assert "labels.csv is missing" in captured.err and not captured.out
    (folder / "labels.csv").write_text("index,label\n0,a\n", "utf-8")
    assert main([clips[1][0], "--model", str(folder)]) == 1
    assert "has 1 labels, but the model has 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--window", "1"],
        ["--threshold", "2"],
        ["--threshold", "nan"],
        ["--timeline", "--window", "0"],
        ["--timeline", "--hop", "0"],
        ["--timeline", "--hop", "-1"],
        ["--timeline", "--hop", "x"],
        ["--timeline", "--top-k", "3"],
        ["--format", "audacity", "--top-k", "3"],
        ["--top-k", "1.5"],
        ["--threads", "0"],
        ["--plot", "a.xyz"],
        ["--format", "xml"],
        ["more.wav", "--format", "audacity"],
        ["more.wav", "--plot", "a.png"],
    ],
)
def test_usage_errors_name_the_option(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["clip.wav", "--model", "m", *options])
    names = [word for word in options if word.startswith("--")]
    error = capsys.readouterr().err.splitlines()[-1]
    assert any(name in error for name in names)


@pytest.mark.parametrize("command", [[], ["serve"], ["export", "--to", "onnx"]])
def test_no_model_says_how_to_get_one(command, capsys):
    rest = ["--output", "a"] if "export" in command else []
    with pytest.raises(SystemExit, match="2"):
        main([*(command or ["clip.wav"]), *rest])
    error = capsys.readouterr().err
    assert "no model was given" in error and "`make demo` makes one" in error


def test_windows_that_do_not_fit_the_model(exported, clips, capsys):
    arguments = [clips[1][0], "--timeline", "--window", "10"]
    assert run(exported, *arguments) == 2
    assert "window=10.0 must be in" in capsys.readouterr().err
    assert run(exported, clips[1][0], "--timeline", "--hop", "0.005") == 2
    assert "hop=0.005 must be at least" in capsys.readouterr().err


def stub(monkeypatch, name, function):
    """Puts a module of one function in the place of another."""
    module = types.ModuleType(name)
    calls = []

    def record(*args, **kwargs):
        calls.append((args, kwargs))
        if function.startswith("fail"):
            raise ImportError("pip install something")

    setattr(module, function.replace("fail ", ""), record)
    monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_export(exported, tagger, monkeypatch, capsys):
    model = str(exported[1])
    name = "speechbrain_fftp.inference.onnx"
    calls = stub(monkeypatch, name, "export_onnx")
    arguments = ["export", "--model", model, "--to", "onnx", "--output", "a"]
    assert main(arguments) == 0
    [((given, path), options)] = calls
    assert given.labels == tagger.labels
    assert (path, options) == ("a", {"report": print})
    stub(monkeypatch, name, "fail export_onnx")
    assert main(arguments) == 1
    assert "pip install something" in capsys.readouterr().err


def test_plot(exported, tagger, clips, monkeypatch, capsys):
    """The model runs once, for the picture and for the tags."""
    calls, runs = [], []
    analyze = AudioTagger.analyze

    def record(*args, **kwargs):
        runs.append(args[1])
        return analyze(*args, **kwargs)

    monkeypatch.setattr(plots, "plot_tags", lambda *args: calls.append(args))
    monkeypatch.setattr(AudioTagger, "analyze", record)
    monkeypatch.setattr(AudioTagger, "tag_file", None)
    options = ["--plot", "a.png", "--window", "1", "--hop", "0.5"]
    assert run(exported, clips[1][0], *options, "--format", "json") == 0
    [(path, given, wav, timeline)] = calls
    assert path == "a.png" and given.labels == tagger.labels
    assert wav.shape == (48000,) and runs == [clips[1][0]]
    assert timeline.times.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    [found] = json.loads(capsys.readouterr().out)
    assert found["tags"] == [tag.to_dict() for tag in timeline.tags()]


def test_a_file_called_like_a_command(exported, clips, monkeypatch, capsys):
    monkeypatch.chdir(clips[0])
    shutil.copy("a, b.flac", "serve")
    assert run(exported, "./serve") == 0
    assert capsys.readouterr().out.splitlines()[0] == "./serve"


IMPORTS = """
import sys
from speechbrain_fftp.cli.main import main
try:
    main(["--help"])
finally:
    assert not {"torch", "speechbrain", "soundfile"} & set(sys.modules)
"""


def test_help_needs_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "FILE" in done.stdout and "--timeline" in done.stdout


def test_standard_output_holds_results_alone(exported, clips):
    """In a process of its own, with a pipe as input and a name in bytes."""
    name = os.path.join(os.fsencode(clips[0]), b"caf\xe9.wav")
    shutil.copy(clips[1][1], name)
    command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "-", name]
    command += ["none.wav", "--model", str(exported[1]), "--format", "json"]
    with open(clips[1][0], "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True)
    assert done.returncode == 1
    *found, failed = json.loads(done.stdout)
    assert [result["file"] for result in found] == ["-", os.fsdecode(name)]
    assert failed["file"] == "none.wav" and "none.wav" in failed["error"]
    assert b"none.wav" in done.stderr and b"Traceback" not in done.stderr
    assert b"%|" not in done.stderr  # no progress bar but on a terminal
    command[command.index("json")] = "table"
    done = subprocess.run(command[:3] + command[4:], capture_output=True)
    assert b"caf\\udce9.wav\n" in done.stdout
