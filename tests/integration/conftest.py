"""What several tests of recipes share.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from data_folders import write_audioset_demo


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "audioset"
    write_audioset_demo(folder, num_train=24, num_valid=8, num_eval=8)
    return folder
