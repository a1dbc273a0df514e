"""Tests that files are tagged without torch and SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

SCRIPT = """
import sys

for name in ("torch", "torchaudio", "speechbrain", "hyperpyyaml"):
    sys.modules[name] = None  # importing it raises ImportError

import numpy as np
import soundfile

import speechbrain_fftp.cli.main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.live import stream_events


class Engine:
    labels = ["loud", "quiet"]
    sample_rate, max_samples, min_samples = 16000, 32000, 400
    frame_samples, single_label, thresholds = 160, False, None
    has_frames = False

    def probabilities(self, wavs, wav_lens=None):
        loud = np.abs(wavs).mean(1)
        return np.stack([loud, 1 - loud], 1).astype(np.float32)

    def embeddings(self, wavs):
        return np.abs(wavs).mean(1, keepdims=True)


tagger = AudioTagger(Engine())
wav = np.zeros(5 * 44100)
wav[2 * 44100 : 4 * 44100] = 0.9
path = sys.argv[1]
soundfile.write(path, wav, 44100)
[first, _] = tagger.tag_file(path)
assert first.label == "quiet" and first.probability > 0.9
[row] = tagger.tag_files([path])
assert row.tags[0] == first
[event] = [e for e in tagger.tag_long(path, 0.5, 0.1) if e.label == "loud"]
assert abs(event.start - 2) < 0.1 and abs(event.end - 4) < 0.1
[block] = [wav[::2].astype(np.float32)]
live = list(stream_events(tagger, [block], 0.5, 0.1))
assert {e.label for e in live} == {"loud", "quiet"}
print(tagger.embed_file(path).shape)
"""


def test_files_are_tagged_without_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "clip.wav")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1,)\n"
