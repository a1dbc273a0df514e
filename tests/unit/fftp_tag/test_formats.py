"""Tests of the output formats of ``fftp-tag``: each is read back.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest
import soundfile as sf
from format_readers import READERS
from tiny_onnx import RATE, sounds

from fftp_tag import AudioTagger
from fftp_tag.cli.formats import FORMATS

MISSING = {"audacity": {"file", "probability"}, "raven": {"file"}}


def check_rows(name, text, expected):
    """Checks that a text has files with their tags or events."""
    rows = list(READERS[name](text))
    items = [
        {"file": file, **item.to_dict()}
        for file, found in expected
        for item in found
    ]
    for row, item in zip(rows, items, strict=True):
        for column in ("seconds_read", "seconds_stated"):  # of damaged files
            assert not row.pop(column, "")
        assert item.keys() - row.keys() == MISSING.get(name, set())
        for column, value in row.items():
            if isinstance(item[column], str):
                assert value == item[column]
            else:
                precision = 6e-3 if name == "table" else 6e-5
                assert abs(float(value) - item[column]) < precision


@pytest.fixture
def files(tmp_path):
    """Two recordings of the same name in different folders, sorted."""
    paths = [tmp_path / "sounds" / x / "day 1.wav" for x in ("east", "west")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        sf.write(path, sounds(5.0, number), RATE)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    "model, given",
    [
        ("clips", {"window": 1.0, "hop": 0.5, "threshold": 0.08}),
        ("learnt", {"merge_gap": 0.2, "min_duration": 0.05}),
    ],
)
@pytest.mark.parametrize("name", FORMATS)
def test_events_are_read_back(run, models, files, tmp_path, name, model, given):
    """From standard output, and from a file for each recording."""
    tagger = AudioTagger.from_pretrained(models / f"{model}.onnx")
    expected = [(file, tagger.tag_long(file, **given)) for file in files]
    assert len(expected[0][1]) > 1
    options = [f"--{x.replace('_', '-')}={given[x]}" for x in given]
    options += ["--timeline", "--format", name]
    for file, events in expected:
        found = run(file, *options, model=model).out
        check_rows(name, found, [(file, events)])
    options += ["--output", tmp_path / "found"]
    lines = run(*files, *options, model=model).out.splitlines()
    for line, (file, events) in zip(lines, expected, strict=True):
        path = Path(line.removeprefix("wrote "))
        assert path.parent.name == Path(file).parent.name
        assert path.name == f"day 1.wav{FORMATS[name].extension}"
        check_rows(name, path.read_text("utf-8"), [(file, events)])


def test_a_batch_is_continued(run, files, tmp_path):
    """Without the one whose name is too long, and without what is done.

    Subfolders are those of the given folder, so that learn finds tracks.
    """
    long = tmp_path / "sounds" / "west" / f"{'x' * 246}.wav"
    Path(files[1]).rename(long)
    options = [tmp_path / "sounds", "--timeline", "--format"]
    options += ["raven", "--output", tmp_path / "found"]
    found = run(*options, code=1)
    assert long.name in found.err and "too long" in found.err
    [path] = (tmp_path / "found").rglob("*.txt")
    assert path.parent.name == "east"
    assert found.out == f"wrote {path}\n"
    content = path.read_bytes()
    assert "--continue" in run(*options, code=1).err
    long.rename(long.with_name("short.wav"))
    found = run(*options, "--continue")
    assert "1 file skipped" in found.err
    assert found.out.endswith("west/short.wav.selections.txt\n")
    assert path.read_bytes() == content


def test_output_is_no_file(run, files, tmp_path, monkeypatch):
    """As that of other commands: a folder named tags.csv would be odd."""
    monkeypatch.chdir(tmp_path)
    found = run(*files, "--format", "csv", "--output", "tags.csv", code=1)
    assert "tags.csv would be a folder" in found.err
    assert not Path("tags.csv").exists()


def test_only_results_of_one_kind_are_in_a_folder(run, files, tmp_path):
    folder = tmp_path / "found"
    run(*files, "--output", folder)
    again = [*files, "--output", folder, "--continue"]
    for options, model, name in (
        (["--timeline"], "clips", "--timeline"),
        (["--top-k", "3"], "clips", "--top-k"),
        ([], "learnt", "--model"),
    ):
        found = run(*again, *options, model=model, code=1)
        assert f"other {name}, see" in found.err
    # Recordings of another call, by the same options, may come in
    other = tmp_path / "other.wav"
    sf.write(other, sounds(1.0, 3), RATE)
    run(other, "--output", folder)
    assert (folder / "other.wav.txt").is_file()


def test_changed_recordings_are_done_again(run, files, tmp_path):
    folder = tmp_path / "found"
    again = [*files, "--output", folder, "--continue"]
    run(*again)
    before = [path.read_text() for path in sorted(folder.rglob("*.txt"))]
    sf.write(files[1], sounds(5.0, 7), RATE)
    found = run(*again)
    assert "1 file skipped" in found.err and "west" in found.out
    after = [path.read_text() for path in sorted(folder.rglob("*.txt"))]
    assert after[0] == before[0] and after[1] != before[1]
    # What was edited is kept
    path = folder / "west" / "day 1.wav.txt"
    path.write_text("edited")
    sf.write(files[1], sounds(5.0, 8), RATE)
    assert "was edited" in run(*again, code=1).err
    assert path.read_text() == "edited"
    # A kill while a line was written, before its file was
    path.unlink()
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text()[:-9])
    assert "1 file skipped" in run(*again).err
    assert "2 files skipped" in run(*again).err
    manifest.write_text(manifest.read_text().splitlines()[0])
    assert "not in" in run(*again, code=1).err
