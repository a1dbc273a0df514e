"""Tests of ``fftp-tag index`` and ``fftp-tag find``.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.search.index import SETTINGS, SoundIndex


def noise(seconds, seed, rate=16000, channels=1):
    rng = np.random.default_rng(seed)
    size = round(seconds * rate)
    levels = np.repeat(rng.random(size // 4000 + 1) ** 4, 4000)[:size, None]
    return 0.2 * levels * rng.standard_normal((size, channels))


@pytest.fixture(scope="module")
def made(exported, tmp_path_factory):
    """An archive, its index, and an example from it."""
    folder = tmp_path_factory.mktemp("find")
    archive, index = folder / "archive", folder / "archive.index"
    (archive / "day 1").mkdir(parents=True)
    stereo = noise(7, seed=0, rate=44100, channels=2)
    sf.write(archive / "day 1" / "a.flac", stereo, 44100, "PCM_24")
    sf.write(archive / "b.wav", noise(4, seed=1), 16000)
    arguments = ["--model", exported[1], "--output", index, "--window", "1"]
    assert main(["index", str(archive), *map(str, arguments)]) == 0
    example = folder / "example.wav"
    sf.write(example, stereo[3 * 44100 : 4 * 44100], 44100, "PCM_24")
    return archive, index, example


def find(example, index, *options):
    return main(["find", str(example), "--index", str(index), *options])


def expected_places(made, top_k):
    _, folder, example = made
    index = SoundIndex(folder)
    tagger = AudioTagger.from_pretrained(index.settings.model)
    return index.find(index.embed(tagger, example), top_k)


def test_formats(made, capsys):
    archive, index, example = made
    expected = [place.to_dict() for place in expected_places(made, 4)]
    first = str(archive / "day 1" / "a.flac")
    # The place that the example was cut from is left out
    assert (first, 3) not in [(x["file"], x["start"]) for x in expected]
    results = {}
    for name in ("table", "json", "csv"):
        assert find(example, index, "--top-k", "4", "--format", name) == 0
        results[name], errors = capsys.readouterr()
        assert "1 place left out" in errors
    # A part of its recording is the same example
    part = ["--start", "3", "--end", "4", "--format", "json", "--top-k", "4"]
    assert find(first, index, *part) == 0
    results["part"] = capsys.readouterr().out
    for name in ("json", "part"):
        for place, other in zip(
            json.loads(results[name]), expected, strict=True
        ):
            assert place.pop("file") == other["file"]
            for key, value in place.items():
                assert value == pytest.approx(other[key], abs=2e-4)
    lines = results["table"].splitlines()
    files = [line.split(maxsplit=3)[3] for line in lines]
    assert files == [row["file"] for row in expected]
    header, *lines = results["csv"].splitlines()
    assert header == "file,start,end,similarity"
    assert [line.split(",")[0] for line in lines] == files


def test_cut_places_are_the_samples_of_the_source(made, tmp_path, capsys):
    _, index, example = made
    folder = tmp_path / "places" / "bark"
    options = ["--top-k", "4", "--format", "csv", "--cut", str(folder)]
    assert find(example, index, *options) == 0
    found = capsys.readouterr().out.splitlines()
    places = expected_places(made, 4)
    names = sorted(os.listdir(folder))
    assert len(names) == len(places)
    for rank, (name, place) in enumerate(zip(names, places), start=1):
        assert name.startswith(f"{rank:03d}_")
        assert Path(place.file).stem in name and f"{place.start:.2f}" in name
        whole, rate = sf.read(place.file, dtype="float32", always_2d=True)
        cut, cut_rate = sf.read(folder / name, dtype="float32")
        assert cut_rate == rate
        first, last = round(place.start * rate), round(place.end * rate)
        np.testing.assert_array_equal(cut, whole[first:last].mean(1))
    assert find(example, index, *options) == 1  # no file is overwritten
    assert names[0] in capsys.readouterr().err
    # They are no findings of a search with them
    assert find(folder, index, "--format", "csv") == 0
    more, errors = capsys.readouterr()
    times = [row.rsplit(",", 1)[0] for row in found[1:]]
    assert len(times) == 4 and f"{len(times)} places left out" in errors
    assert len(more.splitlines()) > 1
    assert not set(times) & {x.rsplit(",", 1)[0] for x in more.splitlines()}


def test_what_is_missing_is_named(made, tmp_path, capsys):
    archive, index, example = made
    copy = shutil.copytree(index, tmp_path / "copy.index")
    settings = json.loads((copy / SETTINGS).read_text("utf-8"))
    settings.update(archive=str(tmp_path), complete=False, n_files=5)
    (copy / SETTINGS).write_text(json.dumps(settings), "utf-8")
    cut = str(tmp_path / "cut")
    assert find(example, copy, "--top-k", "3", "--cut", cut) == 1
    captured = capsys.readouterr()
    assert "2 of 5 files" in captured.err
    assert len(captured.out.splitlines()) == 3
    # Of each file that is gone once, with what to do
    gone = {line.split(maxsplit=3)[3] for line in captured.out.splitlines()}
    lines = [line for line in captured.err.splitlines() if "not cut" in line]
    assert len(lines) == len(gone) < 3
    for file, line in zip(sorted(gone), lines):
        assert file in line and SoundIndex(copy).update_command in line
    assert find(tmp_path / "no.wav", copy) == 1
    assert "no.wav" in capsys.readouterr().err
    assert (
        main(
            ["index", str(tmp_path / "no"), "--model", "m.onnx"]
            + ["--output", str(copy)]
        )
        == 1
    )
    assert str(tmp_path / "no") in capsys.readouterr().err


def test_windows_of_an_index(exported, tmp_path, capsys):
    """Those of an index are kept; 1 ms more has no window of its own."""
    (tmp_path / "archive").mkdir()
    sf.write(tmp_path / "archive" / "a.wav", noise(1.001, seed=0), 16000)
    index = ["index", str(tmp_path / "archive"), "--output"]
    index += [str(tmp_path / "a.index"), "--model", str(exported[1])]
    assert main([*index, "--window", "1"]) == 0
    assert "1 file added" in (printed := capsys.readouterr().out)
    assert printed.endswith("1 window\n")
    assert main([*index, "--window", "1", "--hop", "1"]) == 0
    capsys.readouterr()
    for option in ("--window", "--hop"):
        assert main([*index, option, "0.5"]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert f"{option} 1" in line and line.count("--") == 2
