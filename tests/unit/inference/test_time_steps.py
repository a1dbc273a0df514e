"""Tests of the probabilities of time steps, and of their events.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
import torch
from small_models import RATE, make_tagger, random_sounds, tones, train_on_tones

from speechbrain_fftp.inference.tagger import join_pieces
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels


def tagger_of_patches(pooling=None, front_end=None):
    """A tagger of clips of up to 2 s.

    Its blocks do nothing: a time step depends on the frames of its patch alone.
    """
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 16, 10, 5)
    encoder = ConvNeXt1d(128, 16, 0, embedding, pooling="tokens")
    classifier = FrameClassifier(16, 3, pooling)
    return make_tagger(encoder, classifier, front_end=front_end, max_frames=198)


@pytest.fixture
def tagger():
    return tagger_of_patches()


def write(folder, seconds):
    """A file of noise whose level changes."""
    torch.manual_seed(0)
    wav = 0.1 * torch.randn(int(seconds * RATE))
    wav *= torch.linspace(0, 9, len(wav)).sin()
    soundfile.write(folder / "clip.wav", wav.numpy(), RATE, "FLOAT")
    return folder / "clip.wav", wav


@pytest.mark.parametrize("seconds", [0.05, 0.7, 2.0, 2.015, 5.123, 40.0])
def test_long_files_are_as_if_encoded_at_once(tagger, tmp_path, seconds):
    path, wav = write(tmp_path, seconds)
    times, probs = tagger.frame_probabilities(path)
    _, whole = tagger.engine.tag_frames(wav)
    np.testing.assert_array_equal(times, tagger.engine.step_times(len(wav)))
    np.testing.assert_allclose(probs, whole[0], atol=1e-5)


@pytest.mark.parametrize(
    "front_end",
    [KaldiFbank(), MelDecibels(n_mels=128, n_fft=800, top_db=1000.0)],
    ids=["starts", "centered"],
)
def test_times_are_the_centers_of_patches(front_end):
    """A click is in the steps whose centers are within half a patch of it."""
    tagger = tagger_of_patches(front_end=front_end)
    quiet, click = torch.zeros(1, 2 * RATE), 1.2345
    loud = quiet.clone()
    loud[0, int(click * RATE)] = 1.0
    times = tagger.engine.step_times(loud.shape[1])
    _, probs = tagger.engine.tag_frames(loud)
    changed = (probs != tagger.engine.tag_frames(quiet)[1]).any(2)[0].numpy()
    half = (9 * 0.01 + front_end.window / RATE) / 2
    np.testing.assert_array_equal(changed, np.abs(times - click) < half)
    assert times[changed].mean() == pytest.approx(click, abs=0.025)


def test_pieces_fade_into_each_other():
    first, second = np.random.default_rng(0).random((2, 11, 2))
    probs = join_pieces([(0, first), (8, second)])
    np.testing.assert_allclose(probs[:8], first[:8], rtol=1e-5)
    np.testing.assert_allclose(probs[11:], second[3:], rtol=1e-5)
    for i in range(3):
        expected = ((3 - i) * first[8 + i] + (1 + i) * second[i]) / 4
        np.testing.assert_allclose(probs[8 + i], expected, rtol=1e-5)


def test_embeddings_are_means_of_own_steps(tagger):
    wavs, lens = 0.1 * torch.randn(2, RATE), torch.tensor([1.0, 0.5])
    found = tagger.encode_batch(wavs, lens)
    assert found.shape == (2, 1, 16)
    for i, wav in enumerate((wavs[:1], wavs[1:, : RATE // 2])):
        feats, _ = tagger.engine.tagger.features(wav)
        expected = tagger.engine.tagger.embedding_model(feats).mean(1)
        torch.testing.assert_close(found[i], expected, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def trained():
    return train_on_tones()


@pytest.mark.parametrize("seconds", [3, 10])
def test_sounds_are_found_where_they_are(trained, tmp_path, seconds):
    rng = np.random.default_rng(1)
    for number in range(5):
        path = tmp_path / f"{number}.wav"
        sounds = random_sounds(rng, seconds)
        soundfile.write(path, tones(seconds, sounds, seed=100 + number), RATE)
        found = trained.tag_long(path, threshold=0.5, low=0.5)
        found = {x.label: x for x in found}
        assert len(found) == 3
        for label, start, end in sounds:
            assert found[label].start == pytest.approx(start, abs=0.1)
            assert found[label].end == pytest.approx(end, abs=0.1)
