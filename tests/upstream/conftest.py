"""The fixture that SpeechBrain gives to its unit tests.

The tests of this folder go to SpeechBrain; here, they test this package.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest

import speechbrain.utils

# Of recipes, in a checkout of SpeechBrain
collect_ignore = [
    "test_audio_shards.py",
    "test_audioset_recipe.py",
    "test_gsc_recipe.py",
]
# Modules that only the export has
TOOLS = Path(__file__).resolve().parents[2] / "tools"
speechbrain.utils.__path__.append(
    str(TOOLS / "upstream_files/speechbrain/utils")
)


@pytest.fixture
def device():
    """The device to test on."""
    return "cpu"
