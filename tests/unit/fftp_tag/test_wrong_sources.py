"""Tests that wrong audio, arrays and arguments of AudioTagger are named.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from io import BytesIO

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import MAX_LEVEL
from fftp_tag.errors import InputError

RATE = 1000
WAV = sounds(3.0)


def wav_of(samples, rate=RATE):
    """The content of a file."""
    file = BytesIO()
    sf.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def wav_with(value):
    """Of two channels, whose mean may be zero."""
    samples = np.zeros((2000, 2))
    samples[1500] = value, -value
    return wav_of(samples)


@pytest.fixture(scope="module")
def taggers(tmp_path_factory):
    """Of clips, frame-level, and without classes."""
    folder = tmp_path_factory.mktemp("models")
    options = {"clips": {}, "steps": {"is_frame_level": True}}
    options["encoder"] = {"labels": []}
    return {
        name: AudioTagger.from_pretrained(
            write_model(folder / f"{name}.onnx", **options[name])
        )
        for name in options
    }


@pytest.mark.parametrize(
    "content, named",
    [
        (None, "a.wav"),
        (b"no sound", "a.wav is not readable audio"),
        (wav_of(WAV, rate=999), "999"),
        (wav_with(np.nan), "not finite"),
        (wav_with(-1.01 * MAX_LEVEL), "full scale"),
        (b"ffconcat version 1.0\nfile b.wav\n", "a.wav"),  # is not followed
        ("fifo", "not a regular file"),  # opening it would wait for ever
    ],
)
def test_files(taggers, tmp_path, content, named):
    path = tmp_path / "a.wav"
    (tmp_path / "b.wav").write_bytes(wav_of(WAV))
    if content == "fifo":
        os.mkfifo(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises((InputError, FileNotFoundError), match=named):
        taggers["clips"].tag_file(path)


@pytest.mark.parametrize(
    "wav, rate, named",
    [
        (np.zeros((9, 8000)), RATE, "shape"),
        (np.zeros(8000, np.int32), RATE, "type"),
        (np.full(8000, 1000.0), RATE, "full scale"),
        (np.full(8000, np.nan), RATE, "finite"),
        (WAV, 999, "sample_rate"),
        (["a.wav", "b.wav"], None, "for each file"),
    ],
)
def test_arrays(taggers, wav, rate, named):
    with pytest.raises(InputError, match=named):
        taggers["steps"].tag_file(wav, rate)


def stream(tagger, window=None, **rules):
    """A stream with these rules."""
    return tagger.stream(
        rules=tagger.model.rules.replace(**rules), window=window
    )


@pytest.mark.parametrize(
    "model, options, named",
    [
        ("clips", {"window": 2.1}, "window"),
        ("steps", {"window": 2.0}, "frame-level model"),
        ("clips", {"threshold": [0.5, 0.5, 2.0]}, "threshold"),
        ("steps", {"merge_gap": -1.0}, "merge_gap"),
        ("encoder", {}, "encoder.onnx"),
    ],
)
def test_arguments(taggers, model, options, named):
    with pytest.raises(InputError, match=named):
        taggers[model].tag_long(WAV, RATE, **options)
    with pytest.raises(InputError, match=named):
        stream(taggers[model], **options).push(WAV)
