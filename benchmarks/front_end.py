"""Kaldi filterbanks of a batch of clips, next to torchaudio's.

32 clips of 10 s, 128 bins. Writes benchmarks/results/front_end.json and .md, or
front_end_gpu with --device cuda.

> python benchmarks/front_end.py
> python benchmarks/front_end.py --device cuda

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from harness import (
    add_row,
    check_same,
    compare,
    environment,
    milliseconds,
    read_options,
    target,
    write_results,
)
from torchaudio.compliance import kaldi

from speechbrain_fftp.lobes.features import KaldiFbank

RATE = 16000
GOALS = {"cpu": 1.5, "cuda": 20}
PEER = "torchaudio, clip by clip"
OURS = "KaldiFbank, whole batch"


def by_torchaudio(wavs):
    """What the Audio Spectrogram Transformer's authors call, per clip."""
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
    """Rows and the ratio of the target."""
    clips, seconds = (3, 1) if args.smoke else (32, 10)
    torch.manual_seed(0)
    wavs = (0.1 * torch.randn(clips, seconds * RATE)).to(args.device)
    fbank = KaldiFbank().to(args.device)
    cases = {
        PEER: lambda: by_torchaudio(wavs),
        OURS: lambda: fbank(wavs),
        "KaldiFbank, clip by clip": lambda: torch.cat(
            [fbank(wav[None]) for wav in wavs]
        ),
    }
    check_same({n: [f()] for n, f in cases.items()}, tolerance=1e-3)
    times, rows = compare(cases, args.rounds), []
    for name, time in times.items():
        ratio = times[PEER]["median"] / time["median"]
        row = {"by": name, "ms": milliseconds(time)}
        row["ms per clip"] = f"{1000 * time['median'] / clips:.3g}"
        row["torchaudio / this"] = f"{ratio:.2f}"
        row["seconds"] = time
        add_row(rows, row)
    return rows, times[PEER]["median"] / times[OURS]["median"]


def main():
    """Runs what the command line asks for."""
    args = read_options(__doc__, rounds=20, device="cpu")
    there = args.device == "cpu" or torch.cuda.is_available()
    about = environment(args.device if there else "cpu", ("torchaudio",))
    name = "front_end" if args.device == "cpu" else "front_end_gpu"
    rows, ratio = [{"result": "not yet measured"}], None
    if there:
        rows, ratio = measure(args)
    where = "a CPU" if args.device == "cpu" else "the same GPU"
    goal = target(
        f"32 clips of 10 s to filterbanks on {where}, against torchaudio clip "
        "by clip",
        GOALS[args.device],
        ratio,
        reason="the Fourier transforms alone take half of the time",
    )
    note = "Clips of 10 s, 128 bins, float32, in turns. " + args.note
    sections = {
        "Filterbanks": {"note": note, "environment": about, "rows": rows},
        "Targets": {"note": "", "environment": about, "rows": [goal]},
    }
    write_results(name, sections)


if __name__ == "__main__":
    main()
