"""Tests of timelines, events and embeddings of files of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import CLIP, RATE, hear_levels

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.inference import windows
from speechbrain_fftp.inference.windows import audio_blocks, cut_windows


def noise(samples, seed=0, channels=None):
    shape = samples if channels is None else (samples, channels)
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(
    "rate, channels", [(16000, 1), (44100, 2), (48000, 8), (8000, 1)]
)
def test_blocks_are_the_whole_file(
    tagger, tmp_path, monkeypatch, rate, channels
):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(3 * rate + 17, channels=channels), rate)
    whole = tagger.load_wav(path).numpy()
    monkeypatch.setattr(audio, "BLOCK_VALUES", 10007)
    blocks = list(audio_blocks(path, RATE))
    assert len(blocks) > 3
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(tagger.load_wav(path).numpy(), whole)


def spans_by_hand(total, size, hop):
    """Windows from a definition: as long as they fit, and one at the end."""
    starts = [
        round(k * hop) for k in range(30) if round(k * hop) + size < total
    ]
    return [(x, x + size) for x in starts] + [(max(0, total - size), total)]


@pytest.mark.parametrize("total", [1, 3, 7, 8, 9, 20, 21, 23, 24])
@pytest.mark.parametrize(
    "grids",
    [[(8, 4)], [(8, 8), (8, 4)], [(8, 8), (5, 2.5)], [(8, 8), (3, 9)]],
)
@pytest.mark.parametrize("block", [1, 6, 100])
def test_windows_do_not_depend_on_blocks(total, grids, block):
    wav = np.arange(total)
    blocks = [wav[n : n + block] for n in range(0, total, block)]
    found = list(cut_windows(blocks, grids))
    for start, end, _, samples in found:
        np.testing.assert_array_equal(samples, wav[start:end])
    for grid, (size, hop) in enumerate(grids):
        spans = [x[:2] for x in found if x[2][grid]]
        assert spans == spans_by_hand(total, size, hop)
    spans = [x[:2] for x in found]
    assert len(set(spans)) == len(spans)  # none is computed twice


def test_memory_does_not_grow_with_the_length():
    blocks = (np.zeros(2**20, np.float32) for _ in range(100))
    grids = [(160000, 160000), (32000, 80000)]
    tracemalloc.start()
    try:
        count = sum(1 for _ in cut_windows(blocks, grids))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 656 + 1312
    assert peak < 20e6 < 100 * 2**22


def test_timeline_is_tag_batch_limited_to_that_of_pieces(tagger, tmp_path):
    path = tmp_path / "clip.flac"
    levels = np.repeat(np.linspace(0.01, 0.3, 30), 48000)[:, None]
    sf.write(path, levels * noise(30 * 48000, channels=2), 48000)
    wav = tagger.load_wav(path)
    times, probs = tagger.timeline(path, window=1.0, hop=0.3)
    # The last window and the last piece end with the file
    starts = [round(0.3 * k * RATE) for k in range(97)] + [29 * RATE]
    pieces = [k * CLIP for k in range(23)] + [30 * RATE - CLIP]
    assert torch.is_floating_point(times)
    torch.testing.assert_close(times, torch.tensor(starts) / RATE + 0.5)
    limits = [tagger.tag_batch(wav[start : start + CLIP]) for start in pieces]
    limited = 0
    for start, found in zip(starts, probs):
        expected = tagger.tag_batch(wav[start : start + RATE])[0]
        around = [
            limit[0]
            for piece, limit in zip(pieces, limits)
            if piece < start + RATE and start < piece + CLIP
        ]
        limit = torch.stack(around).amax(0)
        limited += int((expected > limit).sum())
        expected = expected.minimum(limit)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert 50 < limited < 450
    clip = tagger.analyze(path, window=1.0, hop=0.3).clip_probs
    torch.testing.assert_close(clip, torch.cat(limits).amax(0))


@pytest.mark.parametrize("seconds", [0.7, 1.0, 1.29, 3.21, 5.2])
@pytest.mark.parametrize("window, hop", [(1.0, 0.3), (None, None), (0.5, 0.9)])
def test_no_event_is_more_probable_than_its_tag(
    tagger, tmp_path, monkeypatch, seconds, window, hop
):
    path, lengths, reads = tmp_path / "clip.wav", [], []
    samples = round(seconds * RATE)
    levels = np.linspace(0, 1, samples) ** 3
    sf.write(path, levels * noise(samples, seed=samples), RATE)
    tags = {x.label: x.probability for x in tagger.tag_file(path, top_k=5)}
    tag_batch, read = tagger.tag_batch, windows.audio_blocks

    def record(wavs, *lens):
        lengths.extend([wavs.shape[1]] * len(wavs))
        return tag_batch(wavs, *lens)

    monkeypatch.setattr(tagger, "tag_batch", record)
    monkeypatch.setattr(
        windows, "audio_blocks", lambda *args: reads.append(1) or read(*args)
    )
    found = tagger.analyze(path, window, hop)
    assert len(reads) == 1
    size = CLIP if window is None else round(window * RATE)
    hop = size / 2 if hop is None else hop * RATE
    expected = {
        *spans_by_hand(samples, size, hop),
        *spans_by_hand(samples, CLIP, CLIP),
    }
    assert sorted(lengths) == sorted(end - start for start, end in expected)
    assert {x.label: x.probability for x in found.tags()} == pytest.approx(tags)
    first, last = found.times[[0, -1]].tolist()
    assert first == pytest.approx(min(size, samples) / 2 / RATE)
    assert last == pytest.approx(seconds - first)
    assert found.duration == seconds
    for threshold in (0.5, 0.2, 0.01):
        for event in found.events(threshold):
            assert event.probability <= tags[event.label] + 1e-6
    assert found.events(0.01)
    monkeypatch.undo()
    assert found.events(0.2) == tagger.tag_long(path, window, hop / RATE, 0.2)


def test_what_only_a_short_window_sounds_like_is_no_event(
    tagger, tmp_path, monkeypatch
):
    """A chirp: a part of it sounds like a sonar, its edges like a beep."""
    sf.write(tmp_path / "chirp.wav", noise(RATE), RATE)

    def sounds_like(wavs, *lens):
        seconds = wavs.shape[1] / RATE
        sonar = 0.37 if seconds == 1 else 0.92
        beep = 0.01 if seconds > 0.3 else 0.9
        probs = torch.tensor([0.986, sonar, beep, 0.01, 0.01])
        return probs.repeat(len(wavs), 1)

    monkeypatch.setattr(tagger, "tag_batch", sounds_like)
    chirp, sonar = tagger.tag_file(tmp_path / "chirp.wav", top_k=2)
    assert sonar.probability == pytest.approx(0.37)
    [event] = tagger.tag_long(tmp_path / "chirp.wav", window=0.5, hop=0.125)
    assert (event.label, event.start, event.end) == (chirp.label, 0.0, 1.0)
    assert event.probability == pytest.approx(chirp.probability)


def test_a_short_clip_is_one_window(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(8000), RATE)
    times, probs = tagger.timeline(path, window=1.0, hop=0.5)
    assert times.tolist() == [0.25]
    expected = tagger.tag_batch(tagger.load_wav(path))
    torch.testing.assert_close(probs, expected)


def test_windows_by_default_are_the_longest_up_to_ten_seconds(
    tagger, shares, tmp_path
):
    sf.write(tmp_path / "a.wav", noise(5 * RATE), RATE)
    longest = tagger.max_window
    times, probs = tagger.timeline(tmp_path / "a.wav")
    for options in ((longest,), (longest, longest / 2)):
        same = tagger.timeline(tmp_path / "a.wav", *options)
        assert torch.equal(times, same[0]) and torch.equal(probs, same[1])
    assert shares.check_window() == (10.0, 5.0) and shares.max_window > 10


@pytest.mark.parametrize(
    "window, hop, message",
    [
        (10.0, 5.0, r"window=10.0 must be in 0.115..1.295 seconds"),
        (0.1, 0.1, r"window=0.1 must be in 0.115"),
        (-1.0, 0.1, "window=-1.0"),
        (float("nan"), 0.1, "window=nan"),
        (float("inf"), 0.1, "window=inf"),
        (0, None, r"window=0 must be in 0.115"),
        (1.0, 0, "hop=0 must be at least"),
        (1.0, 0.0, "hop=0.0 must be at least 0.01 seconds"),
        (1.0, -1.0, "hop=-1.0"),
        (1.0, float("nan"), "hop=nan"),
        (1.0, float("inf"), "hop=inf"),
    ],
)
def test_windows_out_of_range_are_errors(
    tagger, tmp_path, window, hop, message
):
    for function in (tagger.timeline, tagger.tag_long, tagger.analyze):
        with pytest.raises(ValueError, match=message):
            function(tmp_path / "none.wav", window=window, hop=hop)


def test_longest_and_shortest_window(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(2 * CLIP), RATE)
    assert tagger.max_window == pytest.approx(CLIP / RATE)
    for window in (tagger.max_window, 0.115):
        times, probs = tagger.timeline(path, window=window, hop=window)
        assert times[0].item() == pytest.approx(window / 2, abs=1e-4)
        assert len(times) == math.ceil(2 * CLIP / round(window * RATE))


def test_audio_shorter_than_a_patch_is_tagged_with_a_warning(
    tagger, tmp_path, caplog
):
    path, wav = str(tmp_path / "clip.wav"), noise(1840)
    sf.write(path, wav[:1600], RATE)
    calls = {
        "tag_file": lambda: tagger.tag_file(path),
        "tag_files": lambda: list(tagger.tag_files([path]))[0].tags,
        "embed_file": lambda: tagger.embed_file(path),
        "tag_long": lambda: tagger.tag_long(path, 0.2, 0.1, 0.0),
    }
    text = "is shorter than one patch of the model (0.1 of 0.115 s): its tags"
    for call in calls.values():
        assert len(call())
        [record] = caplog.records
        assert record.getMessage() == f"{path} {text} may be wrong"
        caplog.clear()
    assert len(tagger.tag(wav[:1600], RATE)) == 5
    assert f"the audio {text}" in caplog.text
    caplog.clear()
    assert len(tagger.tag(wav, RATE)) == 5 and not caplog.records


def test_threshold_of_tags(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(RATE), RATE)
    tags = tagger.tag_file(path)
    middle = tags[2].probability
    assert tagger.tag_file(path, threshold=middle) == tags[:3]
    assert tagger.tag_file(path, top_k=1, threshold=middle) == tags[:1]
    assert tagger.tag_file(path, threshold=1.0) == []
    with pytest.raises(ValueError, match="threshold=1.1"):
        tagger.tag_file(path, threshold=1.1)


def test_embedding_is_the_mean_over_windows(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(20 * CLIP + 8000), RATE)
    wav = tagger.load_wav(path)
    wavs = [*wav.split(CLIP)[:20], wav[-CLIP:]]
    each = torch.cat([tagger.encode_batch(wav) for wav in wavs])[:, 0]
    embedding = tagger.embed_file(path)
    assert embedding.shape == (24,) and len(each) == 21
    torch.testing.assert_close(embedding, each.mean(0), rtol=0, atol=1e-5)


def test_labels(exported, tagger):
    assert tagger.labels == exported[0]["labels"]


def test_progress_is_shown_on_request(tagger, tmp_path, capsys):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(3 * RATE), RATE)
    tagger.timeline(path, window=1.0, hop=0.5, progress=True)
    captured = capsys.readouterr()
    assert "clip.wav:" in captured.err and "0/8" in captured.err
    tagger.timeline(path, window=1.0, hop=0.5)
    captured_now = capsys.readouterr()
    assert not captured.out + captured_now.out + captured_now.err


class Shares(torch.nn.Module):
    """Logits of the share of a clip in which samples are n + 1 times 0.25.

    Of clips over five seconds, whether there are such samples.
    """

    embedding = SimpleNamespace(patch_frames=1)

    def forward(self, feats, lens=None):
        levels = torch.tensor([0.25, 0.5, 0.75])
        near = (feats - levels).abs() < 0.01
        share = near.float().mean(1)
        if feats.shape[1] > 5000:
            share = near.any(1).float()
        return share.unsqueeze(1).logit()


@pytest.fixture(scope="module")
def shares():
    """A tagger whose probabilities are shares of a window."""
    return hear_levels(Shares(), max_frames=1024)


@pytest.mark.parametrize("window, hop", [(2.0, 0.25), (1.0, 0.1), (4.0, 1.0)])
def test_onsets_are_unbiased(shares, tmp_path, window, hop):
    wav = np.zeros(30000)
    spans = [(0.25, 5.6, 9.2), (0.5, 12.37, 16.0), (0.75, 21.11, 27.5)]
    for level, start, end in spans:
        wav[round(1000 * start) : round(1000 * end)] = level
    sf.write(tmp_path / "a.wav", wav, 1000)
    events = shares.tag_long(tmp_path / "a.wav", window=window, hop=hop)
    assert [event.label for event in events] == ["A", "B", "C"]
    for event, (_, start, end) in zip(events, spans):
        assert event.start == pytest.approx(start, abs=hop / 2)
        assert event.end == pytest.approx(end, abs=hop / 2)


@pytest.mark.parametrize("start", [0.0, 0.6, 0.8, 1.0, 1.4, 1.6, 1.9])
def test_onsets_near_the_ends_of_the_file(shares, tmp_path, start):
    wav = np.zeros(10000)
    wav[round(1000 * start) : 4000] = 0.25
    wav[6000 : 10000 - round(1000 * start)] = 0.75
    sf.write(tmp_path / "a.wav", wav, 1000)
    first, last = shares.tag_long(tmp_path / "a.wav", window=2.0, hop=0.25)
    assert (first.label, last.label) == ("A", "C")
    # Events that fill half of the first window are taken to fill all of it
    expected = start if start > 1.0 else 0.0
    assert first.start == pytest.approx(expected, abs=0.125)
    assert last.end == pytest.approx(10 - expected, abs=0.125)
    assert first.end == pytest.approx(4, abs=0.125)


def test_a_clip_shorter_than_a_window_has_events_too(shares, tmp_path):
    wav = np.zeros(3000)
    wav[1500:] = 0.5
    sf.write(tmp_path / "a.wav", wav, 1000)
    [event] = shares.tag_long(tmp_path / "a.wav", window=4.0, hop=0.25)
    assert (event.label, event.start, event.end) == ("B", 0.0, 3.0)


GOOD = ["silent", "8 channels", "192 kHz", "six hours", "short", "truncated"]
BAD = ["text", "empty", "one sample", "nan", "no samples", "missing", "folder"]


@pytest.mark.parametrize("name", GOOD)
def test_odd_files_are_tagged(tagger, odd_audio, name):
    path, samples = odd_audio[0][name]
    wav = tagger.load_wav(path)
    assert len(wav) == samples
    expected = tagger.tag_batch(wav)
    tags = tagger.tag_file(path)
    assert len(tags) == 5
    best = tags[0].probability
    assert best == pytest.approx(expected.max().item(), abs=1e-5)
    times, probs = tagger.timeline(path, window=1.29, hop=0.5)
    assert times.tolist() == pytest.approx([samples / RATE / 2])
    torch.testing.assert_close(probs, expected, rtol=0, atol=1e-5)
    low = expected.max().item() / 2
    events = tagger.tag_long(path, 1.29, 0.5, threshold=low, low=0.0)
    assert tags[0].label in [event.label for event in events]
    ends = [event.end for event in events]
    assert ends == pytest.approx([samples / RATE] * len(events))
    assert tagger.embed_file(path).isfinite().all()


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_no_usable_audio_are_errors(tagger, odd_audio, name):
    path, message = odd_audio[1][name]
    error = FileNotFoundError if name == "missing" else ValueError
    for function, options in (
        (tagger.tag_file, {}),
        (tagger.embed_file, {}),
        (tagger.timeline, {"window": 1.0, "hop": 0.5}),
        (tagger.tag_long, {"window": 1.0, "hop": 0.5, "progress": True}),
    ):
        with pytest.raises(error, match=message) as raised:
            function(path, **options)
        assert str(path) in str(raised.value)
