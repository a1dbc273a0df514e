"""Whether training waits for its data: clips per second of each part.

Generated clips of 10 s, FLAC at 16 kHz as the recipes store them, through
SpeechBrain's loader and Brain, features and SpecMask included, to AST-tiny with
FFTP. Writes benchmarks/results/input_pipeline.json and .md.

> python benchmarks/input_pipeline.py

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import statistics
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from harness import (
    add_row,
    environment,
    read_options,
    seconds,
    target,
    write_results,
)

import speechbrain as sb
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.dataio.clips import collate_clips, load_clip
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST

CLASSES, RATE, WHOLE = 527, 16000, "training, whole"


class TaggingBrain(sb.core.Brain):
    """The recipes' training step."""

    def features(self, batch):
        """Masked features and their lengths."""
        wavs, lens = batch.sig
        feats = self.modules.normalize(self.modules.fbank(wavs))
        lens = self.modules.fbank.frame_lens(lens, wavs.shape[1])
        return self.modules.spec_mask(feats, lens), lens

    def compute_forward(self, batch, stage):
        """Logits ``[B, C]``."""
        batch = batch.to(self.device)
        embeddings = self.modules.encoder(*self.features(batch))
        return self.modules.classifier(embeddings).squeeze(1)

    def compute_objectives(self, predictions, batch, stage):
        """Binary cross-entropy."""
        return self.loss(predictions, batch.targets.data)

    loss = staticmethod(torch.nn.functional.binary_cross_entropy_with_logits)


def make_dataset(folder, clips, length):
    """A data set of so many clips of noise."""
    rng = np.random.default_rng(0)
    rows = {}
    for number in range(clips):
        path = Path(folder) / f"{number}.flac"
        sf.write(path, 0.1 * rng.standard_normal(length * RATE), RATE)
        rows[str(number)] = {"wav": str(path)}

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig", "targets")
    def read(wav):
        yield load_clip(wav)
        yield torch.zeros(CLASSES)

    keys = ["id", "sig", "targets"]
    return sb.dataio.dataset.DynamicItemDataset(rows, [read], keys)


def make_brain(smoke, threads):
    """The Brain of a tiny model."""
    torch.manual_seed(0)
    width, depth = (48, 1) if smoke else (192, 12)
    modules = {
        "fbank": KaldiFbank(),
        "normalize": DatasetNormalization(),
        "spec_mask": SpecMask(0.2),
        "encoder": AST(embed_dim=width, depth=depth, num_heads=3),
        "classifier": torch.nn.Linear(width, CLASSES),
    }
    optimizer = torch.optim.AdamW
    options = {"device": "cpu", "noprogressbar": True}
    brain = TaggingBrain(modules, optimizer, run_opts=options)
    torch.set_num_threads(threads)
    return brain


def make_parts(brain, dataset, batch_size, workers):
    """Functions for each part of an epoch, and for all of it."""
    options = {
        "batch_size": batch_size,
        "num_workers": workers,
        "collate_fn": collate_clips,
    }

    def load():
        """All batches, from the files."""
        return list(brain.make_dataloader(dataset, sb.Stage.TRAIN, **options))

    batches = load()

    def features():
        """Features of the loaded batches, masked."""
        with torch.no_grad():
            for batch in batches:
                brain.features(batch)

    def train():
        """Steps with the loaded batches."""
        brain.modules.train()
        for batch in batches:
            brain.fit_batch(batch)

    def whole():
        """An epoch of SpeechBrain's training."""
        brain.fit(range(1), dataset, train_loader_kwargs=options)

    brain.fit(range(1), dataset, train_loader_kwargs=options)
    return {
        "loader alone": load,
        "features and masks alone": features,
        "training steps alone, features included": train,
        WHOLE: whole,
    }


def main():
    """Runs what the command line asks for."""
    args = read_options(__doc__, rounds=5, workers="1")
    clips, length, size = (4, 1, 2) if args.smoke else (96, 10, 12)
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(folder, clips, length)
        brain = make_brain(args.smoke, args.threads)
        parts = make_parts(brain, dataset, size, int(args.workers))
        for _, (name, part) in itertools.product(
            range(args.rounds), parts.items()
        ):
            took.setdefault(name, []).append(seconds(part))
    speeds = {n: clips / statistics.median(each) for n, each in took.items()}
    rows = []
    for name, each in took.items():
        row = {"part": name, "clips/s": f"{speeds[name]:.3g}"}
        row["ms per clip"] = f"{1000 / speeds[name]:.3g}"
        row["seconds"] = {str(n): value for n, value in enumerate(each)}
        add_row(rows, row)
    slowest = min(speed for name, speed in speeds.items() if name != WHOLE)
    goal = target(
        "training of AST-tiny through SpeechBrain's Brain, clips/s as a share "
        "of the slowest part alone",
        90,
        100 * speeds[WHOLE] / slowest,
        " %",
        reason="the reading process shares the two cores with the training",
    )
    about = environment("cpu", ("speechbrain", "soundfile"))
    note = (
        f"An epoch of {clips} clips of {length} s in batches of {size}, "
        f"{args.workers} reading process; medians of {args.rounds} epochs, "
        f"the parts in turns. {args.note}"
    )
    sections = {
        "Clips per second": {"note": note, "environment": about, "rows": rows},
        "Targets": {"note": "", "environment": about, "rows": [goal]},
    }
    write_results("input_pipeline", sections)


if __name__ == "__main__":
    main()
