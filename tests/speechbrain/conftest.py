"""The fixture that SpeechBrain gives to its unit tests.

Where these import SpeechBrain, they get this package.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

import speechbrain_fftp

speechbrain_fftp.register()

# Of recipes and of a fix, in a checkout of SpeechBrain
collect_ignore = [
    "test_audioset_recipe.py",
    "test_gsc_recipe.py",
    "test_interrupted_checkpoint.py",
]


@pytest.fixture
def device():
    """The device to test on."""
    return "cpu"
