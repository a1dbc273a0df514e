"""Draws a clip's spectrogram unmasked, with SpecAugment and with SpecMask.

Each is drawn with the grid of full-frequency temporal patches and with that of
square patches. Masked cells are gray. SpecAugment masks up to 48 bins and 192
frames, as in the original Audio Spectrogram Transformer.

> python docs/plot_specmask.py clip.flac docs/specmask.png

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torchaudio.transforms import FrequencyMasking, TimeMasking

from speechbrain.dataio import audio_io
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank

# Name, height in bins and width in frames of a patch, drawn without overlap
GRIDS = (("FFTP patches, 128 x 25", 128, 25), ("square patches", 16, 16))


def spec_augment(feats):
    """Masks bins and frames of ``[B, T, F]`` features with their mean."""
    mean = float(feats.mean())
    spectrogram = FrequencyMasking(48)(feats.transpose(1, 2), mean)
    return TimeMasking(192)(spectrogram, mean).transpose(1, 2)


def draw(plain, masked, title, bins, frames, axes):
    """Draws features ``[T, F]`` with masked cells in gray, and the patches."""
    picture = torch.where(masked == plain, plain, torch.nan).T
    colors = matplotlib.colormaps["magma"].with_extremes(bad="silver")
    axes.imshow(picture, cmap=colors, origin="lower", aspect="auto")
    for frame in range(0, len(plain), frames):
        axes.axvline(frame - 0.5, color="white", linewidth=0.4)
    for bin_ in range(0, plain.shape[1], bins):
        axes.axhline(bin_ - 0.5, color="white", linewidth=0.4)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)


def main(clip, picture):
    """Draws an audio file and writes a PNG or SVG file."""
    torch.manual_seed(5)
    wav, rate = audio_io.load(clip, channels_first=False)
    wav = AudioNormalizer()(wav, rate)[None, :160000]
    feats = DatasetNormalization()(KaldiFbank()(wav))
    versions = (
        ("none", feats),
        ("SpecAugment", spec_augment(feats)),
        ("SpecMask, 20 % of the cells", SpecMask(0.2)(feats)),
    )
    figure, axes = plt.subplots(3, 2, figsize=(10, 6), layout="constrained")
    for row, (masking, masked) in zip(axes, versions):
        for panel, (grid, bins, frames) in zip(row, GRIDS):
            draw(feats[0], masked[0], f"{masking}; {grid}", bins, frames, panel)
    figure.supxlabel("frame (10 ms)", fontsize=9)
    figure.supylabel("mel bin", fontsize=9)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
