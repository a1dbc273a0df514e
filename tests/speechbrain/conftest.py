"""The fixture that SpeechBrain gives to its unit tests.

Where its tests import SpeechBrain, they get this package.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest

import speechbrain.dataio
import speechbrain.inference
import speechbrain.utils
import speechbrain_fftp

speechbrain_fftp.register()  # what they import is this package

# Of recipes, in a checkout of SpeechBrain
collect_ignore = ["test_audioset_recipe.py", "test_gsc_recipe.py"]
# Modules that only the export has
FILES = Path(__file__).resolve().parents[2] / "tools" / "upstream_files"
for package in (
    speechbrain.dataio,
    speechbrain.inference,
    speechbrain.utils,
):
    folder = FILES / package.__name__.replace(".", "/")
    package.__path__.append(str(folder))


@pytest.fixture
def device():
    """The device to test on."""
    return "cpu"
