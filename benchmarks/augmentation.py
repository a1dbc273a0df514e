"""Compares SpecMask with torchaudio's and SpeechBrain's masks.

A batch of 64 clips of 1000 frames and 128 bins, with the masks of AST's
training: time masks of up to 192 frames, frequency masks of up to 48 bins.
Writes benchmarks/results/augmentation.json.

> python benchmarks/augmentation.py

Authors
 * The speechbrain_fftp authors 2026
"""

import harness
import torch
from torchaudio.transforms import FrequencyMasking, TimeMasking

from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain_fftp.augment.specmask import SpecMask

TIME_MASK, FREQ_MASK = 192, 48
OURS = "SpecMask"
TORCHAUDIO = "torchaudio, TimeMasking + FrequencyMasking, iid_masks"
SPEECHBRAIN = "SpeechBrain, SpectrogramDrop in time + in frequency"


def make_cases(feats):
    """Functions that mask the batch, by name."""
    ours = SpecMask(0.2)
    time, freq = TimeMasking(TIME_MASK, True), FrequencyMasking(FREQ_MASK, True)
    drops = [
        SpectrogramDrop(
            drop_length_low=1,
            drop_length_high=length,
            drop_count_low=1,
            drop_count_high=1,
            replace="zeros",
            dim=dim,
        )
        for length, dim in ((TIME_MASK, 1), (FREQ_MASK, 2))
    ]
    return {
        OURS: lambda: ours(feats),
        # [B, T, F] -> [B, 1, F, T], a shape whose clips get different masks
        TORCHAUDIO: lambda: freq(time(feats.transpose(1, 2).unsqueeze(1))),
        SPEECHBRAIN: lambda: drops[1](drops[0](feats)),
    }


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    torch.manual_seed(0)
    feats = torch.randn(*((4, 100, 128) if args.smoke else (64, 1000, 128)))
    times = harness.compare(make_cases(feats), args.rounds)
    ours, rows = times[OURS]["median"], harness.time_rows(times)
    for row in rows:
        row["this / SpecMask"] = f"{row['seconds']['median'] / ours:.2f}"
    goal = harness.target(
        "SpecMask on 64 clips of 1000 frames, speed relative to SpeechBrain's "
        "SpectrogramDrop",
        1,
        times[SPEECHBRAIN]["median"] / ours,
        reason="it also computes each clip's mean and fits masks to a budget",
    )
    note = f"{list(feats.shape)}, 20 % masked, measured in turns."
    harness.write_results(
        "augmentation",
        harness.environment("cpu", ("torchaudio", "speechbrain")),
        {"Masks": (note, rows), "Targets": ("", [goal])},
    )


if __name__ == "__main__":
    main()
