"""Compares a training step with transformers' AST.

Measures forward and backward pass of AST-base with random weights, with 1,212
square patches in transformers and 196 full-frequency patches (25 frames every
5) here, on eight clips of 10 s. Writes benchmarks/results/training_step.json.
Takes some minutes.

> python benchmarks/training_step.py

Authors
 * The speechbrain_fftp authors 2026
"""

import harness
import torch
from random_models import CLASSES, make_ast, make_transformers_ast

PEER = "AST-base, 1212 square patches, transformers"
OURS = "AST-base, 196 FFTP patches"
BATCH = 8


def step_of(model, feats, targets):
    """Makes a function that computes the gradients of a model's weights."""

    def step():
        """Forward and backward pass."""
        model.zero_grad(set_to_none=True)
        logits = model(feats)
        logits = getattr(logits, "logits", logits)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets
        ).backward()

    return step


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=3)
    size = "smoke" if args.smoke else "base"
    batch = 1 if args.smoke else BATCH
    encoder = make_ast(size, patch=25, stride=5)
    ours = torch.nn.Sequential(
        encoder, torch.nn.Flatten(), torch.nn.Linear(encoder.embed_dim, CLASSES)
    )
    targets = torch.randint(2, (batch, CLASSES)).float()
    cases = {
        PEER: step_of(
            make_transformers_ast(size).train(),
            torch.randn(batch, 1024, 128),
            targets,
        ),
        OURS: step_of(ours, torch.randn(batch, 1000, 128), targets),
    }
    times = harness.compare(cases, args.rounds, case_seconds=300.0)
    rows = harness.time_rows(times)
    goal = harness.target(
        "training step of AST-base, 8 clips, 196 FFTP patches, against "
        "transformers' AST with 1212",
        7,
        times[PEER]["median"] / times[OURS]["median"],
    )
    note = f"Batch {batch}, measured in turns."
    sections = {"Forward and backward": (note, rows), "Targets": ("", [goal])}
    about = harness.environment("cpu", ("transformers",))
    harness.write_results("training_step", about, sections)


if __name__ == "__main__":
    main()
