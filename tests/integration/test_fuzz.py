"""Tests with hostile data: lists, parquet shards, audio and whole folders.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import itertools
import math
import os
import struct
import time

import numpy as np
import pytest
import soundfile as sf
from fuzzing import MIB, damaged, fuzz, peak_bytes, refused, sizes
from hypothesis import strategies as st

from speechbrain_fftp.dataio.audio import MAX_FRAMES, read_audio
from speechbrain_fftp.datasets.audioset.lists import (
    read_class_list,
    read_segments,
)
from speechbrain_fftp.datasets.audioset.shard_reader import (
    iter_parquet_audio,
    read_parquet_segments,
)
from speechbrain_fftp.datasets.convert import encode_clip

SEGMENTS = b'# YTID\n-a, 0.000, 10.000, "/m/1,/m/2"\r\nb, 30, 40.5, "/m/1"\n'
CLASSES = b'index,mid,display_name\n0,/m/1,"Bark, dog"\r\n1,/m/2,Siren\n'
TOKENS = [b'"', b",", b"\n", b"\r", b"\0", b"#", b"\xff", b"\xef\xbb\xbf"]
TOKENS += [b"1", b"/m/1", b"a, 0, 10, ", b"index,mid,display_name\n", b"x,y,"]
TOKENS += [b"a" * 140000, b"nan", b"1e400", "é\u2028".encode(), b"'", b"\xed"]


def tables(valid):
    """A strategy: any bytes, pieces of a table, or a damaged table."""
    numbers = st.lists(st.integers(0, len(TOKENS) - 1), max_size=30)
    pieces = numbers.map(lambda some: b"".join(TOKENS[n] for n in some))
    return st.binary(max_size=99) | pieces | damaged([valid])


@sizes(1000, 20000)
def test_segment_lists(tmp_path, examples):
    path = tmp_path / "eval_segments.csv"

    def check(content):
        path.write_bytes(content)
        with refused(path):
            for segment in read_segments(path):
                assert 0 <= segment.start < segment.end < math.inf
                assert len(set(segment.mids)) == len(segment.mids)
                assert all(m and m == m.strip() for m in segment.mids)

    fuzz(check, tables(SEGMENTS), examples, tmp_path)


@sizes(1000, 20000)
def test_class_lists(tmp_path, examples):
    path = tmp_path / "class_labels_indices.csv"

    def check(content):
        path.write_bytes(content)
        with refused(path):
            classes = read_class_list(path)
            names = list(classes.values())
            assert classes and all(classes) and all(names)
            assert len(set(names)) == len(names)

    fuzz(check, tables(CLASSES), examples, tmp_path)


def test_text_that_is_no_list(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(SEGMENTS + b"\xff")
    with pytest.raises(ValueError, match="list.csv is not a CSV file in UTF-8"):
        read_segments(path)
    path.write_bytes(CLASSES + b'2,/m/3,"' + b"a" * 140000)
    with pytest.raises(ValueError, match="list.csv is not a CSV.*field limit"):
        read_class_list(path)
    path.write_bytes(SEGMENTS + b"a" * 10**7)
    with pytest.raises(ValueError, match="list.csv, line 4: ") as error:
        read_segments(path)
    assert len(str(error.value)) < 300
    path.write_bytes(b"a, 0, 1e300, /m/1")
    with pytest.raises(ValueError, match="list.csv, line 1: "):
        read_segments(path)


def test_work_for_a_class_list_grows_with_its_length(tmp_path):
    """With eight times the classes, a search of each takes 64 times as long."""
    path, seconds = tmp_path / "classes.csv", []
    for number in (5000, 40000):
        rows = [f"{i},/m/{i},name {i}\n" for i in range(number)]
        path.write_text("index,mid,display_name\n" + "".join(rows), "utf-8")
        start = time.process_time()
        assert len(read_class_list(path)) == number
        seconds.append(time.process_time() - start)
    assert seconds[1] < 30 * seconds[0]


def parquet(rows, **options):
    """Content of a shard."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, **options)
    return file.getvalue()


def read_shard(path):
    """All that is read of a shard."""
    segments = read_parquet_segments([path])
    return segments, list(iter_parquet_audio([path], [s.id for s in segments]))


@sizes(1500, 20000)
def test_damaged_parquet(tmp_path, examples):
    path = str(tmp_path / "eval.parquet")
    rows = [
        {
            "video_id": f"é{i}",
            "audio": {"bytes": b"fLaC" * i, "path": "a.flac"},
            "labels": ["/m/1", f"/m/{i}"],
        }
        for i in range(20)
    ]
    contents = [
        parquet(rows, row_group_size=6),
        parquet(rows, use_dictionary=False, compression=None),
    ]

    def check(content):
        with open(path, "wb") as file:
            file.write(content)
        with refused(path):
            segments, audio = read_shard(path)
            for segment in segments:
                assert isinstance(segment.id, str)
                assert all(isinstance(mid, str) for mid in segment.mids)
            for clip_id, content in audio:
                assert isinstance(clip_id, str)
                assert isinstance(content, (bytes, type(None)))

    fuzz(check, damaged(contents), examples, tmp_path)


@pytest.mark.parametrize(
    "column, value",
    [
        ("labels", [1, 2]),
        ("labels", "/m/1"),
        ("labels", None),
        ("labels", [["/m/1"]]),
        ("video_id", 5),
        ("video_id", ["a"]),
        ("video_id", b"a"),
        ("audio", None),
        ("audio", b"fLaC"),
        ("audio", {"path": "a.flac"}),
        ("audio", {"bytes": "fLaC"}),
        ("audio", [{"bytes": b"fLaC"}]),
    ],
)
def test_columns_of_other_types(tmp_path, column, value):
    path = tmp_path / "eval.parquet"
    row = {"video_id": "a", "audio": {"bytes": b""}, "labels": ["/m/1"]}
    path.write_bytes(parquet([row]))
    assert read_shard(path)[1] == [("a", b"")]
    path.write_bytes(parquet([{**row, column: value}]))
    message = f"eval.parquet has no column '{column}.* it has .*{column}"
    with pytest.raises(ValueError, match=message):
        read_shard(path)


def test_missing_ids_and_special_files(tmp_path):
    path = tmp_path / "eval.parquet"
    rows = [
        {"video_id": i, "audio": {"bytes": b"x"}, "labels": [None, "/m/1"]}
        for i in (None, "a")
    ]
    path.write_bytes(parquet(rows))
    assert [s[::3] for s in read_shard(path)[0]] == [
        ("", ("/m/1",)),
        ("a", ("/m/1",)),
    ]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="eval.parquet is not a regular file"):
        read_shard(path)


def encoded(format, subtype=None, rate=16000):
    """Content of a short file in an audio format."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3000)
    sf.write(file, noise, rate, format=format, subtype=subtype)
    return file.getvalue()


FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64")


@sizes(1500, 20000)
@pytest.mark.filterwarnings("ignore:Exception ignored from cffi")
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_damaged_audio(tmp_path, examples, capfd):
    source = str(tmp_path / "a.wav")
    numbers = itertools.count()

    def check(content):
        with open(source, "wb") as file:
            file.write(content)
        in_memory = next(numbers) % 2
        try:
            flac, duration, _ = encode_clip(
                content if in_memory else source, max_seconds=1.0
            )
        except ValueError as error:
            assert type(error) is ValueError and len(str(error)) > 9
        else:
            info = sf.info(io.BytesIO(flac))
            assert (info.samplerate, info.channels) == (16000, 1)
            assert info.frames == round(duration * 16000) <= 16000

    contents = [encoded(name) for name in FORMATS]
    contents += [encoded("OGG", "OPUS"), encoded("WAV", "FLOAT", 48000)]
    fuzz(check, damaged(contents), examples, tmp_path)
    capfd.readouterr()  # the decoders' own notes


def wav(rate, channels=1, claimed=1000, content=bytes(1000)):
    """A WAV file whose header says anything."""
    frame = 2 * channels % 2**16
    rate_and_bytes = rate % 2**32, rate * frame % 2**32
    form = struct.pack("<HHIIHH", 1, channels, *rate_and_bytes, frame, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", claimed % 2**32) + content
    return b"RIFF" + struct.pack("<I", (36 + claimed) % 2**32) + chunks


def flac(rate, channels, total):
    """A FLAC file whose header claims what it does not hold."""
    content = bytearray(encoded("FLAC"))
    fields = rate << 44 | channels - 1 << 41 | 15 << 36 | total
    content[18:26] = fields.to_bytes(8, "big")
    return bytes(content)


@pytest.mark.parametrize("rate", [0, 1, 999, 768001, 2**31 - 1, -1, -(2**31)])
def test_impossible_sampling_rates(tmp_path, rate):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(rate))
    for source in (str(path), path.read_bytes()):
        with pytest.raises(ValueError, match="sampling rate of|unreadable"):
            read_audio(source)
        assert peak_bytes(read_audio, source) < MIB


@pytest.mark.parametrize(
    "content",
    [
        wav(16000, claimed=-1),
        wav(768000, channels=1024, claimed=2**31),
        wav(1000, channels=65535),
        flac(655350, 8, 2**36 - 1),
        flac(655350, 8, 10 * 655350),
        flac(16000, 1, 2**36 - 1),
        b".snd"
        + struct.pack(">5I", 24, 2**32 - 1, 3, 768000, 1024)
        + b"a" * 99,
    ],
)
def test_memory_does_not_follow_the_header(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for source in (str(path), content):
        assert peak_bytes(read_audio, source) < 20 * MIB
        assert peak_bytes(read_audio, source, 10.0) < 20 * MIB


def test_endless_silence_is_cut_or_refused(tmp_path, monkeypatch):
    """An hour of silence, 1.5 MB as FLAC and 230 MB when it is read."""
    path = str(tmp_path / "a.flac")
    with sf.SoundFile(path, "w", 16000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 16000, np.float32))
    assert peak_bytes(read_audio, path, 10.0) < 20 * MIB
    monkeypatch.setattr(
        "speechbrain_fftp.dataio.audio.MAX_FRAMES", MAX_FRAMES // 100
    )
    assert peak_bytes(read_audio, path) < 60 * MIB
    with pytest.raises(ValueError, match="longer than 5368709 samples: cut"):
        read_audio(path)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_mean_that_is_not_finite(tmp_path):
    path = str(tmp_path / "a.wav")
    sf.write(path, np.full((1000, 2), 3e38), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match="samples beyond full scale: up to 3e"):
        read_audio(path)


def test_special_files_are_no_audio(tmp_path):
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    for source in (path, tmp_path, "/dev/zero", tmp_path / "none.wav"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_audio(str(source))
