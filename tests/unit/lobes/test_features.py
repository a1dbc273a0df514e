"""Tests of the filterbanks; tests/for_speechbrain compares them with torchaudio.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import numpy as np
import pytest
import torch
import torchaudio
from torchaudio.compliance import kaldi

from speechbrain_fftp.lobes import features
from speechbrain_fftp.lobes.features import (
    DatasetNormalization,
    KaldiFbank,
    MelDecibels,
)

FLOOR = math.log(torch.finfo(torch.float32).eps)


def random_clips(clips, samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clips, samples, generator=generator)
    tone = torch.sin(torch.arange(samples) * 0.3)
    return 0.05 * noise + 0.3 * tone


def reference(wav, sample_rate=16000, n_mels=128):
    return kaldi.fbank(
        wav[None] - wav.mean(),
        htk_compat=True,
        sample_frequency=sample_rate,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=n_mels,
        dither=0.0,
        frame_shift=10,
    )


@pytest.mark.parametrize("clips, samples", [(40, 8000), (3, 200000)])
def test_blocks_on_a_cpu_equal_the_whole(monkeypatch, clips, samples):
    fbank = KaldiFbank(n_mels=40)
    wavs = random_clips(clips, samples)
    feats = fbank(wavs)
    assert feats.shape == (clips, fbank.num_frames(samples), 40)
    monkeypatch.setattr(features, "CPU_BLOCK_FRAMES", 10**9)
    torch.testing.assert_close(feats, fbank(wavs), rtol=0, atol=1e-4)


def test_gradient_equals_finite_differences():
    fbank = KaldiFbank(8000, n_mels=6, frame_length=16.0).double()
    wavs = random_clips(2, 300).double().requires_grad_()
    assert fbank(wavs).shape == (2, 3, 6)
    assert torch.autograd.gradcheck(fbank, wavs)


@pytest.mark.parametrize("front_end", [KaldiFbank, MelDecibels])
def test_gradient_of_silence_is_zero(front_end):
    wavs = torch.zeros(1, 800, requires_grad=True)
    front_end()(wavs).sum().backward()
    assert torch.equal(wavs.grad, torch.zeros(1, 800))


@pytest.mark.parametrize("front_end", [KaldiFbank, MelDecibels])
def test_autocast_computes_in_float32(front_end):
    fbank = front_end()
    wavs = random_clips(2, 4000)
    expected, rounded = fbank(wavs), fbank(wavs.bfloat16().float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        feats, from_rounded = fbank(wavs), fbank(wavs.bfloat16())
    assert feats.dtype == from_rounded.dtype == torch.float32
    assert torch.equal(feats, expected)
    assert torch.equal(from_rounded, rounded)


@pytest.mark.parametrize("samples", [1, 399])
def test_clip_shorter_than_a_window_is_padded_to_one(samples):
    wav = random_clips(1, samples)[0]
    feats = KaldiFbank()(wav[None])
    assert feats.shape == (1, 1, 128)
    # Padded before, not after, the frame's mean is removed.
    padded = torch.nn.functional.pad(wav, (0, 400 - samples))
    torch.testing.assert_close(feats[0], reference(padded), rtol=0, atol=1e-3)


def test_levels():
    fbank = KaldiFbank()
    silence = fbank(torch.full((1, 1200), 0.25))
    torch.testing.assert_close(silence, torch.full((1, 6, 128), FLOOR))
    wavs = random_clips(1, 8000)
    quiet, loud = fbank(wavs), fbank(10 * wavs)
    assert (quiet[..., 3] == quiet.min()).all()  # this bin holds no FFT bin
    heard = quiet > FLOOR + 1e-3
    assert heard.float().mean() > 0.95
    rise = torch.full_like(loud[heard], math.log(100))
    torch.testing.assert_close(
        loud[heard] - quiet[heard], rise, rtol=0, atol=1e-3
    )


def count_frames(samples, window, shift):
    starts = range(0, max(samples - window, 0) + 1, shift)
    return len(starts)


def test_frame_lens_equal_counted_frames():
    fbank = KaldiFbank()
    total = 2345
    samples = torch.arange(1, total + 1)
    lens = fbank.frame_lens(samples / total, total)
    counted = [count_frames(n, 400, 160) for n in range(1, total + 1)]
    frames = lens * fbank.num_frames(total)
    assert frames.round().int().tolist() == counted
    torch.testing.assert_close(frames, torch.tensor(counted).float())
    # In float32 too, a clip that ends with a window keeps that window.
    for total in [*range(400, 40000, 97), 960_123]:
        samples = torch.arange(400, total + 1, 160)
        lens = fbank.frame_lens(samples / total, total)
        frames = (lens * fbank.num_frames(total)).round().long()
        assert torch.equal(frames, torch.arange(1, len(samples) + 1))
    assert [fbank.num_frames(n) for n in (1, 400, 559, 560)] == [1, 1, 1, 2]


def decibels(wav, sample_rate=16000, top_db=120, **sizes):
    """A clip's levels by torchaudio, ``[T, n_mels]``."""
    transforms = torchaudio.transforms
    mel = transforms.MelSpectrogram(sample_rate, **sizes)(wav)
    return transforms.AmplitudeToDB(top_db=top_db)(mel).T


@pytest.mark.parametrize(
    "sample_rate, n_mels, n_fft, hop, f_min, f_max, samples",
    [
        (16000, 64, 512, 160, 0.0, None, 16000),
        (8000, 20, 256, 80, 50.0, 3500, 129),
        (44100, 40, 1023, 441, 0.0, None, 9999),
    ],
)
def test_decibels_equal_torchaudio(
    sample_rate, n_mels, n_fft, hop, f_min, f_max, samples
):
    wavs = random_clips(2, samples)
    wavs[1, samples // 3 :] = 0.0  # silence, at the floor of the clip
    levels = MelDecibels(sample_rate, n_mels, n_fft, hop, f_min, f_max)(wavs)
    sizes = {"n_mels": n_mels, "n_fft": n_fft, "hop_length": hop}
    for wav, found in zip(wavs, levels):
        expected = decibels(wav, sample_rate, **sizes, f_min=f_min, f_max=f_max)
        torch.testing.assert_close(
            found[: len(expected)], expected, rtol=0, atol=2e-3
        )
        assert len(found) == 1 + samples // hop


@pytest.mark.parametrize("loudest", [1.0, 0.01])
def test_range_of_decibels(loudest):
    """The floor is 40 dB below the loudest bin, or the lowest level."""
    wav = loudest * random_clips(1, 16000)[0]
    wav[4000:8000] = 0.0
    limits = {"top_db": 40.0, "low": -30.0}
    expected = decibels(wav, n_mels=64, n_fft=512, hop_length=160, top_db=40)
    high = expected.max().item() - 5.0
    levels = MelDecibels(**limits, high=high)(wav[None])[0]
    expected = expected.clamp(-30.0, high)
    torch.testing.assert_close(levels, expected, rtol=0, atol=2e-3)
    assert levels.min() == pytest.approx(max(high + 5.0 - 40.0, -30.0))
    assert (levels.min() > -30.0) == (loudest == 1.0)


def test_decibels_of_a_batch_are_those_of_single_clips():
    mel = MelDecibels()
    samples = [16000, 15999, 9123, 480, 257, 256, 100, 1]
    wavs = random_clips(len(samples), 16000)
    wavs[1:3] *= 1e-4  # beside loud clips
    for wav, n in zip(wavs, samples):
        wav[n // 2 : n // 2 + 2000] = 0.0  # the floors differ
    lens = torch.tensor(samples) / 16000
    for padding in (0.0, 0.7):
        for wav, n in zip(wavs, samples):
            wav[n:] = padding
        levels = mel(wavs, lens)
        assert levels.isfinite().all()
        valid = mel.frame_lens(lens, 16000) * levels.shape[1]
        for wav, found, n, frames in zip(wavs, levels, samples, valid.round()):
            alone = mel(wav[None, :n])[0]
            assert len(alone) == frames == 1 + n // 160
            found = found[: len(alone)]
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)
            if n > 256:
                expected = decibels(
                    wav[:n], n_mels=64, n_fft=512, hop_length=160
                )
                torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


def test_gradient_of_decibels_equals_finite_differences():
    mel = MelDecibels(8000, n_mels=4, n_fft=32, hop_length=20).double()
    wavs = random_clips(2, 90).double().requires_grad_()
    lens = torch.tensor([1.0, 0.7], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: mel(x, lens), wavs)


def test_dataset_normalization():
    x = torch.tensor([[[-4.2677393, 0.3012581], [4.8702555, -8.8367367]]])
    norm = DatasetNormalization()
    expected = torch.tensor([[[0.0, 0.5], [1.0, -0.5]]])
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x, torch.tensor([0.5])), expected)
    norm = DatasetNormalization(mean=-6.845978, std=5.5654526)
    torch.testing.assert_close(norm(x), (x + 6.845978) / 11.1309052)


@pytest.mark.parametrize(
    "name", ["chirp_1s", "voice_2s", "word_1s", "cello_2s"]
)
def test_equals_golden_tensors(shared, name):
    golden = np.load(shared / "fixtures" / "fbank" / f"{name}.npz")
    feats = KaldiFbank()(torch.from_numpy(golden["wav"])[None])[0].numpy()
    assert feats.shape == golden["fbank"].shape
    np.testing.assert_allclose(feats, golden["fbank"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "name, clip", [("ced_a", "full"), ("ced_a", "short"), ("ced_b", "short")]
)
def test_decibels_equal_golden_tensors(shared, name, clip):
    golden = np.load(shared / "fixtures" / "ced" / f"{name}_io.npz")
    wav = golden["wav"][slice(*golden[f"{clip}_at"])] / np.float32(32768)
    levels = MelDecibels()(torch.from_numpy(wav)[None])[0].numpy()
    expected = golden[f"{clip}_features"].T
    np.testing.assert_allclose(levels, expected, rtol=0, atol=3e-3)
    assert expected.min() in (levels.min(), pytest.approx(levels.min()))
