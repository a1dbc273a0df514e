"""Tests of AudioTagger on files, bytes and arrays of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from small_models import random_sounds, tones
from tiny_onnx import (
    GAIN,
    LONGEST,
    PATCH,
    RATE,
    STEP,
    expected_tokens,
    sounds,
    write_model,
)

from fftp_tag import AudioTagger
from fftp_tag.tag import tagger as tagger_module

# In samples: shorter than a patch, a piece, little more, several pieces, and
# more pieces than a batch has
LENGTHS = [30, LONGEST, LONGEST + 1, 2020, 7401, 17 * LONGEST + 33]


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


def pieces(wav):
    """Consecutive pieces, of which the last ends with the file."""
    starts = [*range(0, len(wav) - LONGEST, LONGEST)]
    starts.append(max(len(wav) - LONGEST, 0))
    return [wav[start : start + LONGEST] for start in starts]


def test_the_note_of_a_model_is_a_warning(tmp_path, caplog):
    load(tmp_path, note="Knows pitches only.")
    path = tmp_path / "model.onnx"
    assert caplog.messages == [f"{path}: Knows pitches only."]


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


@pytest.mark.parametrize("thresholds", [None, [0.1] * 3])
def test_a_file_is_read_once_and_windows_cost_no_more(
    tmp_path, monkeypatch, thresholds
):
    """Than tags; events that depend on tags cost these as well."""
    path = write_model(
        tmp_path / "a.onnx", max_samples=5000, thresholds=thresholds
    )
    tagger = AudioTagger.from_pretrained(path)
    opened, n_run = [], 0
    read, run = tagger_module.read_blocks, tagger.model.session.run

    def counted_read(*args):
        opened.append(args)
        return read(*args)

    class Session:
        """Counts samples."""

        get_inputs = tagger.model.session.get_inputs

        def run(self, outputs, inputs):
            nonlocal n_run
            n_run += inputs["wavs"].size
            return run(outputs, inputs)

    monkeypatch.setattr(tagger_module, "read_blocks", counted_read)
    monkeypatch.setattr(tagger.model, "session", Session())
    wav = sounds(40)
    events = tagger.tag_long(wav, RATE)
    assert len(opened) == 1 and n_run == len(wav) * (1 + bool(thresholds))
    timeline = tagger.analyze(wav, RATE)
    assert len(opened) == 2 and timeline.events() == events
    assert events or not thresholds


@pytest.mark.parametrize("window, hop", [(0.5, 0.3), (0.9, 0.9)])
@pytest.mark.parametrize("n_samples", [30, 5678])
def test_timeline_of_windows(clip_tagger, window, hop, n_samples):
    wav = sounds(n_samples / RATE)
    found = clip_tagger.analyze(wav, RATE, window, hop)
    size, last = round(window * RATE), max(n_samples - round(window * RATE), 0)
    starts = np.array([*range(0, last, round(hop * RATE)), last])
    means = [expected_tokens(wav[s : s + size]).mean(0) for s in starts]
    expected = np.minimum(GAIN * np.array(means), 1)
    np.testing.assert_allclose(found.probs, expected, atol=1e-6)
    centres = starts + min(size, n_samples) / 2
    np.testing.assert_allclose(found.times, centres / RATE)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n_samples=st.integers(LONGEST, 20 * LONGEST))
def test_predictions_are_far_from_the_ends_of_pieces(step_tagger, n_samples):
    """By at least half of the overlap, except at the ends of the file."""

    def run(outputs, wavs):
        """Predictions are their distance from the nearer end."""
        starts = np.arange(0, wavs.shape[1] - PATCH + 1, STEP)
        ends = wavs.shape[1] - starts - PATCH
        nearer = np.minimum(starts, ends) + PATCH / 2
        rows = np.tile(nearer[None, :, None], (len(wavs), 1, 3))
        return [rows, rows.max(1)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_tagger.model, "run", run)
        wav = np.zeros(n_samples, np.float32)
        found = step_tagger.analyze(wav, RATE)
    centres = found.times * RATE
    own = np.minimum(centres, n_samples - centres)
    least = np.minimum(own, LONGEST / 10 / 2)
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
