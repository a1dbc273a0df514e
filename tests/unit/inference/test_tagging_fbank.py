"""Tests of tagging with SpeechBrain's own Fbank as the front end.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.lobes.features import MFCC, Fbank
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.inference.torch_engine import frame_size
from speechbrain_fftp.lobes.features import KaldiFbank

RATE = 16000
CLIP = 127 * 160  # samples of the model's 128 frames, which are centred
LABELS = ["Speech", "Dog", "Siren", "Music", "Rain"]
PRETRAINER = """
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
"""


@pytest.fixture(scope="module")
def tagger(recipe, exported, tmp_path_factory):
    """A model whose yaml has SpeechBrain's Fbank, loaded by from_hparams."""
    folder = tmp_path_factory.mktemp("fbank")
    ours = "!new:speechbrain_fftp.lobes.features.KaldiFbank"
    assert ours in recipe
    yaml = recipe.replace(ours, "!new:speechbrain.lobes.features.Fbank")
    (folder / "hyperparams.yaml").write_text(yaml + PRETRAINER, "utf-8")
    for name in ("embedding_model", "classifier"):
        state = exported[0][name].state_dict()
        torch.save(state, folder / f"{name}.ckpt")
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    labels.save(folder / "label_encoder.ckpt")
    return AudioTagger.from_hparams(str(folder))


def write(path, samples):
    wav = 0.2 * np.random.default_rng(samples).standard_normal(samples)
    sf.write(path, wav, RATE, subtype="FLOAT")
    return path, torch.from_numpy(wav).float()


@torch.no_grad()
def by_hand(tagger, wav):
    """Probabilities ``[1, C]`` of one clip, module by module."""
    features, normalize, encoder, classifier = tagger.engine.mods.values()
    feats = normalize(features(wav[None]), torch.ones(1))
    return classifier(encoder(feats))[:, 0].sigmoid()


def test_frames():
    assert frame_size(KaldiFbank(frame_length=32.0)) == (512, 160, 0)
    assert frame_size(Fbank()) == frame_size(MFCC()) == (400, 160, 400)
    with pytest.raises(ValueError, match="Identity are unknown.*window"):
        frame_size(torch.nn.Identity())


def test_samples_of_frames(tagger, exported):
    ours = AudioTagger.from_pretrained(exported[1])
    for model in (tagger, ours):
        features = model.engine.mods.compute_features
        for frames in (10, 128):
            samples = model.engine.num_samples(frames)
            wavs = torch.zeros(1, samples)
            assert features(wavs).shape[1] == frames
            assert features(wavs[:, 1:]).shape[1] == frames - 1
    assert tagger.max_window == CLIP / RATE


@pytest.mark.parametrize("samples", [400, RATE, CLIP, CLIP + 399])
def test_tags_of_one_clip(tagger, tmp_path, samples):
    path, wav = write(tmp_path / "a.wav", samples)
    each = [by_hand(tagger, part) for part in (wav[:CLIP], wav[-CLIP:])]
    expected = torch.cat(each).amax(0)
    tags = tagger.tag_file(path)
    assert {tag.label for tag in tags} == set(LABELS)
    for tag in tags:
        wanted = expected[LABELS.index(tag.label)].item()
        assert tag.probability == pytest.approx(wanted, abs=1e-4)
    assert tagger.embed_file(path).shape == (24,)


def test_timeline_and_events(tagger, tmp_path):
    path, wav = write(tmp_path / "a.wav", 3 * RATE + 8000)
    times, probs = tagger.timeline(path, window=1.0, hop=0.5)
    assert times.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    windows = wav.unfold(0, RATE, RATE // 2)
    expected = torch.cat([by_hand(tagger, window) for window in windows])
    np.testing.assert_allclose(probs, expected, atol=1e-4)
    low = float(probs.min())
    events = tagger.tag_long(path, 1.0, 0.5, threshold=low, low=0.0)
    assert {event.label for event in events} == set(LABELS)
    with pytest.raises(ValueError, match="in 0.09..1.27 seconds"):
        tagger.timeline(path, window=1.28)
    with pytest.raises(ValueError, match="at least 0.01 seconds"):
        tagger.timeline(path, window=1.0, hop=0.001)


def test_relevance(tagger):
    times, relevance = token_relevance(
        tagger, np.random.randn(RATE).astype(np.float32)
    )
    assert len(times) == len(relevance) == 19
    assert times[1] - times[0] == pytest.approx(0.05)
