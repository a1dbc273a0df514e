"""Tests of tagging samples in memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference.windows import mono_waveform


def tone(rate=16000, seconds=1.0, channels=1):
    """A tone in each channel, of another pitch and level each, ``[S, C]``."""
    time = np.arange(int(rate * seconds))[:, None] / rate
    number = 1 + np.arange(channels)
    return 0.2 / number * np.sin(2 * np.pi * 440 * number * time)


def assert_same(tags, expected, tolerance=1e-6):
    assert [tag.label for tag in tags] == [tag.label for tag in expected]
    for tag, wanted in zip(tags, expected):
        assert abs(tag.probability - wanted.probability) <= tolerance


@pytest.mark.parametrize(
    "subtype, dtype",
    [
        ("PCM_U8", np.uint8),
        ("PCM_S8", np.int8),
        ("PCM_16", np.int16),
        ("PCM_32", np.int32),
        ("FLOAT", np.float32),
        ("DOUBLE", np.float64),
    ],
)
@pytest.mark.parametrize("rate, channels", [(16000, 1), (44100, 2)])
def test_tags_are_those_of_the_file(
    tagger, tmp_path, subtype, dtype, rate, channels
):
    form = "AIFF" if subtype == "PCM_S8" else "WAV"
    path = tmp_path / "clip"
    sf.write(path, tone(rate, 1.0, channels), rate, subtype, format=form)
    if subtype in ("PCM_U8", "PCM_S8"):  # soundfile reads no bytes
        wav = sf.read(path, dtype="int16", always_2d=True)[0] >> 8
        wav = (wav + 128 * (dtype is np.uint8)).astype(dtype)
    else:
        wav = sf.read(path, dtype=np.dtype(dtype).name, always_2d=True)[0]
    expected = tagger.tag_file(path)
    assert_same(tagger.tag(wav, rate), expected)
    assert_same(tagger.tag(np.asfortranarray(wav), rate), expected)
    assert_same(tagger.tag(wav.T, rate), expected)
    assert_same(tagger.tag(torch.from_numpy(wav), rate), expected)
    assert_same(
        tagger.tag(wav.astype(wav.dtype.newbyteorder()), rate), expected
    )
    if channels == 1:
        assert_same(tagger.tag(wav[:, 0], float(rate)), expected)


def test_a_long_array_is_cut_as_a_file_is(tagger, tmp_path):
    wav = tone(seconds=5.3)[:, 0] * np.linspace(0, 1, 84800)
    sf.write(tmp_path / "a.wav", wav, 16000, "FLOAT")
    expected = tagger.tag_file(tmp_path / "a.wav")
    assert_same(tagger.tag(wav, 16000), expected)
    best = tagger.tag_batch(torch.from_numpy(wav).float())
    assert abs(expected[0].probability - best.max()) > 1e-4  # not in one piece
    assert (
        tagger.tag(wav, 16000, top_k=2, threshold=2e-2)
        == [tag for tag in tagger.tag(wav, 16000) if tag.probability >= 2e-2][
            :2
        ]
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_tensors_of_any_width_and_with_gradients(tagger, dtype):
    wav = torch.from_numpy(tone()[:, 0]).to(getattr(torch, dtype))
    expected = tagger.tag_batch(wav.float())[0].max().item()
    before = wav.clone()
    tags = tagger.tag(wav.requires_grad_(), 16000)
    assert abs(tags[0].probability - expected) < 1e-6
    assert torch.equal(wav, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_the_gpu(tagger):
    wav = torch.from_numpy(tone()[:, 0])
    assert_same(tagger.tag(wav.cuda(), 16000), tagger.tag(wav, 16000))


def test_channels_are_averaged_and_the_input_is_kept(tagger):
    wav = tone(channels=8).astype(np.float32)
    kept = wav.copy()
    wav.flags.writeable = False
    mono = mono_waveform(wav, 16000, 16000)
    np.testing.assert_allclose(mono, kept.mean(1), atol=1e-7)
    assert_same(tagger.tag(wav, 16000), tagger.tag(kept.mean(1), 16000))
    np.testing.assert_array_equal(wav, kept)


def with_sample(value, dtype=np.float64):
    wav = np.zeros(16000, dtype)
    wav[5] = value
    return wav


@pytest.mark.parametrize(
    "wav, rate, message",
    [
        (np.zeros((9, 16000)), 16000, r"shape \(9, 16000\).*wav\[0\]"),
        (np.zeros((8, 8)), 16000, r"shape \(8, 8\)"),
        (np.zeros((2, 1, 16000)), 16000, r"shape \(2, 1, 16000\).*tag_batch"),
        (np.array(0.5), 16000, r"shape \(\)"),
        (np.zeros(0), 16000, "empty"),
        (np.zeros((0, 2)), 16000, r"empty.*\(0, 2\)"),
        (np.zeros(399), 16000, "25 ms: 399 samples"),
        (np.zeros((399, 2)), 16000, "25 ms: 399 samples"),
        (np.zeros(16000, bool), 16000, "type bool"),
        (np.zeros(16000, complex), 16000, "type complex128"),
        (np.zeros(16000, np.int64), 16000, "type int64"),
        (np.zeros(16000, np.uint16), 16000, "type uint16"),
        (np.zeros(16000, object), 16000, "type object"),
        (np.full(16000, "a"), 16000, "type <U1"),
        (torch.zeros(16000, dtype=torch.complex64), 16000, "type complex64"),
        ([0.0] * 16000, 16000, "array or a tensor, not a list"),
        ("clip.wav", 16000, "not a str; tag_file"),
        (with_sample(np.nan), 16000, "not finite"),
        (with_sample(-np.inf), 16000, "not finite"),
        (with_sample(np.nan, np.float16), 16000, "not finite"),
        (with_sample(-101.0), 16000, "up to 101, .* divide"),
        (with_sample(1e300), 16000, r"up to 1e\+300"),
        (torch.full((16000,), 3e38), 16000, r"up to 3e\+38"),
        (np.zeros(16000), 0, "sample_rate=0 must be"),
        (np.zeros(16000), -16000, "sample_rate=-16000 must be"),
        (np.zeros(16000), 1e6, "sample_rate=1000000.0 .*768000"),
        (np.zeros(16000), float("nan"), "sample_rate=nan"),
        (np.zeros(16000), "16000", "sample_rate='16000'"),
        (np.zeros(16000), None, "sample_rate=None"),
    ],
)
def test_what_is_no_clip_is_an_error(tagger, wav, rate, message):
    with pytest.raises(ValueError, match=message) as error:
        tagger.tag(wav, rate)
    assert "\n" not in str(error.value)


def test_arrays_are_no_files(tagger):
    for wav in (np.zeros(16000), torch.zeros(16000)):
        with pytest.raises(ValueError, match="no sampling rate: use tag"):
            tagger.tag_file(wav)


def test_levels_up_to_the_limit_are_tagged(tagger):
    assert tagger.tag(with_sample(100.0), np.int32(16000))


def test_content_and_file_objects_are_tagged_as_the_file(tagger, tmp_path):
    path = tmp_path / "clip.flac"
    sf.write(path, tone(44100, 4.0, 2), 44100)
    content = path.read_bytes()
    assert tagger.tag_file(content) == tagger.tag_file(path)
    assert torch.equal(tagger.embed_file(content), tagger.embed_file(path))
    with open(path, "rb") as file:
        events = tagger.tag_long(file, window=0.5, threshold=0.1)
    assert events == tagger.tag_long(path, window=0.5, threshold=0.1)
    found = tagger.analyze(content).clip_probs
    assert torch.equal(found, tagger.analyze(path).clip_probs)
    for method in ("tag_file", "embed_file", "timeline", "tag_long", "analyze"):
        with pytest.raises(ValueError, match="the audio is not readable"):
            getattr(tagger, method)(b"no audio")


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_batches_are_of_floating_point_numbers(tagger, dtype):
    """Integers have another full scale, which ``tag`` knows."""
    wavs = torch.ones(2, 16000, dtype=dtype)
    for call in (tagger.tag_batch, tagger.encode_batch):
        with pytest.raises(ValueError, match=f"full scale 1, not {dtype}"):
            call(wavs)
