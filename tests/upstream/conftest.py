"""The fixture that SpeechBrain gives to its unit tests.

The tests of this folder go to SpeechBrain; here, they test this package.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

collect_ignore = ["test_gsc_recipe.py"]  # of a recipe of SpeechBrain


@pytest.fixture
def device():
    """The device to test on."""
    return "cpu"
