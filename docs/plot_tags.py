"""Draws the tags of concatenated clips over time.

Rows: spectrogram; the most probable classes over time, and the events.

> python docs/plot_tags.py MODEL docs/tags.png first.flac second.flac

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import numpy as np

from fftp_tag import AudioTagger
from fftp_tag.plots import plot_tags
from speechbrain_fftp.dataio.audio import read_audio


def main(model, picture, *clips):
    """Tags audio files with a model; writes a PNG or SVG file."""
    tagger = AudioTagger.from_pretrained(model)
    rate = tagger.sample_rate
    wav = np.concatenate([read_audio(clip, rate) for clip in clips])
    timeline = tagger.analyze(wav, rate)
    plot_tags(picture, tagger, wav, timeline, timeline.events(), rate)


if __name__ == "__main__":
    main(*sys.argv[1:])
