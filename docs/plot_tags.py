"""Draws the tags of concatenated clips over time.

Rows: spectrogram with patches; the most probable classes over time, and the
events of the model's thresholds.

> python docs/plot_tags.py MODEL_FOLDER docs/tags.png first.flac second.flac

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.plots import plot_tags


def main(folder, picture, *clips):
    """Tags audio files with an inference folder; writes a PNG or SVG file."""
    tagger = AudioTagger.from_pretrained(folder)
    wav = np.concatenate([tagger.load_wav(clip) for clip in clips])
    with tempfile.TemporaryDirectory() as scratch:
        joined = Path(scratch) / "joined.wav"
        sf.write(joined, wav, tagger.sample_rate)
        timeline = tagger.analyze(joined)
    events = timeline.events("auto", merge_gap=1.0)
    plot_tags(picture, tagger, wav, timeline, events)


if __name__ == "__main__":
    main(*sys.argv[1:])
