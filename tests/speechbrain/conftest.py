"""The fixture ``device`` of SpeechBrain's unit tests.

Imports of SpeechBrain in these tests find this package.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

import speechbrain_fftp

speechbrain_fftp.register()

# Tests that need a checkout of SpeechBrain
collect_ignore = [
    "test_audioset_recipe.py",
    "test_gsc_recipe.py",
    "test_interrupted_checkpoint.py",
]


@pytest.fixture
def device():
    """The device to test on."""
    return "cpu"
