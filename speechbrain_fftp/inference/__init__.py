"""Tagging with trained models.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.inference.results import Event, Tag
from speechbrain_fftp.inference.tagging import AudioTagger
