"""Tests of tagging with SpeechBrain's own Fbank as the front end.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger

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


@pytest.mark.parametrize("samples", [RATE, CLIP + 399])
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
