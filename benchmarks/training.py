"""Compares a training step and its parts with those of other libraries, on a CPU.

* Forward and backward pass of AST-base on eight clips of 10 s: 1,212 square
  patches in transformers, and 196 full-frequency patches (25 frames every 5)
  here;
* filterbanks of 32 clips of 10 s, 128 bins: KaldiFbank, and torchaudio's Kaldi
  filterbanks, clip by clip; they must be equal;
* masks of 64 clips of 1000 frames and 128 bins: SpecMask of 20 %, and SpeechBrain's
  SpectrogramDrop of up to 192 frames and up to 48 bins.

Takes some minutes.

> python benchmarks/training.py

Authors
 * The speechbrain_fftp authors 2026
"""

import harness
import torch
from harness import by_torchaudio
from random_models import CLASSES, RATE, make_ast, make_transformers_ast
from torch.nn.functional import binary_cross_entropy_with_logits

from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.lobes.features import KaldiFbank

SQUARE = "step, 8 clips, AST-base, 1212 square patches, transformers"
FFTP = "step, 8 clips, AST-base, 196 FFTP patches"
TORCHAUDIO = "filterbanks of 32 clips, torchaudio, clip by clip"
FBANK = "filterbanks of 32 clips, KaldiFbank"
DROP = "masks of 64 clips, SpectrogramDrop in time and frequency"
MASK = "masks of 64 clips, SpecMask"
AGAINST = {FFTP: SQUARE, FBANK: TORCHAUDIO, MASK: DROP}


def step_of(model, feats, targets):
    """Makes a function that computes the gradients of a model's weights."""

    def step():
        """Forward and backward pass."""
        model.zero_grad(set_to_none=True)
        logits = model(feats)
        logits = getattr(logits, "logits", logits)
        binary_cross_entropy_with_logits(logits, targets).backward()

    return step


def drop_of(length, dim):
    """SpeechBrain's masks of one dimension."""
    return SpectrogramDrop(
        drop_length_low=1,
        drop_length_high=length,
        drop_count_low=1,
        drop_count_high=1,
        replace="zeros",
        dim=dim,
    )


def make_parts(smoke):
    """Functions of the front end and of masks, by name."""
    wavs = 0.1 * torch.randn(3 if smoke else 32, (1 if smoke else 10) * RATE)
    feats = torch.randn(4 if smoke else 64, 1000, 128)
    fbank, mask = KaldiFbank(), SpecMask(0.2)
    drop_time, drop_bins = drop_of(192, 1), drop_of(48, 2)
    torch.testing.assert_close(
        fbank(wavs), by_torchaudio(wavs), rtol=0, atol=5e-3
    )
    return {
        TORCHAUDIO: lambda: by_torchaudio(wavs),
        FBANK: lambda: fbank(wavs),
        DROP: lambda: drop_bins(drop_time(feats)),
        MASK: lambda: mask(feats),
    }


def make_steps(smoke):
    """Training steps by name."""
    size, batch = ("smoke", 1) if smoke else ("base", 8)
    encoder = make_ast(size, (25, 5))
    classifier = torch.nn.Linear(encoder.embed_dim, CLASSES)
    ours = torch.nn.Sequential(encoder, torch.nn.Flatten(), classifier)
    peer = make_transformers_ast(size).train()
    targets = torch.randint(2, (batch, CLASSES)).float()
    return {
        SQUARE: step_of(peer, torch.randn(batch, 1024, 128), targets),
        FFTP: step_of(ours, torch.randn(batch, 1000, 128), targets),
    }


def main():
    """Measures and stores the results."""
    args = harness.read_options(__doc__)
    torch.manual_seed(0)
    with torch.no_grad():
        rows = harness.compare(make_parts(args.smoke), args)
    args.rounds = min(args.rounds, 3)  # of steps that take a minute
    rows.update(harness.compare(make_steps(args.smoke), args))
    packages = ("torchaudio", "transformers", "speechbrain")
    harness.Results(args, "training", AGAINST, packages).add(rows)


if __name__ == "__main__":
    main()
