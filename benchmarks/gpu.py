"""Measures base models on a CUDA GPU.

Each case is stored at once, most important ones first, so that nothing is lost
when the time is up. A case that fails stores its error, and the next ones run:
times of the front end, of inference in CUDA graphs, and of training steps. With
--smoke, tiny models run on a CPU.

> python benchmarks/gpu.py --seconds 540 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import itertools

import harness
import torch
from harness import by_torchaudio
from random_models import CLASSES, SIZES, SQUARE, make_ast, make_aum
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.nnet.selective_scan import INSTALLED

# Patches by their names, which tell the number in 10 s
PATCHES = {
    "96 FFTP patches": (50, 10),
    "196 FFTP patches": (25, 5),
    "991 FFTP patches": (10, 1),
    "1212 square patches": SQUARE,
}
SMOKE = ("196 FFTP patches", "1212 square patches")
ENCODERS = {"AST": make_ast, "AuM": make_aum}


class Machine:
    """The device, and the sizes that are measured."""

    def __init__(self, args):
        self.args, self.smoke = args, args.smoke
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.patches, self.batch, self.size = tuple(PATCHES), 32, "base"
        if self.smoke:
            self.patches, self.batch, self.size = SMOKE, 2, "smoke"

    def time(self, function):
        """The ``summary`` of a function's milliseconds."""
        return harness.compare({"": function}, self.args)[""]

    def make_model(self, kind, patches, **options):
        """An encoder with classifier, and features of a clip."""
        torch.manual_seed(0)
        patch = PATCHES[patches]
        encoder = ENCODERS[kind](self.size, patch, **options)
        classifier = torch.nn.Linear(SIZES[self.size][0], CLASSES)
        frames = 1024 if patch == SQUARE else 1000
        feats = torch.randn(1, 100 if self.smoke else frames, 128)
        return torch.nn.Sequential(encoder, classifier), feats


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


def time_inference(machine, kind, patches, batch, **options):
    """Latency of a batch in bfloat16 and a CUDA graph."""
    net, feats = machine.make_model(kind, patches, **options)
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


def time_training(machine, kind, patches, **options):
    """A training step with bfloat16 autocast and fused AdamW."""
    net, feats = machine.make_model(kind, patches, **options)
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

    wavs = torch.randn(machine.batch, 160000, device=machine.device)
    fbank = KaldiFbank().to(machine.device)
    ours = f"filterbanks, {machine.batch} clips"
    peer = f"{ours}, torchaudio, clip by clip"
    cases[ours] = lambda: machine.time(lambda: fbank(wavs))
    cases[peer] = lambda: machine.time(lambda: by_torchaudio(wavs))
    against[ours] = peer
    step = f"training step, {machine.batch} clips"
    for work, function, sizes in (
        ("1 clip", time_inference, (1,)),
        (f"{machine.batch} clips", time_inference, (machine.batch,)),
        (step, time_training, ()),
    ):
        for kind, patches in itertools.product(ENCODERS, machine.patches):
            name = f"{work}, {kind}, {patches}"
            cases[name] = functools.partial(
                function, machine, kind, patches, *sizes
            )
            if PATCHES[patches] != SQUARE:
                against[name] = f"{work}, {kind}, 1212 square patches"
        if INSTALLED["mamba_ssm"]:
            name = f"{work}, AuM, 196 FFTP patches"
            cases[f"{name}, mamba_ssm"] = functools.partial(
                cases[name], scan="mamba_ssm"
            )
    return cases, against


def main():
    """Runs all cases."""
    args = harness.read_options(
        __doc__, rounds=5, round_seconds=0.1, seconds=540.0
    )
    machine = Machine(args)
    if machine.device == "cpu" and not args.smoke:
        raise SystemExit("gpu.py: there is no CUDA GPU; --smoke uses the CPU")
    cases, against = cases_of(machine)
    results = harness.Results(
        args, "gpu", against, ("mamba_ssm",), machine.device
    )
    for name, function in cases.items():
        results.measure(name, function)
        if machine.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
