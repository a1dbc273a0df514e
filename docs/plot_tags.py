"""Draws what a tagger finds in clips that follow each other.

Their spectrogram with the patches, the most probable classes over time (windows
of 2 s), and from which moments an AST's embedding draws.

> python docs/plot_tags.py MODEL_FOLDER docs/tags.png first.flac second.flac

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import tempfile
from pathlib import Path

import soundfile as sf
import torch

from speechbrain_fftp.inference.plots import plot_tags
from speechbrain_fftp.inference.tagging import AudioTagger


def main(folder, picture, *clips):
    """Writes the picture.

    Arguments
    ---------
    folder : str
        The inference folder of a trained model.
    picture : str
        The PNG or SVG file to write.
    *clips : tuple of str
        Audio files.
    """
    tagger = AudioTagger.from_pretrained(folder)
    wav = torch.cat([tagger.load_wav(clip) for clip in clips])
    with tempfile.TemporaryDirectory() as scratch:
        joined = Path(scratch) / "joined.wav"
        sf.write(joined, wav, tagger.hparams.sample_rate)
        times, probs = tagger.timeline(joined, window=2.0, hop=0.25)
    plot_tags(wav, tagger, times, probs, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
