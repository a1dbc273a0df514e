"""Makes the scripts of the benchmarks importable.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
