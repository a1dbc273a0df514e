"""Tests of decoding with ffmpeg, with the real program and with fake ones.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio import ffmpeg as decoding
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.datasets.convert import convert_clips

RATE = 48000
M4A = b"\0\0\0\x1cftypM4A \0\0\2\0M4A isom"
HEADS = {
    "mov": [M4A, b"\0\0\0\x08wide", b"\0\0\1\0moov"],
    "matroska": [b"\x1aE\xdf\xa3\x9fB\x86\x81\x01"],
    "aac": [
        b"\xff\xf1\x50\x80",
        b"ID3\4\0\0\0\0\1\1" + bytes(129) + b"\xff\xf9",
    ],
    "asf": [b"0&\xb2u\x8ef\xcf\x11\xa6\xd9"],
}


def sounds(channels=1, seconds=1.0):
    """Noise that lossy codecs keep, different in each channel."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((round(seconds * RATE), channels))
    kernel = np.hanning(101) / 10
    smooth = [np.convolve(x, kernel, "same") for x in noise.T]
    return np.stack(smooth, axis=1) * (0.1 + 0.1 * np.arange(channels))


def streams(path):
    """The ways to pass a file: path, content, and file objects."""

    class Pipe(io.RawIOBase):
        """Can neither be rewound nor say its size."""

        def __init__(self):
            self.inner = open(path, "rb")

        def readinto(self, buffer):
            return self.inner.readinto(buffer)

        def readable(self):
            return True

    content = Path(path).read_bytes()
    at_its_end = io.BytesIO(content)
    at_its_end.read()
    return [
        str(path),
        Path(path),
        content,
        at_its_end,
        open(path, "rb"),
        Pipe(),
    ]


@pytest.fixture
def private(tmp_path, monkeypatch):
    """Where temporary files go; it must be empty afterwards."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not os.listdir(folder)


@pytest.fixture
def fake(tmp_path, monkeypatch, private):
    """Puts a shell script on the PATH as ffmpeg; ``$out`` is its output."""

    def install(script):
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir(exist_ok=True)
        head = f"#!/bin/sh\necho \"$@\" > '{tmp_path}/arguments'\n"
        path.write_text(
            f'{head}for out; do :; done\ncd "{tmp_path}"\n{script}\n'
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return install


@pytest.mark.parametrize("name, codec", [("a.m4a", "alac"), ("a.mkv", "flac")])
def test_lossless_audio_is_what_soundfile_reads(
    ffmpeg_encode, tmp_path, private, name, codec
):
    path = ffmpeg_encode(tmp_path / name, sounds(2), RATE, "-c:a", codec)
    wav = tmp_path / (name + ".wav")
    expected, rate = read_audio(str(wav))
    assert len(expected) == RATE and np.abs(expected).max() > 0.1
    for source in streams(path):
        samples, found = read_audio(source)
        np.testing.assert_array_equal(samples, expected)
        assert found == rate


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.m4a", ["-c:a", "aac"]),
        ("a.aac", ["-c:a", "aac"]),
        ("a.wma", ["-c:a", "wmav2"]),
        ("a.webm", ["-c:a", "libopus"]),
    ],
)
def test_lossy_audio_correlates(ffmpeg_encode, tmp_path, name, options):
    path = ffmpeg_encode(tmp_path / name, sounds(), RATE, *options)
    expected, _ = sf.read(tmp_path / (name + ".wav"))
    samples, rate = read_audio(str(path))
    assert rate == RATE
    assert abs(len(samples) / RATE - 1) < 0.1
    size = 2 * RATE  # for correlation at any delay of the codec
    spectra = np.fft.rfft(samples, size), np.fft.rfft(expected, size)
    product = np.fft.irfft(spectra[0] * spectra[1].conj()).max()
    norms = np.linalg.norm(samples) * np.linalg.norm(expected)
    assert product / norms > 0.95


def test_the_first_of_several_streams(ffmpeg_encode, ffmpeg, tmp_path):
    first, second = 0.5 * np.ones(8000), np.zeros((8000, 2))
    first = ffmpeg_encode(tmp_path / "a.mkv", first, 8000, "-c:a", "flac")
    second = ffmpeg_encode(tmp_path / "b.mkv", second, 8000, "-c:a", "flac")
    video = ["-f", "lavfi", "-i", "color=red:size=16x16:duration=1"]
    ffmpeg(
        *video,
        *("-i", first, "-i", second),
        *("-map", "0", "-map", "1", "-map", "2"),
        *("-c:a", "copy", "-c:v", "mpeg4"),
        tmp_path / "all.mkv",
    )
    assert set(read_audio(str(tmp_path / "all.mkv"))[0]) == {0.5}
    ffmpeg(*video, "-c:v", "mpeg4", tmp_path / "silent.mp4")
    with pytest.raises(ValueError, match="ffmpeg"):
        read_audio(str(tmp_path / "silent.mp4"))


def test_silence_where_there_is_no_audio(ffmpeg_encode, ffmpeg, tmp_path):
    """A late start, as of a video, and a gap, as of a call: times hold."""
    samples = sounds(seconds=4.0)[:, 0]
    path = ffmpeg_encode(tmp_path / "a.mkv", samples, RATE, "-c:a", "flac")
    ffmpeg(
        *("-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=6"),
        *("-itsoffset", 1.5, "-i", path),
        *("-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", "flac"),
        tmp_path / "b.mkv",
    )
    found, *_ = read_audio(tmp_path / "b.mkv")
    assert len(found) == pytest.approx(5.5 * RATE, abs=0.02 * RATE)
    assert not found[: round(1.45 * RATE)].any()
    np.testing.assert_allclose(found[-len(samples) :], samples, atol=2 / 2**15)
    without_two_seconds = "aselect='lt(t,1)+gt(t,3)'"
    ffmpeg(
        *("-i", path, "-af", without_two_seconds, "-c:a", "flac"),
        tmp_path / "c.mkv",
    )
    found, *_ = read_audio(tmp_path / "c.mkv")
    assert len(found) == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert not found[round(1.2 * RATE) : round(2.8 * RATE)].any()
    end = round(0.8 * RATE)
    np.testing.assert_allclose(found[-end:], samples[-end:], atol=2 / 2**15)


def test_truncated_containers(ffmpeg_encode, tmp_path, private):
    samples = sounds(seconds=3)
    path = ffmpeg_encode(tmp_path / "a.mkv", samples, RATE, "-c:a", "flac")
    content = path.read_bytes()
    cut = content[: len(content) // 2]
    with pytest.raises(ValueError, match="truncated"):
        read_audio(cut)
    found, _ = read_audio(cut, max_seconds=0.1)
    expected, _ = read_audio(content, max_seconds=0.1)
    np.testing.assert_array_equal(found, expected)
    assert len(found) == 4800
    path = ffmpeg_encode(tmp_path / "a.m4a", samples, RATE, "-c:a", "aac")
    cut = path.read_bytes()[:20000]  # the index, at the end, is missing
    with pytest.raises(ValueError, match="ffmpeg"):
        read_audio(cut)


def test_damaged_containers_are_errors_or_audio(
    ffmpeg_encode, tmp_path, private
):
    path = ffmpeg_encode(tmp_path / "a.m4a", sounds(), RATE, "-c:a", "aac")
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(10):
        damaged = bytearray(content)
        for place in rng.integers(12, len(content), 30):
            damaged[place] = rng.integers(256)
        try:
            samples, *_ = read_audio(bytes(damaged))
            assert np.isfinite(samples).all()
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 300


def test_each_container_has_its_demuxer_and_limits(
    fake, tmp_path, private, monkeypatch
):
    fake('stat -c %a "$(dirname "$out")" > mode; cp wav "$out"')
    sf.write(tmp_path / "wav", np.full(800, 0.5), 8000, format="WAV")
    for demuxer, heads in HEADS.items():
        for head in heads:
            assert len(read_audio(head + bytes(99))[0]) == 800
            arguments = (tmp_path / "arguments").read_text()
            for part in (
                "-nostdin",
                "-protocol_whitelist file ",
                f"-f {demuxer} -i file:{private}/",
                "-map 0:a:0",
            ):
                assert part in arguments
            assert (tmp_path / "mode").read_text() == "700\n"
    read_audio(M4A, max_seconds=0.05)
    assert "-t 1.05 " in (tmp_path / "arguments").read_text()
    (tmp_path / "-a b.wav").write_bytes(M4A)  # whatever its name is
    monkeypatch.chdir(tmp_path)
    read_audio("-a b.wav")
    arguments = (tmp_path / "arguments").read_text()
    assert f"-i file:{tmp_path}/-a b.wav " in arguments


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"ID3\4\0\0\0\0\0\0#EXTM3U\n",
    ],
)
def test_playlists_are_not_passed_to_ffmpeg(fake, tmp_path, content):
    fake("touch called")
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    for source in (str(path), content):
        with pytest.raises(ValueError, match="unreadable"):
            read_audio(source)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "head -c 99999 /dev/zero >&2; exit 1",
        'echo garbage > "$out"',
        'cp wav "$out"; kill -9 $$',
        "exec sleep 60",
        'cp long "$out"',
        'cp large "$out"',
    ],
)
def test_faults_of_ffmpeg(fake, tmp_path, monkeypatch, script):
    fake(script)
    monkeypatch.setattr(decoding, "TIMEOUT", 0.5)
    monkeypatch.setattr(decoding, "MAX_SECONDS", 60)
    monkeypatch.setattr(decoding, "MAX_BYTES", 2**20)
    sf.write(tmp_path / "wav", np.zeros(800), 8000, format="WAV")
    sf.write(tmp_path / "long", np.zeros(61000), 1000, format="WAV")
    sf.write(tmp_path / "large", np.zeros(2**19), 48000, format="WAV")
    for source in streams_of(tmp_path):
        with pytest.raises(ValueError) as error:
            read_audio(source)
        assert "\n" not in str(error.value) and len(str(error.value)) < 250


def streams_of(folder):
    """A path and the content of a file that needs ffmpeg."""
    (folder / "a.m4a").write_bytes(M4A)
    return str(folder / "a.m4a"), M4A


def test_without_ffmpeg(tmp_path, private, monkeypatch):
    monkeypatch.setenv("PATH", str(private))
    for source in streams_of(tmp_path):
        with pytest.raises(ValueError, match="ffmpeg"):
            read_audio(source)
    sf.write(tmp_path / "a.wav", np.zeros(800), 8000)
    audio = [("a", str(tmp_path / "a.wav")), ("b", str(tmp_path / "a.m4a"))]
    clips = {"a": (10.0, 0.0), "b": (10.0, 0.0)}
    converted, failed = convert_clips(
        clips, lambda ids: audio, str(tmp_path), 16000, num_workers=1
    )
    assert converted == {"a": 0.1}
    assert list(failed) == ["b"] and "ffmpeg" in failed["b"]
