"""Compares KaldiFbank with torchaudio's Kaldi filterbanks on a CPU.

32 clips of 10 s, 128 bins. Writes benchmarks/results/front_end.json.

> python benchmarks/front_end.py

Authors
 * The speechbrain_fftp authors 2026
"""

import harness
import torch
from torchaudio.compliance import kaldi

from speechbrain_fftp.lobes.features import KaldiFbank

RATE = 16000
PEER = "torchaudio, clip by clip"
OURS = "KaldiFbank, whole batch"


def by_torchaudio(wavs):
    """Features as the Audio Spectrogram Transformer's authors compute them."""
    feats = [
        kaldi.fbank(
            wav[None] - wav.mean(),
            htk_compat=True,
            sample_frequency=RATE,
            use_energy=False,
            window_type="hanning",
            num_mel_bins=128,
            dither=0.0,
            frame_shift=10,
        )
        for wav in wavs
    ]
    return torch.stack(feats)


@torch.inference_mode()
def measure(args):
    """Returns the rows and the ratio of the target."""
    clips, seconds = (3, 1) if args.smoke else (32, 10)
    torch.manual_seed(0)
    wavs = 0.1 * torch.randn(clips, seconds * RATE)
    fbank = KaldiFbank()
    cases = {
        PEER: lambda: by_torchaudio(wavs),
        OURS: lambda: fbank(wavs),
        "KaldiFbank, clip by clip": lambda: torch.cat(
            [fbank(wav[None]) for wav in wavs]
        ),
    }
    harness.check_same({n: [f()] for n, f in cases.items()}, tolerance=1e-3)
    times = harness.compare(cases, args.rounds)
    rows = harness.time_rows(times)
    for row in rows:
        median = row["seconds"]["median"]
        row["ms per clip"] = f"{1000 * median / clips:.3g}"
        row["torchaudio / this"] = f"{times[PEER]['median'] / median:.2f}"
    return rows, times[PEER]["median"] / times[OURS]["median"]


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    rows, ratio = measure(args)
    goal = harness.target(
        "filterbanks of 32 clips of 10 s on a CPU, speed relative to "
        "torchaudio clip by clip",
        1.5,
        ratio,
        reason="the Fourier transforms alone take half of the time",
    )
    note = "Clips of 10 s, 128 bins, float32, measured in turns."
    harness.write_results(
        "front_end",
        harness.environment("cpu", ("torchaudio",)),
        {"Filterbanks": (note, rows), "Targets": ("", [goal])},
    )


if __name__ == "__main__":
    main()
