"""Tests of values at limits, of which tools/mutants.py has mutants.

Authors
 * The speechbrain_fftp authors 2026
"""

import io

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from tiny_onnx import RATE

from fftp_tag.audio.decode import MAX_LEVEL, read_audio
from fftp_tag.data.reviewed import Answer, ReviewFolder, read_answers
from fftp_tag.errors import InputError
from fftp_tag.model.session import Model
from fftp_tag.tag.live import LastSamples

ANSWER = Answer(
    "days", "1.wav", 0.0, 1.0, "Low", 0.5, "yes", "Low", "top", "0f1e", ""
)


def wav_file(samples):
    """The content of a WAV file."""
    file = io.BytesIO()
    sf.write(file, samples, RATE, "FLOAT", format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("start, end", [(1.0, 1.0), (2.0, 1.0), (-0.5, 1.0)])
def test_a_reviewed_span_ends_after_its_start(tmp_path, start, end):
    ReviewFolder(tmp_path).add(ANSWER._replace(start=start, end=end))
    with pytest.raises(InputError, match="line 2"):
        read_answers(tmp_path)


def test_a_stream_is_heard_as_soon_as_it_may_be(tmp_path):
    """With the last sample of a hop, not with the one after it."""
    path = tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level=True)
    last = LastSamples(Model(path).info, before=300, hop=100)
    for count, expected in (
        (99, []),
        (1, [100]),
        (100, [200]),
        (250, [300, 400]),
    ):
        pieces = last.push(np.zeros(count, np.float32))
        assert [int(piece.ends[0]) for piece in pieces] == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_the_greatest_level_is_read(sign):
    samples = np.zeros(RATE, np.float32)
    samples[9] = sign * MAX_LEVEL
    assert read_audio(wav_file(samples), RATE)[9] == sign * MAX_LEVEL
    samples[9] = np.nextafter(samples[9], np.float32(sign * np.inf))
    with pytest.raises(InputError, match="full scale"):
        read_audio(wav_file(samples), RATE)


def test_a_file_with_more_than_it_states_is_whole():
    samples = np.linspace(-1, 1, RATE, dtype=np.float32)
    content = wav_file(samples) + bytes(4000)
    np.testing.assert_array_equal(read_audio(content, RATE)[:RATE], samples)
