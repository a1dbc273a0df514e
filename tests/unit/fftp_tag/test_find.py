"""Tests of ``SoundIndex``, ``fftp-tag index`` and ``fftp-tag find``.

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
from fftp_tag.search.index import SoundIndex, update_index
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.errors import InputError

RATE = 16000


class Levels:
    """A model that embeds the level of 8 parts of a window, and sines of it."""

    sample_rate, max_samples, min_samples, frame_samples = RATE, 5 * RATE, 1, 1
    window_samples = None

    def __init__(self, path=__file__):
        self.path = path
        self.n_calls = 0

    def embeddings(self, wavs):
        self.n_calls += 1
        parts = np.array_split(np.abs(wavs), 8, axis=1)
        levels = np.stack([part.mean(1) for part in parts], 1)
        return np.concatenate([levels, np.sin(9 * levels)], 1)


@pytest.fixture
def tagger():
    return AudioTagger(Levels())


def noise(seconds, seed, rate=RATE, channels=1):
    """Noise whose level changes, ``[S, channels]``."""
    rng, size = np.random.default_rng(seed), round(seconds * rate)
    levels = np.repeat(rng.random(size // 1000 + 1) ** 3, 1000)[:size, None]
    return 0.2 * levels * rng.standard_normal((size, channels))


@pytest.fixture
def archive(tmp_path):
    """Files of several lengths and rates, one in a folder below."""
    folder = tmp_path / "archive"
    (folder / "more").mkdir(parents=True)
    sf.write(folder / "a.wav", noise(7.3, seed=1), RATE)
    sf.write(folder / "more" / "b, c.flac", noise(12, seed=2), 44100)
    sf.write(folder / "short.wav", noise(0.6, seed=3), RATE)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder


def cut_by_hand(tagger, archive, window, hop):
    """File, start, end and embedding of each window."""
    found = []
    size, step = round(window * RATE), round(hop * RATE)
    for path in sorted(archive.rglob("*.[wf]*")):
        wav = read_audio(path, RATE)
        last = max(len(wav) - size, 0)
        for start in [*range(0, last, step), last]:
            part = wav[start : start + size]
            [row] = tagger.model.embeddings(part[None])
            end = start + len(part)
            found.append((str(path), start / RATE, end / RATE, row))
    return found


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def brute_force(windows, examples, top_k):
    """The best places, in float64, by comparing all with all."""
    rows = unit(np.array([row for *_, row in windows], np.float64))
    mean, std = rows.mean(0), rows.std(0)
    cosines = unit((rows - mean) / std) @ unit((examples - mean) / std).T
    scores = cosines.max(1)
    places = []
    for n in np.argsort(-scores):
        file, start, end, _ = windows[n]
        if not any(
            f == file and start < e and s < end for f, s, e, _ in places
        ):
            places.append((file, start, end, scores[n]))
    return places[:top_k]


@pytest.mark.parametrize(
    "window, hop, n_examples, top_k", [(1.0, 0.3, 2, 50), (5.0, None, 1, 3)]
)
def test_places_are_those_of_brute_force(
    tagger, archive, tmp_path, monkeypatch, window, hop, n_examples, top_k
):
    monkeypatch.setattr("fftp_tag.search.index.CHUNK", 7)
    update_index(tmp_path / "a.index", tagger, archive, window, hop)
    index = SoundIndex.load(tmp_path / "a.index")
    examples, means = [], []
    for seed in range(n_examples):
        folder = tmp_path / f"example {seed}"
        folder.mkdir()
        wav = noise(2 * window, seed=10 + seed)
        sf.write(folder / "a.wav", wav, RATE)
        examples.append(index.embed(tagger, folder / "a.wav"))
        rows = [row for *_, row in cut_by_hand(tagger, folder, window, window)]
        means.append(unit(unit(np.array(rows)).mean(0)))
    np.testing.assert_allclose(examples, means, rtol=1e-5)
    windows = cut_by_hand(tagger, archive, window, hop or window)
    expected = brute_force(windows, np.array(examples), top_k)
    places = index.find(np.array(examples), top_k)
    assert len(places) == len(expected) <= top_k
    for place, (file, start, end, similarity) in zip(places, expected):
        assert place.file == file
        assert (place.start, place.end) == pytest.approx((start, end))
        assert place.similarity == pytest.approx(similarity, abs=5e-3)


def contents(path):
    """Embeddings by file and window."""
    return {x.path: x.rows.tolist() for x in SoundIndex.load(path).files}


def test_only_new_and_changed_files_are_read(tagger, archive, tmp_path):
    path = tmp_path / "a.index"
    update = update_index(path, tagger, archive, window=1.0)
    assert update[:4] == (3, 0, 0, [])
    n_calls = tagger.model.n_calls
    assert update_index(path, tagger, archive)[:4] == (0, 3, 0, [])
    assert tagger.model.n_calls == n_calls
    sf.write(archive / "new.wav", noise(2, seed=5), RATE)
    sf.write(archive / "a.wav", noise(3, seed=6), RATE)
    (archive / "short.wav").unlink()
    (archive / "bad.wav").write_text("no sound", "utf-8")
    update = update_index(path, tagger, archive)
    assert update[:3] == (2, 1, 2)
    [error] = update.errors
    assert str(archive / "bad.wav") in error
    fresh = update_index(tmp_path / "fresh.index", tagger, archive, window=1.0)
    assert fresh.added == 3 and fresh.n_windows == update.n_windows
    assert contents(tmp_path / "fresh.index") == contents(path)


def test_an_index_keeps_its_archive_model_and_windows(
    tagger, archive, tmp_path
):
    """A disk that is not mounted is an empty folder."""
    path, other = tmp_path / "a.index", tmp_path / "other"
    update_index(path, tagger, archive, window=1.0, hop=0.5, model="m.onnx")
    update_index(path, tagger, archive, window=1.0, hop=0.5)
    assert SoundIndex.load(path).settings.model == "m.onnx"
    content = path.read_bytes()
    shutil.copytree(archive, other)
    another = AudioTagger(Levels(archive / "notes.txt"))
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


def test_what_cannot_be_used_is_named(tagger, tmp_path, caplog):
    archive, path = tmp_path / "archive", tmp_path / "a.index"
    archive.mkdir()
    for number in range(3):
        sf.write(archive / f"{number}.wav", np.zeros(2000), RATE)
    update_index(path, tagger, archive)
    for file in archive.iterdir():
        assert f"{file} is silent" in caplog.text
    for content in (path.read_bytes()[:-99], b"", b"no index"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.index"):
            update_index(path, tagger, archive)
    path.unlink()
    for file in archive.iterdir():
        file.write_bytes(b"no sound")
    assert len(update_index(path, tagger, archive).errors) == 3
    with pytest.raises(InputError, match=str(archive)):
        SoundIndex.load(path).find(np.ones(16))


@pytest.fixture(scope="module")
def made(exported, tmp_path_factory):
    """An archive, its index, and an example from it; 1 ms is no window."""
    folder = tmp_path_factory.mktemp("find")
    archive, index = folder / "archive", folder / "archive.index"
    (archive / "day 1").mkdir(parents=True)
    stereo = noise(7, seed=0, rate=44100, channels=2)
    sf.write(archive / "day 1" / "a.flac", stereo, 44100, "PCM_24")
    sf.write(archive / "b.wav", noise(4.001, seed=1), RATE)
    options = ["--model", exported[1], "--output", index, "--window", "1"]
    assert main(["index", str(archive), *map(str, options)]) == 0
    assert len(SoundIndex.load(index).rows) == 11
    example = folder / "example.wav"
    sf.write(example, stereo[3 * 44100 : 4 * 44100], 44100, "PCM_24")
    return archive, index, example


def find(example, index, *options):
    return main(["find", str(example), "--index", str(index), *options])


def expected_places(made, top_k):
    _, path, example = made
    index = SoundIndex.load(path)
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
        places = json.loads(results[name])
        for place, other in zip(places, expected, strict=True):
            assert place.pop("file") == other["file"]
            for key, value in place.items():
                assert value == pytest.approx(other[key], abs=2e-4)
    files = [row["file"] for row in expected]
    lines = results["table"].splitlines()
    assert [line.split(maxsplit=3)[3] for line in lines] == files
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


def test_the_commands_name_what_is_missing(made, tmp_path, capsys):
    _, index, example = made
    output = ["--model", "m.onnx", "--output", str(tmp_path / "a.index")]
    for status in (
        find(tmp_path / "no", index),
        find(tmp_path / "no", index, "--start", "1"),
        find(example, tmp_path / "no"),
        main(["index", str(tmp_path / "no"), *output]),
    ):
        assert status == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(str(tmp_path / "no") in line for line in lines)
