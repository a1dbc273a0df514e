"""Tests of AudioTagger on files, bytes and arrays of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from small_models import random_sounds, tones
from tiny_onnx import (
    LONGEST,
    PATCH,
    RATE,
    STEP,
    expected_clip,
    expected_steps,
    expected_tokens,
    sounds,
    write_model,
)

from fftp_tag import AudioTagger
from fftp_tag.errors import InputError

# In samples: shorter than a patch, a piece, little more, several pieces, and
# more pieces than a batch has
LENGTHS = [30, LONGEST, LONGEST + 1, 2020, 7401, 17 * LONGEST + 33]
lengths = pytest.mark.parametrize("n_samples", LENGTHS)


def load(folder, **options):
    """A model with these options."""
    path = write_model(folder / "model.onnx", **options)
    return AudioTagger.from_pretrained(path, threads=1)


@pytest.fixture(scope="module")
def clip_tagger(tmp_path_factory):
    """Of a model of clips."""
    return load(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def step_tagger(tmp_path_factory):
    """Of a frame-level model."""
    return load(tmp_path_factory.mktemp("steps"), is_frame_level=True)


@pytest.fixture(params=["clip_tagger", "step_tagger"])
def tagger(request):
    return request.getfixturevalue(request.param)


def write(path, wav, rate=RATE):
    sf.write(path, wav, rate, "FLOAT")
    return str(path)


def pieces(wav):
    """Consecutive pieces, of which the last ends with the file."""
    starts = [*range(0, len(wav) - LONGEST, LONGEST)]
    starts.append(max(len(wav) - LONGEST, 0))
    return [wav[start : start + LONGEST] for start in starts]


def test_the_note_of_a_model_is_a_warning(tmp_path, caplog):
    load(tmp_path, note="Knows pitches only.")
    path = tmp_path / "model.onnx"
    assert caplog.messages == [f"{path}: Knows pitches only."]


@lengths
def test_tags_are_those_of_the_timeline(tagger, tmp_path, n_samples):
    wav = sounds(n_samples / RATE)
    path = write(tmp_path / "a.wav", wav)
    if tagger.model.is_frame_level:
        expected = expected_steps(wav).max(0)
    else:
        expected = np.max([expected_clip(piece) for piece in pieces(wav)], 0)
    timeline = tagger.analyze(path)
    assert timeline.duration == n_samples / RATE
    np.testing.assert_allclose(timeline.clip_probs, expected, atol=1e-6)
    for source in (path, wav):
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
            for event in events:
                assert 0 <= event.start < event.end <= timeline.duration


@pytest.mark.parametrize("window, hop", [(0.5, 0.3), (0.9, 0.9)])
@pytest.mark.parametrize("n_samples", [30, 5678])
def test_timeline_of_windows(clip_tagger, window, hop, n_samples):
    wav = sounds(n_samples / RATE)
    found = clip_tagger.analyze(wav, RATE, window, hop)
    size = round(window * RATE)
    starts = [*range(0, max(n_samples - size, 0), round(hop * RATE))]
    starts.append(max(n_samples - size, 0))
    expected = [expected_clip(wav[s : s + size]) for s in starts]
    np.testing.assert_allclose(found.probs, expected, atol=1e-6)
    centres = np.array(starts) + min(size, n_samples) / 2
    np.testing.assert_allclose(found.times, centres / RATE)


def test_windows_that_do_not_suit_the_model(clip_tagger, step_tagger):
    assert clip_tagger.check_window() == (2000, 500)
    for options in ({"window": 0.09}, {"window": 2.1}, {"hop": 0.009}):
        with pytest.raises(InputError, match=next(iter(options))):
            clip_tagger.analyze(sounds(1), RATE, **options)
    with pytest.raises(InputError, match="frame-level model"):
        step_tagger.tag_long(sounds(1), RATE, window=1.0)


@lengths
def test_an_embedding_is_the_mean_over_pieces(clip_tagger, n_samples):
    wav = sounds(n_samples / RATE)
    expected = [expected_tokens(piece).mean(0) for piece in pieces(wav)]
    found = clip_tagger.embed_file(wav, RATE)
    np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-6)


def test_sources_of_all_kinds(tagger, tmp_path):
    """A path, bytes and arrays have the same tags."""
    wav = sounds(5.3)
    path = Path(write(tmp_path / "clip.wav", wav))
    stereo = np.stack([wav, wav])
    expected = tagger.clip_probabilities(path)
    assert (expected > 0.05).all()
    for source in (path.read_bytes(), wav, stereo, stereo.T):
        found = tagger.clip_probabilities(source, RATE)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_encoder_without_classes_gives_embeddings_only(tmp_path):
    tagger = load(tmp_path, labels=[])
    wav = sounds(0.5)
    found = tagger.embed_file(wav, RATE)
    np.testing.assert_allclose(found, expected_tokens(wav).mean(0), atol=1e-6)
    with pytest.raises(InputError, match="model.onnx"):
        tagger.tag_file(wav, RATE)


@pytest.mark.parametrize("n_samples", [LONGEST, 2020, 7401, 37777])
def test_predictions_are_far_from_the_ends_of_pieces(
    step_tagger, monkeypatch, n_samples
):
    """By at least half of the overlap, except at the ends of the file."""

    def run(outputs, wavs):
        """Predictions are their distance from the nearer end."""
        starts = np.arange(0, wavs.shape[1] - PATCH + 1, STEP)
        ends = wavs.shape[1] - starts - PATCH
        nearer = np.minimum(starts, ends) + PATCH / 2
        rows = np.tile(nearer[None, :, None], (len(wavs), 1, 3))
        return [rows, rows.max(1)]

    monkeypatch.setattr(step_tagger.model, "run", run)
    found = step_tagger.analyze(sounds(n_samples / RATE), RATE)
    centres = found.times * RATE
    own = np.minimum(centres, n_samples - centres)
    overlap = LONGEST / 10
    least = np.minimum(own, overlap / 2)
    assert (found.probs[:, 0] >= least - STEP).all()
    assert found.probs[:, 0].max() > LONGEST / 2 - STEP


def test_sounds_are_found_where_they_are(tones_file):
    """By a frame-level model that was trained on clips of 3 s."""
    seconds = 10
    trained = AudioTagger.from_pretrained(tones_file)
    rng = np.random.default_rng(1)
    for number in range(5):
        spans = random_sounds(rng, seconds)
        wav = tones(seconds, spans, seed=100 + number)
        events = trained.tag_long(wav, trained.sample_rate)
        found = {event.label: event for event in events}
        assert len(events) == len(found) == 3
        for label, start, end in spans:
            assert found[label].start == pytest.approx(start, abs=0.1)
            assert found[label].end == pytest.approx(end, abs=0.1)
