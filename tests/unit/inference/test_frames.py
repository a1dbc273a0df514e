"""Tests of the probabilities of time steps.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import load_folder, write_folder
from speechbrain_fftp.inference.tagger import join_pieces
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import (
    DatasetNormalization,
    KaldiFbank,
    MelDecibels,
)
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, MaxPooling
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

RATE, LABELS = 16000, ["Dog", "Siren", "Bell"]


def make_parts(pooling=None, front_end=None):
    """Modules and hparams of a model of clips of up to 2 s.

    Its blocks do nothing: a time step depends on the frames of its patch alone.
    """
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 16, 10, 5)
    encoder = ConvNeXt1d(128, 16, 0, embedding, 198, pooling="tokens")
    modules = {
        "compute_features": front_end or KaldiFbank(),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": FrameClassifier(16, len(LABELS), pooling),
    }
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    sizes = {"sample_rate": RATE, "max_frames": 198, "single_label": False}
    return modules, {**sizes, "label_encoder": labels}


@pytest.fixture
def tagger():
    return AudioTagger(TorchEngine(*make_parts()))


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
    tagger = AudioTagger(TorchEngine(*make_parts(front_end=front_end)))
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


@pytest.mark.parametrize("pooling", [None, MaxPooling()])
def test_folder_holds_the_classifier(tmp_path, pooling):
    modules, hparams = make_parts(pooling)
    write_folder(tmp_path / "model", modules, hparams)
    loaded, _ = load_folder(tmp_path / "model")
    assert type(loaded["classifier"].pooling) is type(
        modules["classifier"].pooling
    )
    wavs, lens = 0.1 * torch.randn(2, RATE), torch.tensor([1.0, 0.5])
    expected = AudioTagger(TorchEngine(modules, hparams))
    found = AudioTagger.from_pretrained(tmp_path / "model")
    probs = found.tag_batch(wavs, lens)
    torch.testing.assert_close(probs, expected.tag_batch(wavs, lens))
    alone = found.engine.tag_frames(wavs[1:, : RATE // 2])[1]
    batch = found.engine.tag_frames(wavs, lens)[1][1:, : alone.shape[1]]
    torch.testing.assert_close(batch, alone, atol=1e-4, rtol=0)


def test_embeddings_are_means_of_own_steps(tagger):
    wavs, lens = 0.1 * torch.randn(2, RATE), torch.tensor([1.0, 0.5])
    found = tagger.encode_batch(wavs, lens)
    assert found.shape == (2, 1, 16)
    for i, wav in enumerate((wavs[:1], wavs[1:, : RATE // 2])):
        feats, _ = tagger.engine.tagger.features(wav)
        expected = tagger.engine.tagger.embedding_model(feats).mean(1)
        torch.testing.assert_close(found[i], expected, atol=1e-4, rtol=0)
