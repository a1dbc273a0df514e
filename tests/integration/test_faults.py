"""Tests of the AudioSet recipe under faults: none of them loses anything.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from kills import kill_runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "kills, format", [(2, "flac"), (2, "webdataset"), (20, "flac")]
)
def test_random_kills(kills, format, data_folder, tmp_path):
    """While preparing, training or exporting; each run is then finished."""
    struck, lost = kill_runs(kills, tmp_path, data_folder, format=format)
    assert sum(struck.values()) == kills
    assert not lost
