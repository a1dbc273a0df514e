"""Tests the kernels and measures base models on a CUDA GPU.

Each case is stored at once, most important ones first, so that nothing is lost
when the time is up. A case that fails stores its error, and the next ones run:
times of the front end, of inference in CUDA graphs, and of training steps. With
--only_tests 1, the tests of kernels and encoders, which need pytest, run
instead. With --smoke, tiny models run on a CPU.

> python benchmarks/gpu.py --only_tests 1 --out DIR
> python benchmarks/gpu.py --seconds 540 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import itertools
import re
import subprocess
import sys
from pathlib import Path

import harness
import torch
from peers import by_torchaudio
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.nnet.selective_scan import INSTALLED

ROOT = Path(__file__).resolve().parents[1]
# Tests of kernels and encoders, those with the mark gpu
TESTS = (
    "tests/speechbrain/test_triton_scan.py",
    "tests/unit/nnet/test_selective_scan_golden.py",
    "tests/speechbrain/test_selective_scan.py",
    "tests/speechbrain/test_AST.py",
    "tests/speechbrain/test_AuM.py",
    "tests/speechbrain/test_ConvNeXt1d.py",
    "tests/speechbrain/test_kaldi_features.py",
    "tests/speechbrain/test_specmask.py",
    "tests/speechbrain/test_tagger.py",
    "tests/integration/test_precision.py",
    "tests/unit/lobes/test_encoders_on_gpu.py",
)
CLASSES = 527
# Frames and stride of full-frequency patches, by their number in 10 s
FFTP = {96: (50, 10), 196: (25, 5), 991: (10, 1)}
SQUARE = 1212  # square patches


class Machine:
    """The device, and the sizes that are measured."""

    def __init__(self, args):
        self.args, self.smoke = args, args.smoke
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokens, self.batch = (*FFTP, SQUARE), 32
        if self.smoke:
            self.tokens, self.batch = (196, SQUARE), 2

    def time(self, function):
        """The ``summary`` of a function's milliseconds."""
        return harness.compare({"": function}, self.args)[""]

    def make_model(self, kind, tokens, **options):
        """An encoder with classifier, and features of a clip."""
        torch.manual_seed(0)
        width, depth = 768, 12 if kind == "AST" else 24
        if self.smoke:
            width, depth = 64, 1
        embedding, frames = SquarePatchEmbedding(128, width, 16, 10), 1024
        if tokens in FFTP:
            embedding, frames = FFTPEmbedding(128, width, *FFTP[tokens]), 1000
        if kind == "AST":
            options["num_heads"] = width // 64
        encoder = {"AST": AST, "AuM": AuM}[kind](
            128, width, depth, embedding=embedding, **options
        )
        model = torch.nn.Sequential(encoder, torch.nn.Linear(width, CLASSES))
        return model, torch.randn(1, 100 if self.smoke else frames, 128)


def run_tests(args):
    """Runs the tests on a GPU: kernels against golden tensors and reference."""
    chosen = ["-m", "gpu", *TESTS]
    if args.smoke:
        chosen = ["-m", "not slow", "tests/speechbrain/test_specmask.py"]
    words = [sys.executable, "-m", "pytest", "-q", "-rfE", *chosen]
    words += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=args.seconds
    )
    print(done.stdout, done.stderr)
    return count_tests(done.stdout)


def count_tests(output):
    """The numbers in pytest's last line, and the tests that failed.

    An error unless some passed.
    """
    found = re.findall(r"\d+ (?:passed|failed|skipped|errors?)\b", output)
    if not any(word.endswith("passed") for word in found):
        return {"error": output[-500:]}
    failures = re.findall(r"(?m)^(?:FAILED|ERROR) .*", output)
    return {"text": ", ".join(found), "failures": failures}


def capture(function):
    """Captures a function in a CUDA graph; returns its replay."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        function()
    return captured.replay


def time_inference(machine, kind, tokens, batch, **options):
    """Latency of a batch in bfloat16 and a CUDA graph."""
    net, feats = machine.make_model(kind, tokens, **options)
    net = net.eval().to(machine.device, torch.bfloat16)
    feats = feats.repeat(batch, 1, 1).to(machine.device, torch.bfloat16)

    def forward():
        with torch.inference_mode():
            net(feats)

    replay = forward if machine.smoke else capture(forward)

    def call():
        replay()
        harness.clock()  # waits for the GPU

    return machine.time(call)


def time_training(machine, kind, tokens, **options):
    """A training step with bfloat16 autocast and fused AdamW."""
    net, feats = machine.make_model(kind, tokens, **options)
    encoder, classifier = net.to(machine.device)
    feats = feats.repeat(machine.batch, 1, 1).to(machine.device)
    targets = torch.zeros(machine.batch, CLASSES, device=machine.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)

    def step():
        with torch.autocast(machine.device, torch.bfloat16):
            logits = classifier(encoder(feats))[:, 0]
        bce(logits.float(), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return machine.time(step)


def cases_of(machine):
    """Functions by name, most important first, and what is compared with what."""
    cases, against = {}, {}

    def add(name, function, *choices, peer=None, **options):
        """Adds a case."""
        cases[name] = functools.partial(function, machine, *choices, **options)
        if peer:
            against[name] = peer

    wavs = torch.randn(machine.batch, 160000, device=machine.device)
    fbank = KaldiFbank().to(machine.device)
    ours = f"filterbanks, {machine.batch} clips"
    peer = f"{ours}, torchaudio, clip by clip"
    add(ours, lambda machine: machine.time(lambda: fbank(wavs)), peer=peer)
    add(peer, lambda machine: machine.time(lambda: by_torchaudio(wavs)))
    step = f"training step, {machine.batch} clips"
    for work, function, sizes in (
        ("1 clip", time_inference, (1,)),
        (f"{machine.batch} clips", time_inference, (machine.batch,)),
        (step, time_training, ()),
    ):
        for kind, tokens in itertools.product(("AST", "AuM"), machine.tokens):
            name = f"{work}, {kind}, {tokens} FFTP patches"
            square = f"{work}, {kind}, {SQUARE} square patches"
            if tokens in FFTP:
                add(name, function, kind, tokens, *sizes, peer=square)
            else:
                add(square, function, kind, tokens, *sizes)
        if INSTALLED["mamba_ssm"]:
            name = f"{work}, AuM, 196 FFTP patches, mamba_ssm"
            add(name, function, "AuM", 196, *sizes, scan="mamba_ssm")
    return cases, against


def main():
    """Runs all cases."""
    args = harness.read_options(
        __doc__, rounds=5, round_seconds=0.1, seconds=540.0, only_tests=0
    )
    machine = Machine(args)
    if machine.device == "cpu" and not args.smoke:
        raise SystemExit("gpu.py: there is no CUDA GPU; --smoke uses the CPU")
    name, (cases, against) = "gpu", cases_of(machine)
    if args.only_tests:
        name, against = "gpu_tests", {}
        cases = {"tests of kernels and encoders": lambda: run_tests(args)}
    results = harness.Results(
        args, name, against, ("mamba_ssm",), machine.device
    )
    for name, function in cases.items():
        results.measure(name, function)
        if machine.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
