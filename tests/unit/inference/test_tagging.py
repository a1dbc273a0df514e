"""Tests of the interface for taggers, beside ``tests/speechbrain``.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import huggingface_hub
import numpy as np
import pytest
import soundfile
import soxr
import torch
from huggingface_hub.utils import LocalEntryNotFoundError
from small_models import PITCHES, tones

from fftp_tag import AudioTagger
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain_fftp.inference.tagging import Tagger
from speechbrain_fftp.training.export import pieces_of
from speechbrain_fftp.utils.inference_folder import write_folder

pytest.importorskip("onnxruntime")


def load(modules, labels, **hparams):
    """The interface for the modules of a model with several labels."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    encoder.expect_len(len(labels))
    log_probs = torch.nn.Sequential(
        modules["classifier"], torch.nn.LogSigmoid()
    )
    hparams["audio_normalizer"] = AudioNormalizer(sample_rate=16000)
    return Tagger(
        {**modules, "classifier": log_probs},
        {"label_encoder": encoder, **hparams},
    )


@pytest.fixture(params=["clips", "frames"])
def model(request, exported, trained_on_tones):
    """The modules of a model, its labels, and its file."""
    if request.param == "frames":
        modules, path = trained_on_tones
        return modules, list(PITCHES), path
    hparams, folder = exported
    return hparams["modules"], hparams["labels"], folder / "model.onnx"


def test_tags_of_a_file_at_another_rate(trained_on_tones, tmp_path):
    """Those above their thresholds, or the most probable."""
    wav = tones(2, [("Beep", 0.2, 1.0), ("Hum", 0.5, 1.5)])
    path = tmp_path / "clip.wav"
    wav = soxr.resample(wav, 16000, 44100)
    soundfile.write(path, np.stack([1.5 * wav, 0.5 * wav], 1), 44100)
    tagger = load(trained_on_tones[0], list(PITCHES))
    tags = tagger.tag_file(path)
    assert {label for label, _ in tags} == {"Beep", "Hum"}
    assert tags[0][1] >= tags[1][1] >= 0.5
    ranked = tagger.tag_file(path, top_k=3)
    assert ranked[:2] == tags and ranked[2][0] == "<b>Whistle</b>"
    assert tagger.classify_file(str(path))[3] == [tags[0][0]]
    tagger.hparams.thresholds = {tags[0][0]: 1.0, ranked[2][0]: 0.0}
    assert tagger.tag_file(path) == ranked[1:]


@pytest.mark.parametrize("length", [0.5, 1, 1.3, 2.7, 3, "silence"])
def test_recordings_are_tagged_as_by_the_application(model, tmp_path, length):
    """With more than a piece of silence, which has no sounds."""
    modules, labels, path = model
    application = AudioTagger.from_pretrained(path)
    size = application.model.max_samples
    if length == "silence":
        wav = np.full(3 * size, 0.9e-4)
    else:
        rng = np.random.default_rng(0)
        wav = 0.02 * rng.standard_normal(round(length * size))
        for number, pitch in enumerate(PITCHES.values()):
            part = slice(number * size, (2 * number + 1) * size // 2)
            time = np.arange(len(wav))[part]
            wav[part] += 0.2 * np.sin(2 * np.pi * pitch * time / 16000)
        wav[6 * size // 10 : 19 * size // 10] = 0
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, wav, 16000, "FLOAT")
    tagger = load(modules, labels, pieces=pieces_of(application.model.info))
    expected = application.clip_probabilities(clip)
    assert expected.any() == (length != "silence")
    tags = dict(tagger.tag_file(clip, top_k=len(labels)))
    embedding = tagger.encode_file(str(clip))[0, 0]
    for found, reference in (
        ([tags[label] for label in labels], expected),
        (tagger.classify_file(str(clip))[0].exp()[0], expected),
        (embedding, application.embed_file(clip)),
    ):
        np.testing.assert_allclose(found, reference, rtol=0, atol=1e-4)


TRAINING = """
features: &features !new:speechbrain.lobes.features.Fbank
same: &same !new:torch.nn.Identity
encoder: &encoder !new:speechbrain.nnet.pooling.AdaptivePool [1]
classifier: &classifier !new:torch.nn.Linear [40, 2]
modules:
    compute_features: *features
    mean_var_norm: *same
    embedding_model: *encoder
    classifier: *classifier
checkpointer:
    recoverables:
        classifier: *classifier
"""


@pytest.mark.parametrize("source", ["folder", "hub", "copy"])
def test_thresholds_come_with_the_model(tmp_path, monkeypatch, source):
    """From a folder or a hub; without them, they are 0.5."""
    labels = CategoricalEncoder()
    labels.update_from_iterable("ab")
    weights = {"classifier": torch.nn.Linear(40, 2)}
    folder = tmp_path / "folder"
    write_folder(folder, TRAINING, weights, labels, single_label=False)

    def hf_hub_download(repo_id, filename, **options):
        assert repo_id == "me/model"
        if not (folder / filename).exists():
            raise LocalEntryNotFoundError(filename)
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    options = {"source": "me/model" if source == "hub" else folder}
    if source == "copy":
        options["savedir"] = tmp_path / "copy"
    before = list(sys.path)
    assert Tagger.from_hparams(**options).hparams.thresholds == {}
    (folder / "thresholds.json").write_text('{"a": 0.25, "b": 0.75}')
    found = Tagger.from_hparams(**options).hparams.thresholds
    assert found == {"a": 0.25, "b": 0.75}
    assert Tagger.from_hparams(**options, download_only=True) is None
    assert sys.path == before
