"""Verifies and measures everything on a CUDA GPU, most important cases first.

Each case adds a line to OUT/gpu.jsonl at once, so that nothing is lost when the
time is up. A case that fails writes its error, and the next ones run. Checks of
the kernels come first, then times of the scan, of inference, of training, of
the front end, and of compiled code. Shares are relative to the speed of
bfloat16 matrix multiplications and copies measured on this GPU; a training step
counts as three forward passes. Besides the package's own requirements, the
tests need pytest. Each line names the commit, the card and the versions. With --smoke, tiny models run on a CPU.

> python benchmarks/gpu.py --seconds 540 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import harness
import torch
from front_end import by_torchaudio
from selective_scan import make_inputs, ours, step_of, transpose
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.nnet.selective_scan import INSTALLED
from speechbrain_fftp.utils.complexity import count_macs

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
    "tests/unit/lobes/test_compile.py",
)
CLASSES, ROUNDS, COPIES = 527, 5, 4
MODELS = ("AST", "AuM")
TOKENS = (96, 196, 991, 1212)  # most important first


def clock(function, one_by_one=True):
    """Milliseconds of a call: median and quartiles.

    Waits for the GPU after each call, or only after half a second of calls.
    """

    def call():
        function()
        harness.clock()

    function()  # a first call may compile
    done = call if one_by_one else function
    times = harness.compare({"": done}, ROUNDS, case_seconds=20)[""]
    keys = {"median": "ms", "low": "ms_low", "high": "ms_high"}
    return {new: 1000 * times[key] for key, new in keys.items()}


def measure_limits(log):
    """Operations per second of a matmul, and bytes per second of a copy."""
    size, device = (128 if log.smoke else 8192), log.device
    a, b = torch.randn(2, size, size, device=device).bfloat16()
    source = torch.zeros(size * size, dtype=torch.int64, device=device)
    target = torch.empty_like(source)
    product = clock(lambda: a @ b, False)["ms"]
    copy = clock(lambda: target.copy_(source), False)["ms"]
    return {
        "flops": 2000 * size**3 / product,
        "bandwidth": 2000 * source.nbytes / copy,
    }


def make_model(kind, tokens, smoke, device, depth=None, **options):
    """An encoder with classifier, and features of a clip."""
    torch.manual_seed(0)
    width, full_depth = (64, 1) if smoke else (768, 12 if kind == "AST" else 24)
    sizes = {"n_mels": 128, "embed_dim": width, "depth": depth or full_depth}
    if kind == "AST":
        sizes["num_heads"] = width // 64
    with torch.device(device):
        embedding, frames = SquarePatchEmbedding(128, width, 16, 10), 1024
        if tokens != 1212:
            patch, stride = {991: (10, 1), 196: (25, 5), 96: (50, 10)}[tokens]
            embedding, frames = FFTPEmbedding(128, width, patch, stride), 1000
        Encoder = {"AST": AST, "AuM": AuM}[kind]
        encoder = Encoder(embedding=embedding, **sizes, **options)
        model = torch.nn.Sequential(encoder, torch.nn.Linear(width, CLASSES))
        return model, torch.randn(1, 100 if smoke else frames, 128)


def check_kernels(log):
    """Runs the tests on a GPU: kernels against golden tensors and reference."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *TESTS]
    words += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or done.stderr.splitlines()
    return count_tests(lines, done.returncode)


def count_tests(lines, status):
    """The numbers in pytest's last line; an error unless some passed."""
    counts = {"passed": 0, "failed": 0, "skipped": 0, "errors": 0}
    for number, word in re.findall(r"(\d+) (\w+)", lines[-1] if lines else ""):
        if word in counts:
            counts[word] = int(number)
    if status != 0 or counts["passed"] == 0:
        return {
            **counts,
            "error": "the tests did not pass",
            "output": lines[-12:],
        }
    return counts


def check_device(log, kind, scan=None, **options):
    """Differences of this device's results from the CPU's, in float32.

    Logits of two clips, one of which is padded, in a batch, from those of each
    clip alone on the CPU; and the gradients of two weights.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if scan is not None:
        options["scan"] = scan
    depth = 1 if log.smoke else 4
    model, feats = make_model(kind, 196, log.smoke, "cpu", depth, **options)
    encoder, classifier = model
    short = feats.shape[1] * 2 // 5
    names = ["0.embedding.proj.weight"]
    if kind == "AuM":
        names.append("0.blocks.0.mixer.A_log")
    weighting = torch.randn(2, CLASSES)

    def results(logits):
        """Logits, and gradients of a random weighting of them."""
        weights = [model.get_parameter(name) for name in names]
        loss = (logits * weighting.to(logits.device)).sum()
        found = [logits, *torch.autograd.grad(loss, weights)]
        return [x.detach().cpu() for x in found]

    for block in encoder.blocks:
        if kind == "AuM":
            block.mixer.scan = "torch"
    alone = [model(feats)[:, 0], model(feats[:, :short])[:, 0]]
    expected = results(torch.cat(alone))
    for block in encoder.blocks:
        if kind == "AuM":
            block.mixer.scan = scan
    model.to(log.device)
    batch = feats.repeat(2, 1, 1).to(log.device)
    lens = torch.tensor([1.0, short / feats.shape[1]])
    found = results(classifier(encoder(batch, lens))[:, 0])
    errors = {}
    for name, x, y in zip(("logits", "proj", "A_log"), found, expected):
        errors[name] = ((x - y).abs().max() / y.abs().max()).item()
    worst = max(errors.values())
    if not worst <= 1e-3:
        errors["error"] = f"off by {worst:.1e} of the largest value"
    return errors


def check_front_end(log):
    """Differences of filterbanks from the CPU's, and the masked share."""
    feats = torch.randn(2, 1000, 128)
    masked = SpecMask(0.2).train()(feats.to(log.device)).cpu()
    wavs = 0.1 * torch.randn(2, 16000)
    fbank = KaldiFbank()
    there = fbank.to(log.device)(wavs.to(log.device)).cpu()
    return {
        "fbank": (there - fbank.cpu()(wavs)).abs().max().item(),
        "masked": (masked != feats).float().mean().item(),
    }


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


def time_copies(log, function, inputs, weight, backward):
    """Times a function of copies of its inputs, in a CUDA graph.

    They take turns, so that none is in the cache from the previous call.
    """
    steps = [
        step_of(function, [x.clone() for x in inputs], weight, backward)
        for _ in range(COPIES)
    ]

    def all_steps():
        for step in steps:
            step()

    run = all_steps if log.smoke else capture(all_steps)
    return {key: value / COPIES for key, value in clock(run, False).items()}


def time_scan(log, length, backward, backend, limits):
    """The scan in bfloat16: time, and share of this GPU's limit.

    The limit is the time to copy inputs and outputs.
    """
    size = (2, 8, 4, length) if log.smoke else (32, 1536, 16, length)
    made = make_inputs(size, log.device, torch.bfloat16)
    *inputs, weight = transpose([*made, made[0].roll(1)])
    function = functools.partial(ours, backend=backend)
    found = time_copies(log, function, inputs, weight, backward)
    read, written = sum(x.nbytes for x in inputs), inputs[0].nbytes
    total = 3 * read + 2 * written if backward else read + written
    copies = 1000 * total / limits["bandwidth"]
    return {**found, "copies_ms": copies, "share": copies / found["ms"]}


def time_inference(log, model, tokens, batch, mode, **options):
    """Latency in a CUDA graph; ``mode`` says whether the model is compiled."""
    net, feats = make_model(model, tokens, log.smoke, log.device, **options)
    net, feats = net.eval(), feats.repeat(batch, 1, 1)
    run, feats = net.bfloat16(), feats.bfloat16()
    if mode.startswith("compiled"):
        torch.compiler.reset()
        run = torch.compile(net, backend="eager" if log.smoke else "inductor")
    with torch.inference_mode():
        call = functools.partial(run, feats)
        return clock(call if log.smoke else capture(call))


def time_training(
    log, model, tokens, batch, compiled, flops, lengths=False, **options
):
    """A training step with bfloat16 autocast and fused AdamW.

    With ``lengths``, clips are padded by up to a half, and encoders mask.
    """
    net, feats = make_model(model, tokens, log.smoke, log.device, **options)
    with torch.no_grad():
        work = 2 * count_macs(net, feats).total
    feats = feats.repeat(batch, 1, 1)
    targets = torch.zeros(batch, CLASSES, device=log.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    torch.compiler.reset()
    backend = "eager" if log.smoke else "inductor"
    lens = torch.linspace(0.5, 1.0, batch) if lengths else None

    def classify(feats, lens):
        return net[1](net[0](feats, lens))[:, 0]

    run = torch.compile(classify, backend=backend) if compiled else classify

    def step():
        with torch.autocast(log.device, torch.bfloat16):
            logits = run(feats, lens)
        bce(logits.float(), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    found = clock(step, False)
    seconds = found["ms"] / 1000
    found["clips_per_second"] = batch / seconds
    found["utilisation"] = 3 * work * batch / seconds / flops
    if log.device == "cuda":
        found["GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def time_front_end(log, batch, seconds):
    """Filterbanks of a batch, against torchaudio's clip by clip."""
    wavs = 0.1 * torch.randn(batch, 16000 * seconds, device=log.device)
    fbank = KaldiFbank().to(log.device)
    found = clock(lambda: fbank(wavs), False)
    peer = clock(lambda: by_torchaudio(wavs), False)["ms"]
    return {**found, "torchaudio_ms": peer, "ratio": peer / found["ms"]}


def main():
    """Runs all cases."""
    args = harness.read_options(
        __doc__, rounds=ROUNDS, seconds=540.0, out="gpu"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not args.smoke:
        raise SystemExit("gpu.py: there is no CUDA GPU; --smoke uses the CPU")
    if not args.smoke:
        harness.ROUND_SECONDS = 0.1
    path = Path(args.out, "gpu.jsonl")
    about = harness.environment(device, ("mamba_ssm", "speechbrain"))
    names = ("GPU", "torch", "triton", "mamba_ssm")
    about_each = {name: about[name] for name in names if name in about}
    about_each["commit"] = harness.commit()
    log = harness.Log(path, args.seconds, device, args.smoke, about_each)
    log.add("device", lambda: about)
    limits = log.add("limits", lambda: measure_limits(log))
    names = ("flops", "bandwidth")
    limits = {**dict.fromkeys(names, math.nan), **limits}  # if that failed
    if not args.smoke:
        log.add("tests", lambda: check_kernels(log))
    backends = ("torch",) if args.smoke else ("triton", "torch")
    backends += ("mamba_ssm",) * INSTALLED["mamba_ssm"]
    log.add("front end", lambda: check_front_end(log))

    def each(case, function, **choices):
        """A line for each combination of the choices."""
        for values in itertools.product(*choices.values()):
            about = dict(zip(choices, values))
            log.add(case, functools.partial(function, log, **about), **about)

    tokens = (96,) if args.smoke else TOKENS
    batches = (1, 2) if args.smoke else (1, 32)
    lengths = (8,) if args.smoke else (98, 198, 1213)
    each("equal to a CPU", check_device, kind=("AST",))
    forms = {"bidirectional": ("fo-bi", "bi-bi"), "scan": backends}
    each("equal to a CPU", check_device, kind=("AuM",), **forms)
    scan = functools.partial(time_scan, limits=limits)
    train = functools.partial(time_training, flops=limits["flops"])
    seconds = (1 if args.smoke else 10,)
    each("filterbank", time_front_end, batch=batches[1:], seconds=seconds)
    for backend in backends:
        directions = {"backward": (False, True), "backend": (backend,)}
        each("scan", scan, length=lengths, **directions)
    models = {"model": MODELS, "tokens": tokens}
    each("inference", time_inference, **models, batch=batches, mode=("graph",))
    each("training", train, **models, batch=batches[1:], compiled=(False,))
    ast = {"model": ("AST",), "tokens": tokens[:1], "batch": (1,)}
    each("inference", time_inference, **ast, mode=("compiled graph",))
    ast.update(tokens=(196,), batch=(2 if args.smoke else 48,))
    each("training", train, **ast, compiled=(True,), lengths=(False, True))
    others = [x for x in backends if x == "mamba_ssm" or args.smoke]
    for backend in others:  # beside Triton's rows above
        aum = {"model": ("AuM",), "tokens": tokens[:2], "scan": (backend,)}
        each("inference", time_inference, **aum, batch=batches, mode=("graph",))
        each("training", train, **aum, batch=batches[1:], compiled=(False,))


if __name__ == "__main__":
    main()
