"""Tests of AudioTagger on files and batches, with a small model.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import CLIP, RATE, hear_shares


def sound(seconds, seed=0):
    """Noise whose level and pitch change every second."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(RATE * seconds)) / RATE
    noise = 0.05 * rng.standard_normal(len(time)) * (1 + np.floor(time))
    tone = 0.3 * np.sin(6.28 * 300 * (1 + np.floor(time)) * time)
    return (noise + tone).astype(np.float32)


def write(path, wav, rate=RATE):
    sf.write(path, wav, rate, subtype="FLOAT")
    return str(path)


@torch.no_grad()
def by_hand(hparams, wav):
    """Probabilities ``[C]`` of a clip, module by module."""
    feats = hparams["compute_features"](torch.tensor(wav)[None])
    embedding = hparams["embedding_model"](hparams["mean_var_norm"](feats))
    return hparams["classifier"](embedding)[0, 0].sigmoid().numpy()


def probabilities(tagger, tags):
    """Probabilities of tags in the order of the labels."""
    found = {tag.label: tag.probability for tag in tags}
    return np.array([found[label] for label in tagger.labels])


@pytest.mark.parametrize("seconds", [0.03, CLIP / RATE, (CLIP + 1) / RATE, 5.0])
def test_a_tag_is_the_maximum_over_pieces(tagger, exported, tmp_path, seconds):
    wav = sound(seconds)
    starts = [*range(0, len(wav) - CLIP, CLIP), max(len(wav) - CLIP, 0)]
    pieces = [by_hand(exported[0], wav[s : s + CLIP]) for s in starts]
    path = write(tmp_path / "clip.wav", wav)
    found = [tag.probability for tag in tagger.tag_file(path)]
    assert found == sorted(found, reverse=True) and len(set(found)) == 5
    expected = np.max(pieces, 0)
    for tags in (tagger.tag_file(path), tagger.tag(wav, RATE)):
        np.testing.assert_allclose(
            probabilities(tagger, tags), expected, atol=1e-4
        )


def test_batches_do_not_depend_on_padding(tagger):
    clips = [torch.tensor(sound(s)) for s in (1.2, 0.7, 0.2, 0.01)]
    alone = torch.cat([tagger.tag_batch(clip) for clip in clips])
    embedded = torch.cat([tagger.encode_batch(clip) for clip in clips])
    assert (alone[0] - alone[1]).abs().max() > 1e-3
    for size in (19200, 64000):
        wavs = torch.full((4, size), float("nan"))
        for row, clip in zip(wavs, clips):
            row[: len(clip)] = clip
        lens = torch.tensor([len(clip) / size for clip in clips])
        found = tagger.tag_batch(wavs, lens)
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
        found = tagger.encode_batch(wavs, lens)
        torch.testing.assert_close(found, embedded, rtol=0, atol=1e-5)


def test_embedding_is_the_mean_over_pieces(tagger, tmp_path):
    wav = sound((20 * CLIP + 8000) / RATE)
    pieces = [*torch.tensor(wav).split(CLIP)[:20], torch.tensor(wav[-CLIP:])]
    each = torch.cat([tagger.encode_batch(piece) for piece in pieces])[:, 0]
    embedding = tagger.embed_file(write(tmp_path / "clip.wav", wav))
    np.testing.assert_allclose(embedding, each.mean(0), atol=1e-5)


@pytest.mark.parametrize("window, hop", [(1.0, 0.3), (None, None)])
@pytest.mark.parametrize("seconds", [0.7, 5.2])
def test_timeline_of_windows(tagger, exported, tmp_path, window, hop, seconds):
    wav = sound(seconds)
    path = write(tmp_path / "long.wav", wav)
    found = tagger.analyze(path, window, hop)
    size = CLIP if window is None else round(window * RATE)
    hop = size / 4 if hop is None else hop * RATE
    starts = np.arange(0, max(len(wav) - size, 0.5), hop).round().astype(int)
    starts = [*starts[starts + size < len(wav)], max(len(wav) - size, 0)]
    each = [by_hand(exported[0], wav[s : s + size]) for s in starts]
    np.testing.assert_allclose(found.probs, each, atol=1e-4)
    centres = np.array(starts) + min(size, len(wav)) / 2
    np.testing.assert_allclose(found.times, centres / RATE, atol=1e-6)
    assert found.duration == pytest.approx(seconds)
    tags = tagger.tag_file(path)
    assert [tag.label for tag in found.tags()] == [tag.label for tag in tags]
    np.testing.assert_allclose(
        probabilities(tagger, found.tags()), probabilities(tagger, tags)
    )
    threshold = float(np.median(found.probs))
    events = tagger.tag_long(path, window, hop / RATE, threshold)
    assert events == found.events(threshold) and events
    assert all(0 <= event.start < event.end <= seconds for event in events)


@pytest.fixture(scope="module")
def shares():
    return hear_shares(max_frames=1024)


@pytest.mark.parametrize("window, hop", [(2.0, 0.25), (4.0, 1.0)])
def test_onsets_are_unbiased(shares, tmp_path, window, hop):
    wav = np.zeros(30000)
    spans = [(0.25, 5.6, 9.2), (0.5, 12.37, 16.0), (0.75, 21.11, 27.5)]
    for level, start, end in spans:
        wav[round(1000 * start) : round(1000 * end)] = level
    path = write(tmp_path / "a.wav", wav, 1000)
    events = shares.tag_long(path, window=window, hop=hop)
    assert [event.label for event in events] == ["A", "B", "C"]
    for event, (_, start, end) in zip(events, spans):
        assert event.start == pytest.approx(start, abs=hop / 2)
        assert event.end == pytest.approx(end, abs=hop / 2)
