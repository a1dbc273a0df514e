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
from speechbrain_fftp.inference.tagging import Tagger
from speechbrain_fftp.training.export import pieces_of
from speechbrain_fftp.utils.inference_folder import write_folder

onnxruntime = pytest.importorskip("onnxruntime")

LENGTHS = (16000, 9000, 5000)
FORMS = ("clips", "frames")


def load(modules, labels, **hparams):
    """The interface for the modules of a model with several labels."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    encoder.expect_len(len(labels))
    log_probs = torch.nn.Sequential(
        modules["classifier"], torch.nn.LogSigmoid()
    )
    return Tagger(
        {**modules, "classifier": log_probs},
        {"label_encoder": encoder, **hparams},
    )


@pytest.fixture
def model(exported, trained_on_tones):
    """The modules of a form, its labels, and its file."""
    hparams, folder = exported
    models = {
        "clips": (
            hparams["modules"],
            hparams["labels"],
            folder / "model.onnx",
        ),
        "frames": (trained_on_tones[0], list(PITCHES), trained_on_tones[1]),
    }
    return models.get


@pytest.fixture
def batch():
    """Clips with tones, with noise in the padding, and their lengths."""
    wavs = np.stack(
        [
            tones(1, [(label, 0, 0.5)], seed)
            for seed, label in enumerate(PITCHES)
        ]
    )
    lengths = torch.tensor(LENGTHS) / max(LENGTHS)
    return torch.from_numpy(wavs), lengths


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_those_of_the_file(model, batch, form):
    """Of each clip of a padded batch; also of a frame-level model, whose
    encoder is in a FrameTagger."""
    modules, labels, path = model(form)
    wavs, lengths = batch
    tagger = load(modules, labels)
    embeddings = tagger.encode_batch(wavs, lengths)
    probs, _ = tagger.tag_batch(wavs, lengths)
    session = onnxruntime.InferenceSession(path)
    names = ["embeddings", "probabilities"]
    for number, length in enumerate(LENGTHS):
        clip = wavs[number : number + 1, :length].numpy()
        expected = session.run(names, {"wavs": clip})
        for found, output in zip((embeddings[:, 0], probs), expected):
            np.testing.assert_allclose(found[number], output[0], atol=1e-4)


def test_an_encoder_without_tokens_gives_its_output(model, batch):
    class Means(torch.nn.Module):
        def forward(self, feats, lengths=None):
            return feats.mean(1, keepdim=True)

    modules = {**model("clips")[0], "embedding_model": Means()}
    modules["classifier"] = torch.nn.Linear(40, 3)
    tagger = load(modules, "abc")
    wavs = batch[0][:1]
    feats = modules["mean_var_norm"](modules["compute_features"](wavs))
    found = tagger.encode_batch(wavs[0])
    torch.testing.assert_close(found, feats.mean(1, keepdim=True))


def test_tags_of_a_file_at_another_rate(model, tmp_path):
    """Those above their thresholds, or the most probable."""
    modules, labels, _ = model("frames")
    wav = tones(2, [("Beep", 0.2, 1.0), ("Hum", 0.5, 1.5)])
    path = tmp_path / "clip.wav"
    wav = soxr.resample(wav, 16000, 44100)
    soundfile.write(path, np.stack([1.5 * wav, 0.5 * wav], 1), 44100)
    tagger = load(modules, labels, audio_normalizer=normalizer())
    tags = tagger.tag_file(path)
    assert {label for label, _ in tags} == {"Beep", "Hum"}
    probs = [prob for _, prob in tags]
    assert probs == sorted(probs, reverse=True) and probs[-1] >= 0.5
    ranked = tagger.tag_file(path, top_k=3)
    assert ranked[:2] == tags and {label for label, _ in ranked} == set(labels)
    assert tagger.classify_file(str(path))[3] == [tags[0][0]]

    highest = {tags[0][0]: 1.0, ranked[2][0]: 0.0}
    tagger.hparams.thresholds = highest
    assert tagger.tag_file(path) == ranked[1:]


@pytest.mark.parametrize("length", [0.5, 1, 1.3, 2.7, 3])
@pytest.mark.parametrize("form", FORMS)
def test_long_recordings_are_cut_as_by_the_application(
    model, tmp_path, form, length
):
    """With more than a piece of silence, which has no sounds."""
    modules, labels, path = model(form)
    application = AudioTagger.from_pretrained(path)
    size = application.model.max_samples
    wav = 0.02 * np.random.default_rng(0).standard_normal(round(length * size))
    for number, pitch in enumerate(PITCHES.values()):
        part = slice(number * size, (2 * number + 1) * size // 2)
        time = np.arange(len(wav))[part]
        wav[part] += 0.2 * np.sin(2 * np.pi * pitch * time / 16000)
    wav[6 * size // 10 : 19 * size // 10] = 0
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, wav, 16000, "FLOAT")
    tagger = load(
        modules,
        labels,
        audio_normalizer=normalizer(),
        pieces=pieces_of(application.model.info),
    )
    expected = application.clip_probabilities(clip)
    found = dict(tagger.tag_file(clip, top_k=len(labels)))
    np.testing.assert_allclose(
        [found[x] for x in labels], expected, rtol=0, atol=1e-4
    )
    log_probs, *_ = tagger.classify_file(str(clip))
    np.testing.assert_allclose(log_probs.exp()[0], expected, rtol=0, atol=1e-4)
    embedding = tagger.encode_file(str(clip))[0, 0]
    np.testing.assert_allclose(
        embedding, application.embed_file(clip), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_found_in_silence(model, tmp_path, form):
    modules, labels, path = model(form)
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, np.full(90000, 0.9e-4), 16000, "FLOAT")
    tagger = load(modules, labels, audio_normalizer=normalizer())
    assert not AudioTagger.from_pretrained(path).clip_probabilities(clip).any()
    assert {prob for _, prob in tagger.tag_file(clip, top_k=3)} == {0}


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


def normalizer():
    """What a folder has for files of any rate."""
    from speechbrain.dataio.preprocess import AudioNormalizer

    return AudioNormalizer(sample_rate=16000)
