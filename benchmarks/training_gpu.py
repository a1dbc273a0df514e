"""Training steps and latency of AST-base and AuM-base on a GPU.

bfloat16 autocast, fused AdamW, with and without torch.compile; 1212 square
patches of 1024 frames, 991, 196 and 96 full-frequency ones of 1000. Shares are
relative to the measured bfloat16 peak of the GPU, that of a large matrix
multiplication; a training step counts as three forward passes. Writes
benchmarks/results/training_gpu.json and .md; without a GPU, it writes "not yet
measured". With --smoke it runs on a CPU.

> python benchmarks/training_gpu.py

Authors
 * The speechbrain_fftp authors 2026
"""

import gc

import harness
import torch
from torch._dynamo.exc import TorchDynamoException

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.utils.complexity import count_macs

CLASSES = 527
TRAINING, LATENCY = "Training steps", "Latency"
# Latency in ms of AST-base in arXiv 2508.21243, on a GPU of the authors'.
PAPER = {("AST-base", 1212): "14.50", ("AST-base", 991): "11.62"}
PAPER["AST-base", 96] = "0.96"


def embeddings(width, smoke):
    """By name: frames of a clip and the patch embedding."""
    if smoke:
        return {"FFTP 50/10": (100, FFTPEmbedding(128, width, 50, 10))}
    return {
        "square 16/10": (1024, SquarePatchEmbedding(128, width, 16, 10)),
        "FFTP 10/1": (1000, FFTPEmbedding(128, width, 10, 1)),
        "FFTP 25/5": (1000, FFTPEmbedding(128, width, 25, 5)),
        "FFTP 50/10": (1000, FFTPEmbedding(128, width, 50, 10)),
    }


def make_model(kind, embedding, smoke):
    """An encoder and its classifier, as one module."""
    torch.manual_seed(0)
    width = embedding.proj.out_channels
    if kind == "AST-base":
        depth, heads = (1, 2) if smoke else (12, 12)
        encoder = AST(128, width, depth, heads, embedding=embedding)
    else:
        depth = 1 if smoke else 24
        encoder = AuM(128, width, depth, embedding=embedding)
    return torch.nn.Sequential(encoder, torch.nn.Linear(width, CLASSES))


def make_step(model, run, feats, targets):
    """A training step; ``run`` is the model, compiled or not."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits

    def step():
        with torch.autocast(feats.device.type, torch.bfloat16):
            logits = run(feats)[:, 0]
        loss(logits.float(), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def make_forward(model, run, feats):
    """A forward pass in bfloat16."""

    @torch.inference_mode()
    def forward():
        with torch.autocast(feats.device.type, torch.bfloat16):
            return run(feats)

    return forward


def measure_peak(device, smoke):
    """Operations per second of a bfloat16 matrix multiplication."""
    size = 128 if smoke else 8192
    a, b = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    time = harness.compare({"": lambda: a @ b})[""]["median"]
    return 2 * size**3 / time


def forget(device):
    """Frees the memory of the previous model."""
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def time_of(make, compiled, model, device, args):
    """Time of what ``make`` returns, the time or error as text, peak memory."""
    run = model
    if compiled:
        backend = "eager" if args.smoke else "inductor"
        run = torch.compile(model, backend=backend)
    forget(device)
    try:
        time = harness.compare(
            {"": make(model, run)}, args.rounds, case_seconds=20
        )[""]
    except (torch.OutOfMemoryError, TorchDynamoException) as error:
        return None, type(error).__name__, "-"
    peak = "-"
    if device == "cuda":
        peak = f"{torch.cuda.max_memory_allocated() / 2**30:.2f}"
    return time, harness.milliseconds(time), peak


def measure(device, args):
    """Rows of both tables."""
    rows = {TRAINING: [], LATENCY: []}
    peak = measure_peak(device, args.smoke)
    width, train_batch = (64, 2) if args.smoke else (768, args.batch)
    kinds = ("AST-base", "AuM-base")
    runs_compiled = kinds[:1] if args.smoke else kinds
    for kind in kinds:
        for name, (frames, embedding) in embeddings(width, args.smoke).items():
            model = make_model(kind, embedding, args.smoke)
            feats = torch.randn(1, frames, 128)
            with torch.inference_mode():
                flops = 2 * count_macs(model, feats).total
            model = model.to(device)
            patches = embedding.num_patches(frames)
            about = {"model": kind, "patches": f"{name}: {patches}"}

            def add(table, batch, make, compiled, work, extra):
                """Adds a row to a table."""
                time, text, memory = time_of(
                    make, compiled, model, device, args
                )
                row = {**about, "batch": batch}
                row["compiled"] = "yes" if compiled else "no"
                row["ms"] = text
                speed = share = "-"
                if time:
                    speed = f"{batch / time['median']:.1f}"
                    share = f"{work * batch / time['median'] / peak:.1%}"
                row["clips/s"], row["share of the peak"] = speed, share
                row["peak memory, GiB"] = memory
                row.update(extra, seconds=time or {})
                harness.add_row(rows[table], row)

            # The compiler takes minutes for AuM's scan on a CPU.
            choices = (False, True) if kind in runs_compiled else (False,)
            for compiled in choices:
                batch = feats.expand(train_batch, -1, -1).to(device)
                targets = torch.zeros(train_batch, CLASSES, device=device)
                model.train()
                add(
                    TRAINING,
                    train_batch,
                    lambda m, run: make_step(m, run, batch, targets),
                    compiled,
                    3 * flops,
                    {},
                )
                model.eval()
                paper = PAPER.get((kind, patches), "-")
                for size in (1, 2 if args.smoke else 32):
                    batch = feats.expand(size, -1, -1).to(device)
                    add(
                        LATENCY,
                        size,
                        lambda m, run: make_forward(m, run, batch),
                        compiled,
                        flops,
                        {"paper, ms": paper if size == 1 else "-"},
                    )
    return rows, peak


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10, batch=32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    about = {}
    sections = dict.fromkeys((TRAINING, LATENCY), harness.NOT_MEASURED)
    if device == "cuda" or args.smoke:
        rows, peak = measure(device, args)
        about = harness.environment(device, ("mamba_ssm",))
        note = f"The peak: {peak / 1e12:.3g} TFLOP/s. {args.note}"
        sections = {title: (note, each) for title, each in rows.items()}
    harness.write_results("training_gpu", about, sections)


if __name__ == "__main__":
    main()
