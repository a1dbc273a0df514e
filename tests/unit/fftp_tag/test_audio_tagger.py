"""Tests of AudioTagger on files, bytes and arrays of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

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

from fftp_tag import AudioTagger, FileTags
from fftp_tag.tag.tagger import join_pieces
from speechbrain_fftp.dataio.errors import InputError

# In samples: shorter than a patch, a piece, little more, several pieces, and
# more pieces than a batch has
LENGTHS = [30, LONGEST, LONGEST + 1, 2020, 7401, 17 * LONGEST + 33]
lengths = pytest.mark.parametrize("n_samples", LENGTHS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def clip_tagger(folder):
    """Of a model of clips."""
    path = write_model(folder / "clips.onnx")
    return AudioTagger.from_pretrained(path, threads=1)


@pytest.fixture(scope="module")
def step_tagger(folder):
    """Of a model of time steps."""
    path = write_model(folder / "steps.onnx", has_steps=True)
    return AudioTagger.from_pretrained(path, threads=1)


@pytest.fixture(params=["clips", "steps"])
def tagger(request, clip_tagger, step_tagger):
    return {"clips": clip_tagger, "steps": step_tagger}[request.param]


def write(path, wav, rate=RATE):
    sf.write(path, wav, rate, "FLOAT")
    return str(path)


def pieces(wav):
    """Consecutive pieces, of which the last ends with the file."""
    starts = [*range(0, len(wav) - LONGEST, LONGEST)]
    starts.append(max(len(wav) - LONGEST, 0))
    return [wav[start : start + LONGEST] for start in starts]


def test_the_note_of_a_model_is_a_warning(folder, caplog):
    AudioTagger.from_pretrained(write_model(folder / "quiet.onnx"))
    assert not caplog.records
    path = write_model(folder / "note.onnx", note="Knows pitches only.")
    AudioTagger.from_pretrained(path)
    assert caplog.messages == [f"{path}: Knows pitches only."]


@lengths
def test_tags_are_those_of_the_timeline(tagger, tmp_path, n_samples):
    wav = sounds(n_samples / RATE)
    path = write(tmp_path / "a.wav", wav)
    if tagger.model.has_steps:
        expected = expected_steps(wav).max(0)
    else:
        expected = np.max([expected_clip(piece) for piece in pieces(wav)], 0)
    timeline = tagger.analyze(path)
    assert timeline.duration == n_samples / RATE
    np.testing.assert_allclose(timeline.clip_probs, expected, atol=1e-6)
    found = tagger.clip_probabilities(path)
    np.testing.assert_array_equal(found, timeline.clip_probs)
    tags = tagger.tag_file(path)
    assert tags == timeline.tags() and len(tags) == 3
    assert tags == next(tagger.tag_files([path])).tags
    for threshold in (0.2, [0.5, 0.1, 0.9]):
        tags = tagger.tag_file(path, top_k=2, threshold=threshold)
        assert tags == timeline.tags(2, threshold)
        events = tagger.tag_long(path, threshold=threshold, merge_gap=0.2)
        assert events == timeline.events(threshold, merge_gap=0.2)
        for event in events:
            assert 0 <= event.start < event.end <= timeline.duration


@lengths
def test_time_steps_are_as_if_found_at_once(step_tagger, tmp_path, n_samples):
    wav = sounds(n_samples / RATE)
    path = write(tmp_path / "a.wav", wav)
    times, probs = step_tagger.frame_probabilities(path)
    expected = expected_steps(wav)
    np.testing.assert_allclose(probs, expected, atol=1e-5)
    centres = (PATCH / 2 + STEP * np.arange(len(expected))) / RATE
    np.testing.assert_allclose(times, centres)
    assert probs.max() > 4 * probs.min()


@pytest.mark.parametrize("longest", [PATCH, PATCH + 7, PATCH + STEP, 333])
def test_short_models_of_time_steps(folder, longest):
    """Even one whose pieces are single time steps."""
    path = write_model(
        folder / "short.onnx", has_steps=True, max_samples=longest
    )
    tagger = AudioTagger.from_pretrained(path)
    for n_samples in (40, longest, longest + 20, 700, 731):
        wav = sounds(n_samples / RATE)
        found = tagger.analyze(wav, RATE)
        np.testing.assert_allclose(found.probs, expected_steps(wav), atol=1e-5)
        assert len(found.times) == len(found.probs)
        found.events(0.0)


@pytest.mark.parametrize("window, hop", [(0.5, 0.3), (2.0, 0.125), (0.9, 0.9)])
@pytest.mark.parametrize("n_samples", [30, 333, 5678])
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
    assert found.duration == n_samples / RATE


def test_windows_that_do_not_suit_the_model(clip_tagger, step_tagger):
    assert clip_tagger.check_window() == (2000, 500)
    assert clip_tagger.check_window(0.1, None) == (100, 25)
    for options in ({"window": 0.09}, {"window": 2.1}, {"hop": 0.009}):
        with pytest.raises(InputError, match=next(iter(options))):
            clip_tagger.analyze(sounds(1), RATE, **options)
    with pytest.raises(InputError, match="time steps"):
        step_tagger.tag_long(sounds(1), RATE, window=1.0)


@lengths
def test_an_embedding_is_the_mean_over_pieces(clip_tagger, n_samples):
    wav = sounds(n_samples / RATE)
    expected = [expected_tokens(piece).mean(0) for piece in pieces(wav)]
    found = clip_tagger.embed_file(wav, RATE)
    np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-6)


def test_many_files_in_order(clip_tagger, tmp_path):
    """With an error in place of the tags of a file that cannot be read."""
    expected = []
    for number in range(20):
        path = write(tmp_path / f"{number}.wav", sounds(1 + number / 9, number))
        expected.append(FileTags(path, clip_tagger.tag_file(path, top_k=2)))
    paths = [row.file for row in expected]
    late = 0.1 * np.ones(60 * RATE)  # unreadable after its first windows
    late[-1] = np.nan
    paths[3] = write(tmp_path / "late.wav", late)
    paths[7] = str(tmp_path / "missing.wav")
    for num_workers in (1, 3):
        rows = clip_tagger.tag_files(paths, 2, num_workers=num_workers)
        for number, row in enumerate(rows):
            if number in (3, 7):
                assert row.tags is None and paths[number] in row.error
            else:
                assert row == expected[number]
        assert number == 19
    with pytest.raises(InputError, match="list of paths"):
        next(clip_tagger.tag_files("a.wav"))


METHODS = [
    AudioTagger.tag_file,
    AudioTagger.tag_long,
    AudioTagger.analyze,
    AudioTagger.clip_probabilities,
    AudioTagger.frame_probabilities,
    AudioTagger.embed_file,
]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_an_array_with_its_rate(tagger, tmp_path, method):
    wav = sounds(3)
    expected = method(tagger, write(tmp_path / "a.wav", wav))
    found = method(tagger, wav, sample_rate=RATE)
    if method is AudioTagger.analyze:
        found, expected = found.probs, expected.probs
    np.testing.assert_equal(found, expected)
    with pytest.raises(InputError, match="sample_rate"):
        method(tagger, wav)


def test_an_encoder_without_classes_gives_embeddings_only(folder, tmp_path):
    path = write_model(folder / "encoder.onnx", labels=[])
    tagger = AudioTagger.from_pretrained(path)
    assert tagger.labels == [] and tagger.max_seconds == 2
    wav = sounds(0.5)
    found = tagger.embed_file(wav, RATE)
    np.testing.assert_allclose(found, expected_tokens(wav).mean(0), atol=1e-6)
    for use in (tagger.tag_file, tagger.tag_long, tagger.frame_probabilities):
        with pytest.raises(InputError, match="encoder.onnx"):
            use(wav, RATE)


def test_pieces_fade_into_each_other():
    first, second = np.random.default_rng(0).random((2, 11, 2))
    probs = join_pieces([(0, first), (8, second)])
    np.testing.assert_allclose(probs[:8], first[:8], rtol=1e-5)
    np.testing.assert_allclose(probs[11:], second[3:], rtol=1e-5)
    for i in range(3):
        expected = ((3 - i) * first[8 + i] + (1 + i) * second[i]) / 4
        np.testing.assert_allclose(probs[8 + i], expected, rtol=1e-5)


def test_pieces_overlap_and_begin_at_time_steps(step_tagger):
    starts, ends = [], []
    for windows in step_tagger.pieces(sounds(17.77), RATE):
        starts += windows.starts.tolist()
        ends += windows.ends.tolist()
    assert starts[0] == 0 and ends[-1] == 17770
    assert all(start % STEP == 0 for start in starts)
    overlaps = [end - start for end, start in zip(ends, starts[1:])]
    assert min(overlaps) >= max(0.1 * LONGEST, PATCH + STEP)


@pytest.fixture(scope="module")
def trained(tones_file):
    """A tiny model of time steps, which was trained on clips of 3 s."""
    return AudioTagger.from_pretrained(tones_file)


@pytest.mark.parametrize("seconds", [3, 10])
def test_sounds_are_found_where_they_are(trained, seconds):
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
