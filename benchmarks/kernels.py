"""Compiles the Triton kernels for GPUs, without needing a GPU.

Writes registers and spilled bytes of a thread, as ptxas reports them, and the
instructions of the kernel's largest loop to benchmarks/results/kernels.json
and .md. Of these, a multiprocessor issues four in a clock cycle, one for a warp
each; special functions (exponentials, reciprocals) it computes for half a warp.

> python benchmarks/kernels.py

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import harness

os.environ.pop("TRITON_INTERPRET", None)  # read when triton is imported

import triton  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from speechbrain_fftp.nnet.selective_scan import (  # noqa: E402
    triton_gradient,
    triton_kernels,
)

# Kernel; its constants; options of the launch: as AuM calls them in training
SCAN = {"NP": 16, "SOFTPLUS": True}
FORWARD = {**SCAN, "VEC": 1, "initial": None}
FEW = {"num_warps": 1, "maxnreg": 168}
KERNELS = {
    "scan, forward": (
        triton_kernels.forward,
        {**FORWARD, "ends": None, "sums": None},
        FEW,
    ),
    "scan, forward, in segments": (triton_kernels.forward, FORWARD, FEW),
    "scan, ends of segments": (
        triton_kernels.forward,
        {**FORWARD, **dict.fromkeys(("out", "D", "z", "last", "saved"))},
        FEW,
    ),
    "scan, backward": (
        triton_gradient.backward,
        {**SCAN, "VEC": 4, "dlast": None, "dinitial": None},
        {"num_warps": 1},
    ),
}
TARGETS = {80: "fp32", 90: "bf16"}  # compute capability: type of sequences
INTEGERS = {"steps", "part", "reverse", "dim", "dim_vec"}
SEQUENCES = {"u", "x", "z", "out", "d_out", "du", "dx", "dz"}


def compile_kernel(kernel, constants, options, capability, dtype):
    """The kernel's PTX for a GPU whose channels are adjacent in memory."""
    signature, values, attributes = {}, {}, {}
    scan = "NP" in constants
    for i, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name], values[name] = "constexpr", constants[name]
        elif scan and name.endswith("_s"):  # strides of three dimensions
            signature[name] = ("i32", "constexpr", "i32")
            values[i, 1] = 1
            attributes[i, 0] = attributes[i, 2] = [["tt.divisibility", 16]]
        elif name in INTEGERS or name[-2:] in ("_b", "_l"):
            signature[name] = "i32"
        elif name in SEQUENCES:
            signature[name] = f"*{dtype}"
        else:
            signature[name] = "*i64" if name == "lengths" else "*fp32"
        if str(signature[name]).startswith("*"):  # as Triton finds at a launch
            attributes[i,] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, values, attributes)
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target, options=options).asm["ptx"]


def count_registers(ptx, capability):
    """Registers, spilled bytes and instructions of a thread."""
    name = f"sm_{capability}" + "a" * (capability >= 90)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.ptx")
        path.write_text(ptx, "utf-8")
        words = [triton.knobs.nvidia.ptxas.path, "-v", f"--gpu-name={name}"]
        done = subprocess.run(
            [*words, str(path), "-o", str(path.with_suffix(".cubin"))],
            capture_output=True,
            text=True,
            check=True,
        )
        program = Path(words[0]).with_name("nvdisasm")
        code = path.with_suffix(".cubin")
        code = subprocess.check_output([program, "-c", code], text=True)
    text = done.stdout + done.stderr
    registers = re.search(r"Used (\d+) registers", text)
    spills = re.findall(r"(\d+) bytes spill stores", text)
    return int(registers[1]), sum(map(int, spills)), *count_loop(code)


def count_loop(code):
    """Instructions of the largest loop, and special functions among them."""
    places, names, loops = {}, [], [(0, 0)]
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            places[label[1]] = len(names)
        pattern = r"/\*[0-9a-f]{4,}\*/\s+(?:@\S+ )?([A-Z]\w*)(.*);"
        if found := re.search(pattern, line):
            names.append(found[1])
            target = re.search(r"\.L_x_\d+", found[2])
            if found[1] == "BRA" and target and target[0] in places:
                loop = names[places[target[0]] :]
                loops.append((len(loop), loop.count("MUFU")))
    return max(loops)


def main():
    """Compiles all kernels for all GPUs."""
    harness.read_options(__doc__, rounds=1)
    rows = []
    for name, kernel in KERNELS.items():
        for capability, dtype in TARGETS.items():
            ptx = compile_kernel(*kernel, capability, dtype)
            found = count_registers(ptx, capability)
            registers, spilled, instructions, special = found
            row = {"kernel": name, "GPU": f"sm_{capability}", "type": dtype}
            row.update(registers=registers, spilled=f"{spilled} bytes")
            row["loop"] = f"{instructions} ({special} special)"
            if instructions < 10:  # none but the one that ends a program
                row["loop"] = "-"
            harness.add_row(rows, row)
    about = {"triton": triton.__version__}
    harness.write_results("kernels", about, {"Registers": ("", rows)})


if __name__ == "__main__":
    main()
