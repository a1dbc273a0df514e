"""Audio tagging with trained models.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.inference.events import Event, Tag, Timeline
from speechbrain_fftp.inference.many_files import FileTags
from speechbrain_fftp.inference.tagger import AudioTagger
