"""Whether training waits for its data: clips per second of each part.

Generated clips of 10 s, 16 kHz FLAC as the recipes store them, with
SpeechBrain's loader and Brain, including features and SpecMask, train AST-tiny
with FFTP. Also clips of 1 to 10 s, in random batches and in batches of similar
length. Writes benchmarks/results/input_pipeline.json and .md.

> python benchmarks/input_pipeline.py

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import statistics
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile as sf
import torch

import speechbrain as sb
from speechbrain.dataio.sampler import DynamicBatchSampler
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.datasets.batches import collate_clips, load_clip
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.training.setup import plain_yaml

CLASSES, RATE = 527, 16000
WHOLE, WITH_READER = "training", "training, with a reading process"
HPARAMS = Path(__file__).parents[1] / "hparams" / "ast_fftp.yaml"


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


def make_dataset(folder, lengths):
    """A data set of clips of noise with the given lengths in seconds."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = {}
    for number, length in enumerate(lengths):
        path = folder / f"{number}.flac"
        sf.write(path, 0.1 * rng.standard_normal(round(length * RATE)), RATE)
        rows[str(number)] = {"wav": str(path), "duration": length}

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


def epochs(brain, dataset, **options):
    """A function that trains for an epoch by SpeechBrain's ``fit``."""
    options = {"collate_fn": collate_clips, **options}

    def run():
        brain.fit(range(1), dataset, train_loader_kwargs=options)

    return run


def make_parts(brain, dataset, batch_size):
    """Functions for each part of an epoch and for the whole."""
    options = {"batch_size": batch_size, "collate_fn": collate_clips}

    def load():
        """Reads all batches from the files."""
        return list(brain.make_dataloader(dataset, sb.Stage.TRAIN, **options))

    batches = load()
    whole = epochs(brain, dataset, batch_size=batch_size)
    whole()  # creates the optimizer

    def features():
        """Computes masked features of the batches read."""
        with torch.no_grad():
            for batch in batches:
                brain.features(batch)

    def train():
        """Trains on the batches read."""
        brain.modules.train()
        for batch in batches:
            brain.fit_batch(batch)

    return {
        "loader alone": load,
        "features and masks alone": features,
        "training steps alone, including features": train,
        WHOLE: whole,
        WITH_READER: epochs(
            brain, dataset, batch_size=batch_size, num_workers=1
        ),
    }


def make_batchings(brain, dataset, batch_size):
    """Functions that train on clips of different lengths."""
    options = plain_yaml(HPARAMS)["dynamic_batch_sampler"]
    sampler = DynamicBatchSampler(
        dataset,
        10.0 * batch_size,
        bucket_boundaries=options["bucket_boundaries"],
    )
    return {
        "random batches": epochs(
            brain, dataset, batch_size=batch_size, shuffle=True
        ),
        "batches of similar length": epochs(
            brain, dataset, batch_sampler=sampler
        ),
    }


def measure(parts, clips, rounds):
    """Times parts in turns; returns rows and the clips per second of each."""
    took = {}
    for part in parts.values():
        part()
    for _, (name, part) in itertools.product(range(rounds), parts.items()):
        took.setdefault(name, []).append(harness.seconds(part))
    speeds = {n: clips / statistics.median(each) for n, each in took.items()}
    rows = []
    for name, each in took.items():
        row = {"part": name, "clips/s": f"{speeds[name]:.3g}"}
        row["ms per clip"] = f"{1000 / speeds[name]:.3g}"
        row["seconds"] = harness.numbered(each)
        harness.add_row(rows, row)
    return rows, speeds


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=3)
    clips, length, size = (4, 1, 2) if args.smoke else (96, 10, 12)
    # Evenly spread lengths in random order
    mixed = np.random.default_rng(1).permutation(
        np.linspace(max(0.5, length / 10), length, clips)
    )
    with tempfile.TemporaryDirectory() as folder:
        brain = make_brain(args.smoke, args.threads)
        dataset = make_dataset(Path(folder) / "equal", [length] * clips)
        rows, speeds = measure(
            make_parts(brain, dataset, size), clips, args.rounds
        )
        dataset = make_dataset(Path(folder) / "mixed", mixed)
        batchings, mixed_speeds = measure(
            make_batchings(brain, dataset, size), clips, args.rounds
        )
    whole = {WHOLE, WITH_READER}
    slowest = min(v for name, v in speeds.items() if name not in whole)
    at_random, similar = mixed_speeds.values()
    goals = [
        harness.target(
            "training AST-tiny with SpeechBrain's Brain, clips/s as a share of "
            "the slowest part alone",
            90,
            100 * speeds[WHOLE] / slowest,
            " %",
            reason="reading and training take turns",
        ),
        harness.target(
            "the same on clips of 1 to 10 s in batches of similar length, speed "
            "relative to random batches",
            1,
            similar / at_random,
        ),
    ]
    about = harness.environment("cpu", ("speechbrain", "soundfile"))
    note = (
        f"An epoch of {clips} clips in batches of {size}; medians of "
        f"{args.rounds} epochs, in turns. {args.note}"
    )
    sections = {
        "Clips of 10 s": (note, rows),
        "Clips of 1 to 10 s": (note, batchings),
        "Targets": ("", goals),
    }
    harness.write_results("input_pipeline", about, sections)


if __name__ == "__main__":
    main()
