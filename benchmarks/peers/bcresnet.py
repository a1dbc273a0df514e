"""BC-ResNet: convolutions over time, broadcast over frequency.

Kim et al., Broadcasted Residual Learning for Efficient Keyword Spotting
(https://arxiv.org/abs/2106.04140): layers as in its Table 1, for 40 mel bins.

Authors
 * The speechbrain_fftp authors 2026
"""

from peers import inside
from torch import nn

BANDS = 5  # of SubSpectralNorm, each with statistics of its own
# Of each stage: number of blocks, channels (times the scale), step along
# frequency, dilation along time.
STAGES = ((2, 8, 1, 1), (2, 12, 2, 2), (4, 16, 2, 4), (4, 20, 1, 8))


class SubSpectralNorm(nn.BatchNorm2d):
    """Batch normalization of each frequency band (arXiv 2103.13620)."""

    def __init__(self, channels):
        super().__init__(BANDS * channels)

    def forward(self, x):
        """Maps ``[B, C, F, T]`` to the same shape; F is a multiple of 5."""
        b, c, f, t = x.shape
        x = super().forward(x.reshape(b, c * BANDS, f // BANDS, t))
        return x.view(b, c, f, t)


class Block(nn.Module):
    """A block; the first one of a stage changes channels and has no skip."""

    def __init__(self, before, channels, step, dilation, first):
        super().__init__()
        self.first = first
        self.widen = nn.Identity()
        if first:
            self.widen = nn.Sequential(
                nn.Conv2d(before, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
        depthwise = {"groups": channels, "bias": False}
        self.frequency = nn.Sequential(
            nn.Conv2d(
                channels, channels, (3, 1), (step, 1), (1, 0), **depthwise
            ),
            SubSpectralNorm(channels),
        )
        self.time = nn.Sequential(
            nn.Conv2d(
                channels,
                channels,
                (1, 3),
                padding=(0, dilation),
                dilation=(1, dilation),
                **depthwise,
            ),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Dropout2d(0.1),
        )

    def forward(self, x):
        """Maps ``[B, C, F, T]`` to ``[B, C', F', T]``."""
        maps = self.frequency(self.widen(x))
        out = maps + self.time(maps.mean(2, keepdim=True))
        return (out if self.first else out + x).relu()


class BCResNet(nn.Module):
    """BC-ResNet-``scale`` without its last, linear layer.

    The mean over time is of a clip's own frames.

    Example
    -------
    >>> BCResNet(scale=1)(torch.rand(2, 98, 40)).shape
    torch.Size([2, 1, 32])
    """

    def __init__(self, scale):
        super().__init__()
        before = 16 * scale
        layers = [
            nn.Conv2d(1, before, 5, (2, 1), 2, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(),
        ]
        for blocks, channels, step, dilation in STAGES:
            channels *= scale
            for i in range(blocks):
                first = i == 0
                layers.append(
                    Block(
                        before, channels, step if first else 1, dilation, first
                    )
                )
                before = channels
        self.layers = nn.Sequential(
            *layers,
            nn.Conv2d(
                before, before, 5, padding=(0, 2), groups=before, bias=False
            ),
            nn.Conv2d(before, 32 * scale, 1, bias=False),
            nn.BatchNorm2d(32 * scale),
            nn.ReLU(),
        )

    def forward(self, feats, lens=None):
        """Maps features ``[B, T, 40]`` to embeddings ``[B, 1, 32 scale]``."""
        if lens is None:
            lens = feats.new_ones(len(feats))
        valid = inside(lens, feats.shape[1])[:, :, None]
        # [B, T, F] -> [B, 1, F, T] -> [B, C, 1, T] -> [B, T, C]
        maps = self.layers((feats * valid).transpose(1, 2).unsqueeze(1))
        maps = maps.squeeze(2).transpose(1, 2)
        return (maps * valid).sum(1, keepdim=True) / valid.sum(1, keepdim=True)
