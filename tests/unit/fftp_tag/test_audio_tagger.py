"""Tests of AudioTagger on files, bytes and arrays of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import GAIN, LONGEST, RATE, expected_tokens, sounds, write_model

from fftp_tag import AudioTagger

# In samples: shorter than a patch, a piece, little more, several pieces, and
# more pieces than a batch has
LENGTHS = [30, LONGEST, LONGEST + 1, 2020, 7401, 17 * LONGEST + 33]


@pytest.fixture(scope="module", params=["clips", "steps"])
def tagger(request, tmp_path_factory):
    """Of a model of clips, and of a frame-level one."""
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    write_model(path, is_frame_level=request.param == "steps")
    return AudioTagger.from_pretrained(path, threads=1)


def pieces(wav):
    """Consecutive pieces, of which the last ends with the file."""
    starts = [*range(0, len(wav) - LONGEST, LONGEST)]
    starts.append(max(len(wav) - LONGEST, 0))
    return [wav[start : start + LONGEST] for start in starts]


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_all_methods_agree(tagger, tmp_path, n_samples):
    """On files, bytes and arrays, with what is computed by hand."""
    wav = sounds(n_samples / RATE)
    path = tmp_path / "a.wav"
    sf.write(path, wav, RATE, "FLOAT")
    of_pieces = [expected_tokens(piece).mean(0) for piece in pieces(wav)]
    expected = np.minimum(GAIN * np.max(of_pieces, 0), 1)
    if tagger.model.is_frame_level:
        expected = np.minimum(GAIN * expected_tokens(wav).max(0), 1)
    else:
        found = tagger.embed_file(wav, RATE)
        np.testing.assert_allclose(found, np.mean(of_pieces, 0), atol=1e-6)
    timeline = tagger.analyze(path)
    assert timeline.duration == n_samples / RATE
    np.testing.assert_allclose(timeline.clip_probs, expected, atol=1e-6)
    for source in (str(path), path.read_bytes(), wav):
        found = tagger.clip_probabilities(source, RATE)
        np.testing.assert_array_equal(found, timeline.clip_probs)
        times, probs = tagger.frame_probabilities(source, RATE)
        np.testing.assert_array_equal(times, timeline.times)
        np.testing.assert_array_equal(probs, timeline.probs)
        assert tagger.tag_file(source, RATE) == timeline.tags()
        for threshold in (0.2, [0.5, 0.1, 0.9]):
            tags = tagger.tag_file(source, RATE, 2, threshold)
            assert tags == timeline.tags(2, threshold)
            rules = {"threshold": threshold, "merge_gap": 0.2}
            events = tagger.tag_long(source, RATE, **rules)
            assert events == timeline.events(**rules)


@pytest.mark.parametrize("window, hop", [(0.5, 0.3), (0.9, 0.9)])
@pytest.mark.parametrize("n_samples", [30, 5678])
def test_timeline_of_windows(tmp_path, window, hop, n_samples):
    tagger = AudioTagger.from_pretrained(write_model(tmp_path / "model.onnx"))
    wav = sounds(n_samples / RATE)
    found = tagger.analyze(wav, RATE, window, hop)
    size, last = round(window * RATE), max(n_samples - round(window * RATE), 0)
    starts = np.array([*range(0, last, round(hop * RATE)), last])
    means = [expected_tokens(wav[s : s + size]).mean(0) for s in starts]
    expected = np.minimum(GAIN * np.array(means), 1)
    np.testing.assert_allclose(found.probs, expected, atol=1e-6)
    centres = starts + min(size, n_samples) / 2
    np.testing.assert_allclose(found.times, centres / RATE)
