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
    PITCHES,
    RATE,
    STEP,
    STEPS,
    expected_clip,
    expected_steps,
    expected_tokens,
    sounds,
    write_model,
)

from fftp_tag import AudioTagger, FileTags, progress
from fftp_tag.tag.tagger import join_pieces
from speechbrain_fftp.dataio import audio
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


def test_windows_by_default(clip_tagger):
    assert clip_tagger.check_window() == (2000, 500)
    assert clip_tagger.check_window(1.0) == (1000, 250)
    assert clip_tagger.check_window(0.1, None) == (100, 25)
    for options in (
        {"window": 0.09},
        {"window": 2.1},
        {"window": float("nan")},
        {"hop": 0.009},
        {"hop": 1e308},
        {"hop": float("inf")},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            clip_tagger.analyze(sounds(1), RATE, **options)


def test_the_default_hop_is_at_least_a_frame(folder):
    path = write_model(folder / "frame.onnx", frame_samples=30)
    tagger = AudioTagger.from_pretrained(path)
    assert tagger.check_window(0.1) == (100, 30)


def test_models_of_time_steps_have_no_windows(step_tagger):
    for options in ({"window": 1.0}, {"hop": 1.0}):
        with pytest.raises(InputError):
            step_tagger.tag_long(sounds(1), RATE, **options)


def test_events_are_where_the_tones_are(step_tagger):
    wav = 0.001 * np.random.default_rng(0).standard_normal(9000)
    spans = {"Low": (0.5, 3.1), "High": (2.9, 5.0), "Middle": (8.0, 9.0)}
    for label, (start, end) in spans.items():
        time = np.arange(round(start * RATE), round(end * RATE))
        wav[time] += 0.8 * np.cos(2 * np.pi * PITCHES[label] * time / RATE)
    events = step_tagger.tag_long(wav, RATE)
    assert [event.label for event in events] == list(spans)
    for event in events:
        expected = spans[event.label]
        assert (event.start, event.end) == pytest.approx(expected, abs=0.05)


@lengths
def test_an_embedding_is_the_mean_over_pieces(clip_tagger, n_samples):
    wav = sounds(n_samples / RATE)
    expected = [expected_tokens(piece).mean(0) for piece in pieces(wav)]
    found = clip_tagger.embed_file(wav, RATE)
    np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-6)


@pytest.fixture(scope="module")
def fast_tagger(folder):
    """The model of clips, of samples at 16 kHz."""
    path = write_model(folder / "fast.onnx", sample_rate=16000)
    return AudioTagger.from_pretrained(path)


def test_arrays_of_any_rate_are_like_files(fast_tagger, tmp_path):
    rng = np.random.default_rng(0)
    wav = 0.3 * rng.standard_normal((20000, 2))
    path = write(tmp_path / "a.wav", wav, 44100)
    expected = fast_tagger.tag_file(path)
    found = fast_tagger.tag_file(wav, 44100)
    with open(path, "rb") as file:
        assert fast_tagger.tag_file(file.read()) == expected
    assert fast_tagger.tag_file(tmp_path / "a.wav") == expected
    for ours, theirs in zip(found, expected):
        assert ours.label == theirs.label
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-6)
    assert len(found) == len(expected) == 3
    with pytest.raises(InputError, match="sample_rate"):
        fast_tagger.tag_file(wav)


def test_a_low_sampling_rate_is_warned_of_once(fast_tagger, tmp_path, caplog):
    audio.LOW_RATES.clear()
    paths = []
    for number, rate in enumerate((8000, 8000, 11025, 16000)):
        path = tmp_path / f"{number}.wav"
        paths.append(write(path, np.full(4000, 0.1), rate))
    assert all(x.tags for x in fast_tagger.tag_files(paths))
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert " 8000 Hz" in texts[0] + texts[1] and "11025 Hz" in caplog.text


def test_many_files_in_order(clip_tagger, tmp_path):
    rng = np.random.default_rng(0)
    expected = []
    for number in range(40):
        path = tmp_path / f"{number}.wav"
        write(path, sounds(rng.uniform(0.03, 3), seed=number))
        tags = clip_tagger.tag_file(path, top_k=2)
        expected.append(FileTags(str(path), tags))
    assert len({row.tags[0].probability for row in expected}) == 40
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    late = tmp_path / "late.wav"  # unreadable after its first windows
    wav = 0.1 * np.ones(60 * RATE)
    wav[-1] = np.nan
    write(late, wav)
    paths = [row.file for row in expected]
    wrong = [bad, late, tmp_path / "missing.wav", tmp_path]
    for place, path in zip((0, 7, 9, 44), wrong):
        paths.insert(place, path)
        expected.insert(place, None)
    for num_workers in (1, 3):
        rows = clip_tagger.tag_files(paths, 2, num_workers=num_workers)
        for path, row, right in zip(paths, rows, expected, strict=True):
            assert row.file == str(path)
            if right is None:
                assert row.tags is None and str(path) in row.error
            else:
                assert row == right
        assert rows.gi_frame is None


@pytest.mark.parametrize(
    "paths", ["a.wav", b"a.wav", Path("a.wav"), [b"RIFF"], sounds(1), [None]]
)
def test_what_is_no_list_of_paths(clip_tagger, paths):
    with pytest.raises(InputError, match="list of paths"):
        next(clip_tagger.tag_files(paths))


def test_progress_of_many_files(clip_tagger, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    path = write(tmp_path / "a.wav", sounds(1))
    for paths, total in (([path] * 3, "3"), (iter([path] * 3), "?")):
        assert len(list(clip_tagger.tag_files(paths, progress=True))) == 3
        lines = capsys.readouterr().err.splitlines()
        assert [x.split(" files")[0] for x in lines] == [
            f"{n} of {total}" for n in (1, 2, 3)
        ]
    list(clip_tagger.tag_files([path]))
    assert not capsys.readouterr().err


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
    assert STEPS["step_samples"] == STEP
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
