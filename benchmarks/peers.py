"""Filterbanks of torchaudio, with which ours are compared.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from torchaudio.compliance import kaldi


def by_torchaudio(wavs):
    """Features as the Audio Spectrogram Transformer's authors compute them."""
    feats = [
        kaldi.fbank(
            wav[None] - wav.mean(),
            htk_compat=True,
            sample_frequency=16000,
            use_energy=False,
            window_type="hanning",
            num_mel_bins=128,
            dither=0.0,
            frame_shift=10,
        )
        for wav in wavs
    ]
    return torch.stack(feats)
