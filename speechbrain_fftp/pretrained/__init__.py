"""Loads checkpoints of published models, and starts training from them.

``families`` is the table of what can be loaded, ``hub`` finds a model,
``square`` and ``start`` reuse its weights.

Authors
 * The speechbrain_fftp authors 2026
"""

from fftp_tag.model.hub import find_checkpoint
from speechbrain_fftp.pretrained.families import load_ast, load_aum
from speechbrain_fftp.pretrained.square import square_to_fftp
from speechbrain_fftp.pretrained.start import start_from
