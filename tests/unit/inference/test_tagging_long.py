"""Tests of timelines, events and embeddings of files of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.dataio import audio
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.windows import _cut_windows, audio_blocks
from speechbrain_fftp.lobes.features import DatasetNormalization

RATE = 16000
CLIP = 400 + 127 * 160  # samples of the model's 128 frames


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


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


@pytest.mark.parametrize("total", [1, 3, 7, 8, 9, 20, 21, 23, 24])
@pytest.mark.parametrize("size, hop", [(8, 4), (8, 8), (8, 2.5), (5, 9)])
@pytest.mark.parametrize("block", [1, 6, 100])
def test_windows_do_not_depend_on_blocks(total, size, hop, block):
    wav = np.arange(total)
    blocks = [wav[n : n + block] for n in range(0, total, block)]
    expected = []
    starts = [round(k * hop) for k in range(30)]
    for k, start in enumerate(starts):
        covered = k > 0 and starts[k - 1] + size >= total
        left = wav[start : start + size]
        if k == 0 or (len(left) >= 2 and not covered):
            expected.append((start + len(left) / 2, start + len(left), left))
    found = list(_cut_windows(blocks, size, hop, 2, False))
    assert [x[:2] for x in found] == [x[:2] for x in expected]
    for (*_, samples), (*_, wanted) in zip(found, expected):
        np.testing.assert_array_equal(samples, wanted)


@pytest.mark.parametrize("total", [1, 3, 8, 9, 20, 23])
@pytest.mark.parametrize("block", [1, 6, 100])
def test_windows_beyond_the_ends(total, block):
    wav, size, hop = np.arange(total), 8, 3
    blocks = [wav[n : n + block] for n in range(0, total, block)]
    expected = []
    for k in range(-2, 10):
        samples = wav[max(0, k * hop) : max(0, k * hop + size)]
        if len(samples) >= 2:
            expected.append((k * hop + 4, samples.tolist()))
    found = list(_cut_windows(blocks, size, hop, 2, True))
    found = [(centre, samples.tolist()) for centre, _, samples in found]
    assert found == (expected or [(-2, wav.tolist())])


def test_memory_does_not_grow_with_the_length():
    blocks = (np.zeros(2**20, np.float32) for _ in range(100))
    tracemalloc.start()
    try:
        count = sum(1 for _ in _cut_windows(blocks, 160000, 80000, 1, False))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1310
    assert peak < 20e6 < 100 * 2**22


def test_timeline_is_tag_batch_of_the_windows(tagger, tmp_path):
    path = tmp_path / "clip.flac"
    levels = np.repeat(np.linspace(0.01, 0.3, 30), 48000)[:, None]
    sf.write(path, levels * noise(30 * 48000, channels=2), 48000)
    wav = tagger.load_wav(path)
    times, probs = tagger.timeline(path, window=1.0, hop=0.3)
    starts = [round(0.3 * k * RATE) for k in range(98)]
    assert torch.is_floating_point(times) and times.shape == (98,)
    expected = torch.tensor(starts) / RATE + 0.5
    expected[-1] = 29.1 + 0.45  # the last window is shorter
    torch.testing.assert_close(times, expected)
    windows = [wav[start : start + RATE] for start in starts]
    assert len(windows[-1]) == 0.9 * RATE
    each = torch.cat([tagger.tag_batch(window) for window in windows])
    torch.testing.assert_close(probs, each, rtol=0, atol=1e-5)
    assert (probs.amax(0) - probs.amin(0)).max() > 0.01


def test_a_short_clip_is_one_window(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(8000), RATE)
    times, probs = tagger.timeline(path, window=1.0, hop=0.5)
    assert times.tolist() == [0.25]
    expected = tagger.tag_batch(tagger.load_wav(path))
    torch.testing.assert_close(probs, expected)


@pytest.mark.parametrize(
    "window, hop, message",
    [
        (10.0, 5.0, r"window=10.0 must be in 0.115..1.295 seconds"),
        (0.1, 0.1, r"window=0.1 must be in 0.115"),
        (-1.0, 0.1, "window=-1.0"),
        (float("nan"), 0.1, "window=nan"),
        (float("inf"), 0.1, "window=inf"),
        (1.0, 0.0, "hop=0.0 must be at least 0.01 seconds"),
        (1.0, -1.0, "hop=-1.0"),
        (1.0, float("nan"), "hop=nan"),
        (1.0, float("inf"), "hop=inf"),
    ],
)
def test_windows_out_of_range_are_errors(
    tagger, tmp_path, window, hop, message
):
    for function in (tagger.timeline, tagger.tag_long):
        with pytest.raises(ValueError, match=message):
            function(tmp_path / "none.wav", window=window, hop=hop)


def test_longest_and_shortest_window(tagger, tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, noise(2 * CLIP), RATE)
    assert tagger.max_window == pytest.approx(CLIP / RATE)
    for window in (tagger.max_window, 0.115):
        times, probs = tagger.timeline(path, window=window, hop=window)
        size = round(window * RATE)
        expected = tagger.tag_batch(tagger.load_wav(path)[:size])
        torch.testing.assert_close(probs[:1], expected, rtol=0, atol=1e-5)


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
    wavs = tagger.load_wav(path).split(CLIP)
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
    assert "clip.wav:" in captured.err and "0/5" in captured.err
    tagger.timeline(path, window=1.0, hop=0.5)
    captured_now = capsys.readouterr()
    assert not captured.out + captured_now.out + captured_now.err


class Shares(torch.nn.Module):
    """Logits of the share of a clip in which samples are n + 1 times 0.25."""

    embedding = SimpleNamespace(patch_frames=1)

    def forward(self, feats, lens=None):
        levels = torch.tensor([0.25, 0.5, 0.75])
        near = (feats - levels).abs() < 0.01
        lens = torch.ones(len(feats)) if lens is None else lens
        share = near.sum(1) / (lens * feats.shape[1])[:, None]
        return share.unsqueeze(1).logit()


class Samples(torch.nn.Module):
    """Frames of one sample each."""

    window, shift = 25, 10

    def forward(self, wavs):
        return wavs.unsqueeze(2)


@pytest.fixture(scope="module")
def shares():
    """A tagger whose probabilities are shares of a window."""
    labels = CategoricalEncoder()
    labels.update_from_iterable(["A", "B", "C"])
    modules = {
        "compute_features": Samples(),
        "mean_var_norm": DatasetNormalization(0.0, 0.5),
        "embedding_model": Shares(),
        "classifier": torch.nn.Identity(),
    }
    hparams = {"label_encoder": labels, "sample_rate": 1000}
    return AudioTagger(modules, {**hparams, "max_frames": 1024})


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


@pytest.mark.parametrize("start", [0.0, 0.6, 0.8, 1.0, 1.5, 1.9])
def test_onsets_near_the_ends_of_the_file(shares, tmp_path, start):
    wav = np.zeros(10000)
    wav[round(1000 * start) : 4000] = 0.25
    wav[6000 : 10000 - round(1000 * start)] = 0.75
    sf.write(tmp_path / "a.wav", wav, 1000)
    first, last = shares.tag_long(tmp_path / "a.wav", window=2.0, hop=0.25)
    assert (first.label, last.label) == ("A", "C")
    assert first.start == pytest.approx(start, abs=0.4)
    assert last.end == pytest.approx(10 - start, abs=0.4)
    if start == 0:
        assert (first.start, last.end) == (0.0, 10.0)


def test_a_clip_shorter_than_a_window_has_events_too(shares, tmp_path):
    wav = np.zeros(3000)
    wav[1500:] = 0.5
    sf.write(tmp_path / "a.wav", wav, 1000)
    [event] = shares.tag_long(tmp_path / "a.wav", window=4.0, hop=0.25)
    assert event.label == "B" and event.end == 3.0
    assert event.start == pytest.approx(1.5, abs=0.5)


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
