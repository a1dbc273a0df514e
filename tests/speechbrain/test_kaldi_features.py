"""Tests of Kaldi's filterbanks.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def random_clips(clips, samples):
    """Noise and a tone."""
    torch.manual_seed(0)
    tone = torch.sin(torch.arange(samples) * 0.3)
    return 0.05 * torch.randn(clips, samples) + 0.3 * tone


@pytest.mark.parametrize(
    "sample_rate, n_mels, samples",
    [(16000, 128, 400), (16000, 128, 16007), (44100, 64, 9999)],
)
def test_equals_torchaudio(device, sample_rate, n_mels, samples):
    from torchaudio.compliance import kaldi

    from speechbrain.lobes.features import KaldiFbank

    wavs = random_clips(2, samples) + 0.1
    compute_features = KaldiFbank(sample_rate, n_mels).to(device)
    feats = compute_features(wavs.to(device)).cpu()
    for wav, feat in zip(wavs, feats):
        expected = kaldi.fbank(
            wav[None] - wav.mean(),
            htk_compat=True,
            sample_frequency=sample_rate,
            use_energy=False,
            num_mel_bins=n_mels,
            window_type="hanning",
            dither=0.0,
        )
        torch.testing.assert_close(feat, expected, rtol=0, atol=1e-3)


def test_a_clip_in_a_padded_batch_is_as_alone(device):
    """Also under autocast, in float32."""
    from speechbrain.lobes.features import KaldiFbank

    compute_features = KaldiFbank().to(device)
    samples = [16000, 15999, 9123, 560, 559, 400, 399, 79, 1]
    wavs = random_clips(len(samples), 16000).to(device)
    for wav, count in zip(wavs, samples):
        wav[count:] = 0.0
    lengths = torch.tensor(samples, device=device) / 16000
    with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
        feats = compute_features(wavs)
    lengths = compute_features.frame_lens(lengths, 16000)
    frames = (lengths * feats.shape[1]).round().long()
    for wav, feat, count, n in zip(wavs, feats, samples, frames):
        alone = compute_features(wav[None, :count])[0]
        assert len(alone) == n
        # On a GPU, the Fourier transform of another batch rounds otherwise
        atol = 1e-4 if device == "cpu" else 1e-3
        torch.testing.assert_close(feat[:n], alone, rtol=0, atol=atol)


def test_lengths_in_float32_are_exact():
    """A clip that ends with a window keeps that window."""
    from speechbrain.lobes.features import KaldiFbank

    compute_features = KaldiFbank()
    for total in [*range(400, 40000, 97), 960_123]:
        samples = torch.arange(400, total + 1, 160)
        lengths = compute_features.frame_lens(samples / total, total)
        frames = (lengths * compute_features.num_frames(total)).round()
        assert torch.equal(frames.long(), torch.arange(1, len(samples) + 1))


@pytest.mark.parametrize("n_frames", [8, 12])
def test_padding_is_that_of_the_original_ast(device, n_frames):
    """Which pads with zeros, or cuts, and then normalises."""
    from speechbrain.lobes.features import DatasetNormalization

    norm = DatasetNormalization(mean=-4.0, std=2.0, pad_frames=10).to(device)
    feats = torch.randn(2, n_frames, 3, device=device)
    found = norm(feats, torch.tensor([1.0, 0.25], device=device))
    assert found.shape == (2, max(n_frames, 10), 3)
    for clip, feat, count in zip(found, feats, (n_frames, n_frames // 4)):
        torch.testing.assert_close(clip[:count], (feat[:count] + 4) / 4)
        assert (clip[count:] == norm.padding).all() and norm.padding == 1
    assert torch.equal(norm(feats)[0], found[0])
