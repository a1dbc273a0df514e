"""Tests of ``SoundIndex``, ``fftp-tag index`` and ``fftp-tag find``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import write_model

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.search.index import SoundIndex, update_index
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.errors import InputError

RATE = 16000
PITCHES = {str(pitch): pitch for pitch in range(50, 450, 50)}  # at 1000 Hz


def noise(seconds, seed, rate=RATE, channels=1):
    """Noise, and a tone whose level and pitch change, ``[S, channels]``."""
    rng, size = np.random.default_rng(seed), round(seconds * rate)
    draws = rng.random((2, size // 1000 + 1)).repeat(1000, 1)
    level, pitch = draws[:, :size, None]
    phase = 2 * np.pi * 7000 * pitch * np.arange(size)[:, None] / rate
    wav = level * np.sin(phase) + 0.3 * rng.standard_normal((size, channels))
    return 0.1 * wav


@pytest.fixture
def model(tmp_path):
    return write_model(
        tmp_path / "model.onnx",
        pitches=PITCHES,
        sample_rate=RATE,
        max_samples=5 * RATE,
    )


@pytest.fixture
def tagger(model):
    return AudioTagger.from_pretrained(model)


@pytest.fixture
def archive(tmp_path):
    """Files of several lengths and rates, one in a folder below."""
    folder = tmp_path / "archive"
    (folder / "day 1").mkdir(parents=True)
    sf.write(folder / "a.wav", noise(4.001, seed=1), RATE)
    stereo = noise(7, seed=2, rate=44100, channels=2)
    sf.write(folder / "day 1" / "b.flac", stereo, 44100, "PCM_24")
    sf.write(folder / "short.wav", noise(0.6, seed=3), RATE)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def brute_force(tagger, archive, window, hop, examples):
    """All places, in float64, by comparing all windows with all examples."""
    windows, rows = [], []
    size, step = round(window * RATE), round(hop * RATE)
    for path in sorted(archive.rglob("*.[wf]*")):
        wav = read_audio(path, RATE)
        last = max(len(wav) - size, 0)
        starts = [*range(0, last, step), last]
        if len(starts) > 1 and last - starts[-2] < 0.025 * RATE:
            starts.pop()  # too little for another window
        for start in starts:
            part = wav[start : start + size]
            windows.append((str(path), start, start + len(part)))
            rows.append(tagger.model.embeddings(part[None])[0])
    rows = unit(np.array(rows, np.float64))
    mean, std = rows.mean(0), rows.std(0)
    cosines = unit((rows - mean) / std) @ unit((unit(examples) - mean) / std).T
    scores = cosines.max(1)
    places = []
    for n in np.argsort(-scores):
        file, start, end = windows[n]
        if not any(
            f == file and start < e and s < end for f, s, e, _ in places
        ):
            places.append((file, start, end, scores[n]))
    return places


@pytest.mark.parametrize("window, hop", [(1.0, 0.3), (5.0, None)])
def test_places_are_those_of_brute_force(
    tagger, archive, tmp_path, monkeypatch, window, hop
):
    monkeypatch.setattr("fftp_tag.search.index.CHUNK", 7)
    update_index(tmp_path / "a.index", tagger, archive, window, hop)
    index = SoundIndex.load(tmp_path / "a.index")
    wavs = [noise(window, seed) for seed in (10, 11)]
    examples = [index.embed(tagger, wav, RATE) for wav in wavs]
    for example, wav in zip(examples, wavs):
        [row] = tagger.model.embeddings(wav.T)
        np.testing.assert_allclose(example, unit(row), rtol=1e-4)
    examples = np.array(examples)
    expected = brute_force(tagger, archive, window, hop or window, examples)
    places = index.find(examples, top_k=50)
    assert places[:2] == index.find(examples, top_k=2)
    for place, (file, start, end, score) in zip(places, expected, strict=True):
        assert place.file == file
        assert (place.start, place.end) == (start / RATE, end / RATE)
        assert place.similarity == pytest.approx(score, abs=5e-3)


def contents(path):
    """Embeddings by file and window."""
    return {x.path: x.rows.tolist() for x in SoundIndex.load(path).files}


def test_only_new_and_changed_files_are_read(tagger, archive, tmp_path):
    path = tmp_path / "a.index"
    assert update_index(path, tagger, archive, window=1.0).added == 3
    sf.write(archive / "new.wav", noise(2, seed=5), RATE)
    sf.write(archive / "a.wav", noise(3, seed=6), RATE)
    (archive / "short.wav").unlink()
    (archive / "bad.wav").write_text("no sound", "utf-8")
    added, unchanged, dropped, [error], _ = update_index(path, tagger, archive)
    assert (added, unchanged, dropped) == (2, 1, 2)
    assert str(archive / "bad.wav") in error
    update_index(tmp_path / "fresh.index", tagger, archive, window=1.0)
    assert contents(tmp_path / "fresh.index") == contents(path)


def test_an_index_keeps_its_archive_model_and_windows(
    tagger, archive, tmp_path
):
    """A disk that is not mounted is an empty folder."""
    path, other = tmp_path / "a.index", tmp_path / "other"
    update_index(path, tagger, archive, window=1.0, hop=0.5)
    content = path.read_bytes()
    shutil.copytree(archive, other)
    another = AudioTagger.from_pretrained(
        write_model(tmp_path / "b.onnx", sample_rate=RATE, max_samples=5 * RATE)
    )
    for tried, folder, options in (
        (tagger, other, {}),
        (another, archive, {}),
        (tagger, archive, {"window": 2.0}),
        (tagger, archive, {"hop": 0.25}),
    ):
        with pytest.raises(InputError, match="a.index is the index of"):
            update_index(path, tried, folder, **options)
    with pytest.raises(InputError, match="another model"):
        SoundIndex.load(path).check_model(another)
    shutil.rmtree(archive)
    archive.mkdir()
    with pytest.raises(FileNotFoundError, match="archive"):
        update_index(path, tagger, archive)
    assert path.read_bytes() == content


def test_damaged_and_empty_indexes_are_named(tagger, tmp_path):
    archive, path = tmp_path / "archive", tmp_path / "a.index"
    archive.mkdir()
    (archive / "a.wav").write_bytes(b"no sound")
    update_index(path, tagger, archive)
    with pytest.raises(InputError, match=str(archive)):
        SoundIndex.load(path).find(np.ones(8))
    for content in (path.read_bytes()[:-99], b"", b"no index"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.index"):
            update_index(path, tagger, archive)


@pytest.fixture
def find(archive, model, tmp_path, capsys):
    """Runs ``find`` in an index of the archive; returns what it prints."""
    index = str(tmp_path / "a.index")
    options = ["--model", str(model), "--output", index, "--window", "1"]
    assert main(["index", str(archive), *options]) == 0
    # 1 ms is no window
    assert len(SoundIndex.load(index).rows) == 4 + 7 + 1
    assert "3 files added" in capsys.readouterr().out

    def find(*arguments, code=0):
        arguments = [*map(str, arguments), "--index", index, "--top-k", "4"]
        assert main(["find", *arguments]) == code
        return capsys.readouterr()

    return find


def test_the_place_of_an_example_is_left_out(archive, find, tmp_path):
    """In each format, whether it was cut or is named by its times."""
    source, example = archive / "day 1" / "b.flac", tmp_path / "example.wav"
    wav, rate = sf.read(source)
    sf.write(example, wav[3 * rate : 4 * rate], rate, "PCM_24")
    output, errors = find(example, "--format", "json")
    places = json.loads(output)
    assert len(places) == 4 and "1 place left out" in errors
    assert (str(source), 3) not in [(x["file"], x["start"]) for x in places]
    part = [source, "--start", 3, "--end", 4, "--format", "csv"]
    rows = list(csv.DictReader(io.StringIO(find(*part).out)))
    table = [line.split(maxsplit=3) for line in find(example).out.splitlines()]
    for place, row, line in zip(places, rows, table, strict=True):
        assert row.pop("file") == line.pop() == place.pop("file")
        expected = pytest.approx(list(place.values()), abs=2e-3)
        assert [float(value) for value in row.values()] == expected
        assert [*map(float, line[1:]), float(line[0])] == expected


def test_cut_places_are_the_samples_of_the_source(archive, find, tmp_path):
    folder = tmp_path / "places" / "bark"
    options = ["--format", "json", "--cut", folder]
    places = json.loads(find(archive / "short.wav", *options).out)
    names = sorted(os.listdir(folder))
    assert len(names) == len(places) == 4
    for name, place in zip(names, places):
        assert f"{place['start']:.2f}" in name
        whole, rate = sf.read(place["file"], dtype="float32", always_2d=True)
        cut, cut_rate = sf.read(folder / name, dtype="float32")
        assert cut_rate == rate
        first, last = round(place["start"] * rate), round(place["end"] * rate)
        np.testing.assert_array_equal(cut, whole[first:last].mean(1))
    # No file is overwritten
    assert names[0] in find(archive / "short.wav", *options, code=1).err
    # They are no findings of a search with them
    assert "4 places left out" in find(folder).err


def test_the_commands_name_what_is_missing(find, tmp_path, capsys):
    missing = str(tmp_path / "no")
    assert missing in find(missing, code=1).err
    for arguments in (
        ["find", "a.wav", "--index", missing],
        ["index", missing, "--model", "m.onnx", "--output", "a.index"],
    ):
        assert main(arguments) == 1
        assert missing in capsys.readouterr().err
