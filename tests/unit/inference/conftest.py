"""What several tests of inference share.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.inference import AudioTagger


@pytest.fixture(scope="module")
def tagger(exported):
    """The tiny model, loaded from its inference folder."""
    return AudioTagger.from_pretrained(exported[1])
