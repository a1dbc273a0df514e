"""Test that workers of parallel_map can run PyTorch after their parent has.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

SCRIPT = """
import torch

from speechbrain.utils.parallel import parallel_map


def mean(value):
    return torch.full((500000,), float(value)).mean().item()


if __name__ == "__main__":
    torch.set_num_threads(2)
    mean(0)
    found = parallel_map(mean, range(20), process_count=2, progress_bar=False)
    assert list(found) == list(range(20))
"""


def test_workers_run_pytorch(tmpdir):
    # In a process of its own, which is killed if it hangs
    script = tmpdir / "script.py"
    script.write_text(SCRIPT, "utf-8")
    subprocess.run([sys.executable, str(script)], check=True, timeout=120)
