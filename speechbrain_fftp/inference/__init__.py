"""Audio tagging with trained models.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.inference.events import Event
from speechbrain_fftp.inference.tagging import AudioTagger, Tag
