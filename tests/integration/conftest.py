"""What several tests of recipes share.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from data_folders import write_lists


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    """Clips of 10 s in AudioSet's form. Tests must not change it."""
    folder = tmp_path_factory.mktemp("data") / "audioset"
    write_lists(folder, seconds=10, balanced_train=24, valid=8, eval=8)
    return folder
