"""Launches of the Triton kernels on a GPU that is not there.

A driver stands in for CUDA's: each launch goes through Triton's own binding of
its arguments, and compiles the kernel for a GPU, but does not run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.nnet.mamba import Mamba

pytest.importorskip("triton", reason="Triton is not installed")
if torch.cuda.is_available():
    pytest.skip("a GPU runs the kernels", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.runtime import driver  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

FIND = "speechbrain_fftp.nnet.selective_scan.find_backend"


class NoGPU:
    """What Triton asks a driver when it compiles."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


@pytest.fixture
def launched(monkeypatch):
    """The kernels that were launched, and their machine code."""
    found, run = [], JITFunction.run

    def compile_only(self, *args, grid, warmup, **options):
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        found.append((self.fn.__name__, kernel.asm["cubin"]))
        return kernel

    monkeypatch.setattr(JITFunction, "run", compile_only)
    monkeypatch.setattr(FIND, lambda *_: "triton")
    monkeypatch.setattr(driver, "_active", NoGPU())
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
def test_a_layer_launches_kernels_that_compile(launched, bidirectional, dtype):
    layer = Mamba(32, bidirectional, expand=3)
    x, lengths = torch.randn(2, 70, 32), torch.tensor([70, 33])
    with torch.autocast("cpu", torch.bfloat16, dtype is torch.bfloat16):
        out = layer(x, lengths)
    scans = 2 if bidirectional == "bi-bi" else 1
    names = [name for name, _ in launched]
    assert names == ["forward"] * scans
    out.float().sum().backward()
    assert [name for name, _ in launched[scans:]] == ["backward"] * scans
    assert all(code.startswith(b"\x7fELF") for _, code in launched)


def test_segments_of_few_clips_are_launches_that_compile(launched, monkeypatch):
    from speechbrain_fftp.nnet.selective_scan import triton_backend

    monkeypatch.setattr(triton_backend, "PROGRAMS", 99)
    with torch.no_grad():
        Mamba(32)(torch.randn(1, 100, 32))
    assert [name for name, _ in launched] == ["forward"] * 2
    assert len({code for _, code in launched}) == 2
