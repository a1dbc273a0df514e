"""Tests of ``SoundIndex``, ``fftp-tag index`` and ``fftp-tag find``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import itertools
import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import STEP, write_model

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.pieces import FilePiece
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.session import Model
from fftp_tag.model.spans import token_size
from fftp_tag.search.clips import cut_clip
from fftp_tag.search.index import SoundIndex, update_index

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


def spans_of(encoder, wav, hop):
    """The first sample and the features of each span, one after another."""
    size, step = encoder.model.span_samples, encoder.model.hop_samples
    hop = max(round(hop * RATE) // step, 1) * step
    last = max(len(wav) - size, 0) // STEP * STEP  # of whole tokens
    for start in [*range(0, last, hop), last]:
        part = wav[start : start + size]
        [rows] = encoder.model.run(["spans"], part[None])[0]
        yield start, start + len(part), rows[0, : token_size(encoder.model)]


def brute_force(encoder, archive, hop, examples):
    """All matches, in float64, by comparing all spans with the examples."""
    matches, rows = [], []
    for path in sorted(archive.rglob("*.[wf]*")):
        for start, end, row in spans_of(encoder, read_audio(path, RATE), hop):
            matches.append((str(path), start, end))
            rows.append(row)
    rows = np.array(rows, np.float64)
    covariance = np.eye(rows.shape[1])
    if len(rows) >= 10:
        mean, std = rows.mean(0), rows.std(0)
        std[std < 1e-6] = np.inf
        rows, examples = (rows - mean) / std, (examples - mean) / std
        covariance = 0.3 * rows.T @ rows / len(rows) + 0.7 * covariance
    lengths = np.linalg.norm(rows, axis=1)
    example = (examples.T / np.linalg.norm(examples, axis=1)).mean(1)
    direction = np.linalg.solve(covariance, example)
    example /= np.linalg.norm(example)
    scores = rows @ direction / lengths / (example @ direction)
    found = []
    for n in np.argsort(-scores):
        file, start, end = matches[n]
        if not any(
            f == file
            and min(end, e) - max(start, s) > 0.25 * min(end - start, e - s)
            for f, s, e, _ in found
        ):
            found.append((*matches[n], scores[n]))
    return found


@pytest.mark.parametrize("window, hop", [(1.0, 0.3), (5.0, None)])
def test_matches_are_those_of_brute_force(
    tagger, archive, tmp_path, window, hop
):
    update_index(tmp_path / "a.index", tagger, archive, window, hop)
    index = SoundIndex.load(tmp_path / "a.index")
    encoder = index.load_encoder(tagger)
    wavs = [noise(window, seed) for seed in (10, 11)]
    examples = np.array([index.embed(encoder, wav, RATE) for wav in wavs])
    for example, wav in zip(examples, wavs):
        [(_, _, row)] = spans_of(encoder, np.float32(wav[:, 0]), 9)
        np.testing.assert_allclose(example, row, atol=1e-2)
    expected = brute_force(encoder, archive, hop or window, examples)
    matches = index.find(examples, top_k=50)
    assert matches[:2] == index.find(examples, top_k=2)
    similarities = [match.score for match in matches]
    np.testing.assert_allclose(
        similarities, [score for *_, score in expected], atol=2e-3
    )
    # Similarities may be almost equal
    assert sorted((x.file, x.start, x.end) for x in matches) == sorted(
        (file, start / RATE, end / RATE) for file, start, end, _ in expected
    )


def test_silent_spans_are_not_in_the_index(tagger, archive, tmp_path):
    wav = np.concatenate([noise(3, 1), 5e-5 * noise(4, 2), noise(3, 3)])
    sf.write(archive / "gap.wav", wav, RATE, "FLOAT")
    sf.write(archive / "nothing.wav", np.zeros(3 * RATE), RATE)
    path = tmp_path / "a.index"
    assert not update_index(path, tagger, archive, window=1.0).errors
    found = contents(path)
    starts = [start for (start, _), _ in found["gap.wav"]]
    assert not any(3 < start < 6 for start in starts) and len(starts) > 4
    assert found["nothing.wav"] == []
    index = SoundIndex.load(path)
    with pytest.raises(InputError, match="nothing.wav, 0.0-1.0 s is silent"):
        part = FilePiece(archive / "nothing.wav", 0.0, 1.0)
        index.embed(index.load_encoder(tagger), part)


def contents(path):
    """Times and features of spans by file."""
    return {
        name: list(zip(file.times.tolist(), file.rows.tolist()))
        for name, file in SoundIndex.load(path).files.items()
    }


def test_what_is_kept_equals_what_is_fresh(
    tagger, archive, tmp_path, monkeypatch
):
    """Whatever has changed since, also where the archive is; what has not is not
    read again, nor what an interrupted command has read.
    """
    path, seeds = tmp_path / "a.index", itertools.count(20)

    def write(name):
        """Files of one size and time."""
        sf.write(archive / name, noise(2, seed=next(seeds)), RATE)
        os.utime(archive / name, (1, 1))
        return 1

    def exchange():
        (archive / "1.wav").rename(tmp_path / "1.wav")
        (archive / "2.wav").rename(archive / "1.wav")
        (tmp_path / "1.wav").rename(archive / "2.wav")
        return 2

    def remove():
        (archive / "a.wav").unlink()
        return 0

    def move():
        nonlocal archive
        archive = archive.rename(tmp_path / "moved")
        return 0

    def interrupt():
        """In the second of three new files; the first is kept."""
        for name in ("x.wav", "y.wav", "z.wav"):
            write(name)
        seen, read = [], Model.run

        def run(model, outputs, wavs):
            seen.extend(wav for wav in wavs if wav.any())
            if len(seen) > 1:
                raise KeyboardInterrupt
            return read(model, outputs, wavs)

        with monkeypatch.context() as patch:
            patch.setattr(Model, "run", run)
            with pytest.raises(KeyboardInterrupt):
                update_index(path, tagger, archive, num_workers=1)
        return 2

    write("1.wav"), write("2.wav")
    update_index(path, tagger, archive, window=1.0)
    for change in (
        lambda: write("new.wav"),
        lambda: write("1.wav"),
        exchange,
        interrupt,
        move,
        remove,
    ):
        n_new = change()
        (archive / "bad.wav").write_text("no sound", "utf-8")
        found = update_index(path, tagger, archive)
        assert found.added == n_new
        assert found.dropped or change is not remove
        [error] = found.errors
        assert str(archive / "bad.wav") in error
        fresh = tmp_path / "fresh.index"
        fresh.unlink(missing_ok=True)
        update_index(fresh, tagger, archive, window=1.0)
        assert contents(fresh) == contents(path)
    index = SoundIndex.load(path)
    [match] = index.find(index.files["1.wav"].rows[:1], top_k=1)
    assert match.file == str(archive / "1.wav")


def test_an_index_keeps_its_archive_model_and_spans(tagger, archive, tmp_path):
    """A disk that is not mounted is an empty folder."""
    path, other = tmp_path / "a.index", tmp_path / "other"
    update_index(path, tagger, archive, window=1.0, hop=0.5)
    content = path.read_bytes()
    other.mkdir()
    shutil.copy2(archive / "a.wav", other)
    another = AudioTagger.from_pretrained(
        write_model(tmp_path / "b.onnx", sample_rate=RATE, max_samples=5 * RATE)
    )
    for tried, folder, options in (
        (tagger, other, {}),
        (another, archive, {}),
        (tagger, archive, {"hop": 0.25}),
    ):
        with pytest.raises(InputError, match="a.index is the index of"):
            update_index(path, tried, folder, **options)
    with pytest.raises(InputError, match="not the model of the index"):
        SoundIndex.load(path).load_encoder(another)
    shutil.rmtree(archive)
    archive.mkdir()
    with pytest.raises(FileNotFoundError, match="archive"):
        update_index(path, tagger, archive)
    assert path.read_bytes() == content


def test_files_that_are_read_in_part_are_read_again(
    tagger, model, archive, tmp_path, capsys
):
    path, flac = tmp_path / "a.index", archive / "day 1" / "b.flac"
    whole = flac.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    flac.write_bytes(content)
    command = ["index", str(archive), "--model", str(model)]
    command += ["--output", str(path), "--window", "1"]
    for unchanged in (0, 2):
        assert main(command) == 3
        output, errors = capsys.readouterr()
        assert f"{unchanged} unchanged" in output and "1 damaged" in output
        assert f"{flac} is damaged" in errors
    found = SoundIndex.load(path).files
    assert found["a.wav"].damage is None
    damage = found["day 1/b.flac"].damage
    assert 6 < damage.seconds < damage.stated == 7
    assert found["day 1/b.flac"].seconds == pytest.approx(7)
    flac.write_bytes(whole)
    assert main(command) == 0


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
    with pytest.raises(FileNotFoundError, match="no.index"):
        SoundIndex.load(tmp_path / "no.index")


def test_one_span_and_equal_spans_have_a_similarity(tagger, tmp_path):
    """The cosine."""
    archive, path = tmp_path / "archive", tmp_path / "a.index"
    archive.mkdir()
    sf.write(archive / "a.wav", noise(1, seed=1), RATE)
    update_index(path, tagger, archive, window=1.0)
    one = SoundIndex.load(path)
    [row] = one.files["a.wav"].rows.astype(np.float64)
    example = np.arange(len(row)) - 1.0
    expected = row @ example / np.linalg.norm(row) / np.linalg.norm(example)
    [match] = one.find(example)
    assert match.score == pytest.approx(expected, abs=1e-5)
    [match] = one.find(row)
    assert match.score == pytest.approx(1, abs=1e-5)
    assert [match.score for match in one.find(0 * row)] == [0]
    for number in range(12):
        shutil.copy(archive / "a.wav", archive / f"{number}.wav")
    update_index(path, tagger, archive)
    found = SoundIndex.load(path).find(example)
    assert len(found) == 13
    for match in found:
        assert match.score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["../private/x.wav", "/etc/x", "a/../../x", "C:\\x", "..\\x"]
)
def test_an_index_names_no_files_outside_its_folder(
    tagger, archive, tmp_path, name
):
    path = tmp_path / "a.index"
    update_index(path, tagger, archive, window=1.0)
    index = SoundIndex.load(path)
    index.files[name] = index.files.pop("a.wav")
    index.save(path)
    with pytest.raises(InputError, match="not in its folder"):
        SoundIndex.load(path)


def test_an_index_of_another_form_is_named(tagger, archive, tmp_path):
    path = tmp_path / "a.index"
    update_index(path, tagger, archive, window=1.0)
    index = SoundIndex.load(path)
    for change in (
        lambda x: x._replace(times=x.times[:, :1]),
        lambda x: x._replace(times=x.times[1:]),
        lambda x: x._replace(rows=x.rows[..., None]),
    ):
        files = {name: change(file) for name, file in index.files.items()}
        SoundIndex(index.settings, files).save(path)
        with pytest.raises(InputError, match="a.index is damaged"):
            SoundIndex.load(path)


def test_a_stranger_names_no_model(
    tagger, archive, tmp_path, capsys, monkeypatch
):
    """One of the hub is not fetched, and a file is not opened, unasked."""
    path = tmp_path / "a.index"
    update_index(path, tagger, archive, window=1.0, model="stranger/model")

    def load(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr(AudioTagger, "from_pretrained", load)
    example = str(archive / "a.wav")
    assert main(["find", example, "--index", str(path)]) == 1
    assert "stranger/model. If you trust it" in capsys.readouterr().err
    with pytest.raises(AssertionError, match="loaded"):
        main(
            ["find", example, "--index", str(path), "--model", "stranger/model"]
        )


@pytest.fixture
def find(archive, model, tmp_path, capsys):
    """Runs ``find`` in an index of the archive; returns what it prints."""
    index = str(tmp_path / "a.index")
    options = ["--model", str(model), "--output", index, "--window", "1"]
    assert main(["index", str(archive), *options]) == 0
    # Windows begin every 1 s, at one of eight steps, and end with the file
    assert sum(map(len, contents(index).values())) == 5 + 8 + 1
    assert "3 files added" in capsys.readouterr().out

    def find(*arguments, code=0):
        arguments = ["--index", index, "--top-k", "4", *map(str, arguments)]
        arguments += ["--model", str(model)]
        assert main(["find", *arguments]) == code
        return capsys.readouterr()

    return find


def test_matches_in_each_format(archive, find):
    source = archive / "day 1" / "b.flac"
    part = [source, "--start", 3, "--end", 4]
    matches = json.loads(find(*part, "--format", "json").out)
    rows = list(csv.DictReader(io.StringIO(find(*part, "--format", "csv").out)))
    table = [line.split(maxsplit=3) for line in find(*part).out.splitlines()]
    for match, row, line in zip(matches, rows, table, strict=True):
        assert row.pop("file") == line.pop() == match.pop("file")
        expected = pytest.approx(list(match.values()), abs=5.1e-3)
        assert [float(value) for value in row.values()] == expected
        assert [*map(float, line[1:]), float(line[0])] == expected


def test_cut_matches_are_the_samples_of_the_source(archive, find, tmp_path):
    folder = tmp_path / "matches" / "bark"
    options = ["--format", "json", "--cut", folder]
    matches = json.loads(find(archive / "short.wav", *options).out)
    names = sorted(os.listdir(folder))
    assert len(names) == len(matches) == 4
    for name, match in zip(names, matches):
        assert f"{match['start']:.2f}" in name
        whole, rate = sf.read(match["file"], dtype="float32", always_2d=True)
        cut, cut_rate = sf.read(folder / name, dtype="float32")
        assert cut_rate == rate
        first, last = round(match["start"] * rate), round(match["end"] * rate)
        np.testing.assert_array_equal(cut, whole[first:last].mean(1))
    # No file is overwritten
    (folder / names[0]).write_text("mine")
    assert names[0] in find(archive / "short.wav", *options, code=1).err
    assert (folder / names[0]).read_text() == "mine"


def test_changed_files_are_skipped_and_not_cut(
    tagger, archive, tmp_path, caplog
):
    update_index(tmp_path / "a.index", tagger, archive, window=1.0)
    index = SoundIndex.load(tmp_path / "a.index")
    (archive / "a.wav").unlink()
    os.utime(archive / "short.wav", (1, 1))
    examples = index.files["short.wav"].rows[:1]
    found = {os.path.basename(x.file) for x in index.find(examples, 99)}
    assert found == {"b.flac"}
    assert "2 files" in caplog.text and "fftp-tag index" in caplog.text
    next(archive.rglob("b.flac")).unlink()
    with pytest.raises(InputError, match="have changed or are gone.*index"):
        index.find(examples, 99)
    part = FilePiece(str(archive / "short.wav"), 0.0, 0.5)
    with pytest.raises(InputError, match="fftp-tag index"):
        cut_clip(part, index.files["short.wav"].identity, tmp_path / "b.wav")
