"""Times Audio Mamba on a GPU: the backends of its scan, and training steps.

Writes benchmarks/results/aum_gpu.json and .md. Without a GPU, it writes that
nothing has been measured.

> python benchmarks/aum_gpu.py

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import gc
import importlib.util
import itertools

import torch
from harness import (
    add_row,
    check_same,
    compare,
    environment,
    gpu_seconds,
    milliseconds,
    write_results,
)
from selective_scan import PASSES, make_inputs, ours, step_of, transpose

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet import patching

SCAN = "The scan, bfloat16"
TRAINING = "Training steps of AuM-base, bfloat16"


def gpu_scan_rows(length, backward, bandwidth, rounds):
    """Time of each backend, and its share of the memory bandwidth."""
    made = make_inputs((32, 1536, 16, length), "cuda", torch.bfloat16)
    *inputs, weight = transpose([*made, made[0].roll(1)])
    # Copies in turn, so that none is in the cache from the call before.
    copies = [[x.clone() for x in inputs] for _ in range(4)]

    def take_turns(backend):
        function = functools.partial(ours, backend=backend)
        steps = itertools.cycle(
            [step_of(function, x, weight, backward) for x in copies]
        )
        return lambda: next(steps)()

    installed = importlib.util.find_spec("mamba_ssm")
    backends = ["triton", "torch"] + ["mamba_ssm"] * bool(installed)
    steps = {backend: take_turns(backend) for backend in backends}
    results = {n: [x.float() for x in step()] for n, step in steps.items()}
    check_same(results, tolerance=2e-2)
    del results
    # The forward pass reads the inputs and writes the output; the backward
    # pass reads both (the output's gradient) and writes the inputs' gradients.
    read, written = sum(x.nbytes for x in inputs), inputs[0].nbytes
    total = 3 * read + 2 * written if backward else read + written
    rows = []
    for name, time in compare(steps, rounds).items():
        busy = gpu_seconds(steps[name])
        row = {"case": PASSES[backward], "L": length, "backend": name}
        row["ms"] = milliseconds(time)
        row["share of limit"] = f"{total / bandwidth / time['median']:.2f}"
        row["GPU busy, ms"] = f"{1000 * busy:.3g}"
        row["share of limit while busy"] = f"{total / bandwidth / busy:.2f}"
        row["seconds"] = time
        add_row(rows, row)
    return rows


def add_training(rows, name, frames, embedding, rounds, batch=12):
    """Adds clips per second and peak memory of AuM-base's training step."""
    gc.collect()  # frees the model before
    torch.manual_seed(0)
    model = AuM(
        embed_dim=768,
        depth=24,
        bidirectional="fo-bi",
        embedding=embedding,
        max_frames=1024,
    ).cuda()
    head = torch.nn.Linear(768, 527).cuda()
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    feats = torch.randn(batch, frames, 128, device="cuda")
    targets = (torch.rand(batch, 527, device="cuda") < 0.01).float()
    loss = torch.nn.BCEWithLogitsLoss()

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            logits = head(model(feats)).squeeze(1)
        loss(logits.float(), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    torch.cuda.reset_peak_memory_stats()
    time = compare({name: step}, rounds)[name]
    peak = torch.cuda.max_memory_allocated() / 2**30
    row = {"embedding": name, "frames": frames, "batch": batch}
    row["tokens"] = embedding.num_patches(frames)
    row["step, ms"] = milliseconds(time)
    row["clips/s"] = f"{batch / time['median']:.1f}"
    row["peak memory, GiB"] = f"{peak:.2f}"
    row["seconds"] = time
    add_row(rows, row)


def measure(args):
    """Measures everything; gives the sections of ``write_results``."""
    source = torch.zeros(2**30, dtype=torch.uint8, device="cuda")
    copy = functools.partial(torch.zeros_like(source).copy_, source)
    bandwidth = 2 * source.nbytes / compare({"copy": copy})["copy"]["median"]
    rows = {SCAN: [], TRAINING: []}
    for length, backward in itertools.product((98, 198, 1213), (False, True)):
        rows[SCAN] += gpu_scan_rows(length, backward, bandwidth, args.rounds)
    for name, frames, embedding in (
        ("square 16/10", 1024, patching.SquarePatchEmbedding(128, 768, 16, 10)),
        ("FFTP 25/5", 1000, patching.FFTPEmbedding(128, 768, 25, 5)),
        ("FFTP 50/10", 1000, patching.FFTPEmbedding(128, 768, 50, 10)),
    ):
        add_training(rows[TRAINING], name, frames, embedding, args.rounds)
    about = environment("cuda", ("mamba_ssm",))
    scan_note = (
        "B=32, D=1536, N=16. The limit is the time to read every input and to "
        "write every output once per pass, at the bandwidth of a large copy, "
        f"{bandwidth / 1e12:.2f} TB/s. Busy: without the gaps between kernels."
    )
    training_note = "embed_dim 768, depth 24, fo-bi, 527 classes, fused AdamW."
    notes = {SCAN: scan_note, TRAINING: training_note}
    return {
        title: {"note": notes[title], "environment": about, "rows": rows[title]}
        for title in rows
    }


def main():
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    if torch.cuda.is_available():
        sections = measure(args)
    else:
        missing = {"note": "", "environment": {}}
        missing["rows"] = [{"result": "not yet measured"}]
        sections = {SCAN: missing, TRAINING: missing}
    write_results("aum_gpu", sections)


if __name__ == "__main__":
    main()
