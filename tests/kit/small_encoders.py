"""Small encoders of each kind, with each kind of patches.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.nnet.stem import ConvStemEmbedding

PATCHES = {
    "FFTP": lambda: FFTPEmbedding(16, 24, patch_frames=10, stride_frames=4),
    "square": lambda: SquarePatchEmbedding(16, 24, patch_size=8, stride=5),
    "stem": lambda: ConvStemEmbedding(16, 24, 11, 4, channels=3),
}
KINDS = {
    "AST": lambda x: AST(16, 24, 2, 3, x, 60, pooling="cls+mean"),
    "AuM fo-bi": lambda x: AuM(16, 24, 2, "fo-bi", x, 60, pooling="cls+mean"),
    "AuM bi-bi": lambda x: AuM(16, 24, 2, "bi-bi", x, 60),
    "ConvNeXt1d": lambda x: ConvNeXt1d(16, 24, 2, x, kernel=3),
}


def make_encoder(kind, patches="FFTP"):
    """An encoder of 16 mel bins, in evaluation mode, whose clips differ."""
    torch.manual_seed(0)
    encoder = KINDS[kind](PATCHES[patches]())
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder.eval()
