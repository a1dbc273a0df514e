"""Tests of AudioTagger on files, with a small model and its yaml.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference.tagging import AudioTagger
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding

LABELS = ["Speech", "Bark, dog", "Siren"]
CLIP = 400 + 127 * 160  # samples of 128 frames
SIZES = {"sample_rate": 16000, "max_frames": 128}
YAML = """
sample_rate: 16000
max_frames: 128
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
modules:
    compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
        n_mels: 40
    mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
    embedding_model: !ref <encoder>
    classifier: !ref <classifier>
encoder: !new:speechbrain_fftp.lobes.models.AST.AST
    n_mels: 40
    embed_dim: 24
    depth: 2
    num_heads: 2
    embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding
        n_mels: 40
        embed_dim: 24
        patch_frames: 10
        stride_frames: 5
    max_frames: 128
classifier: !new:torch.nn.Linear [24, 3]
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        encoder: !ref <encoder>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
"""


def make_tagger(pooling="cls", **options):
    """A tagger with random weights, large enough to matter."""
    torch.manual_seed(0)
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    embedding = FFTPEmbedding(40, 24, 10, 5)
    encoder = AST(40, 24, 2, 2, embedding, 128, pooling=pooling)
    classifier = torch.nn.Linear(24, 3)
    if pooling == "tokens":
        classifier = FrameClassifier(24, 3)
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": classifier,
    }
    for module in modules.values():
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return AudioTagger(modules, {**SIZES, "label_encoder": labels}, **options)


@pytest.fixture(scope="module")
def tagger():
    return make_tagger()


@torch.no_grad()
def by_hand(tagger, wav):
    """Probabilities of a clip, module by module."""
    mods = tagger.mods
    feats = mods.mean_var_norm(mods.compute_features(wav[None]))
    return mods.classifier(mods.embedding_model(feats))[0, 0].sigmoid()


def sound(seconds, seed=0):
    """Noise whose level and pitch change every second."""
    torch.manual_seed(seed)
    second = torch.arange(int(16000 * seconds)) / 16000
    pitch = 300 * (1 + second.floor())
    noise = 0.05 * torch.randn(len(second)) * (1 + second.floor())
    return noise + 0.3 * torch.sin(6.28 * pitch * second)


def write(path, wav, rate=16000):
    sf.write(path, wav.numpy(), rate, subtype="FLOAT")
    return str(path)


def probabilities(tags):
    """Probabilities of tags in the order of the labels."""
    found = {tag.label: tag.probability for tag in tags}
    return torch.tensor([found[label] for label in LABELS])


@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.28, 5.0])
def test_a_tag_is_the_maximum_over_pieces(tagger, tmp_path, seconds):
    wav = sound(seconds)
    starts = [*range(0, len(wav) - CLIP, CLIP), max(len(wav) - CLIP, 0)]
    pieces = torch.stack([by_hand(tagger, wav[s : s + CLIP]) for s in starts])
    tags = tagger.tag_file(write(tmp_path / "clip.wav", wav))
    assert [t.probability for t in tags] == sorted(
        (t.probability for t in tags), reverse=True
    )
    found = probabilities(tags)
    torch.testing.assert_close(found, pieces.amax(0), rtol=0, atol=1e-4)
    found = probabilities(tagger.tag(wav, 16000))
    torch.testing.assert_close(found, pieces.amax(0), rtol=0, atol=1e-4)


def test_files_give_what_a_loop_does_and_faults_are_rows(tagger, tmp_path):
    paths = [tmp_path / f"{n}.wav" for n in range(5)]
    for n, path in enumerate(paths):
        write(path, sound(0.5 + n, seed=n))
    paths.insert(2, tmp_path / "text.wav")
    paths[2].write_text("no sound", "utf-8")
    found = list(tagger.tag_files(paths, num_workers=2))
    assert [row.file for row in found] == list(map(str, paths))
    assert "not readable audio" in found.pop(2).error
    for row in found:
        expected = probabilities(tagger.tag_file(row.file))
        here = probabilities(row.tags)
        torch.testing.assert_close(here, expected, rtol=0, atol=1e-4)


def test_batches_do_not_depend_on_padding(tagger):
    clips = [sound(seconds) for seconds in (1.2, 0.7, 0.2)]
    wavs = torch.full((3, 32000), float("nan"))
    for row, clip in zip(wavs, clips):
        row[: len(clip)] = clip
    lens = torch.tensor([len(clip) / 32000 for clip in clips])
    expected = torch.stack([by_hand(tagger, clip) for clip in clips])
    assert (expected[0] - expected[1]).abs().max() > 1e-3
    found = tagger.tag_batch(wavs, lens)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_timeline_of_windows_and_its_events(tagger, tmp_path):
    wav = sound(5.0)
    path = write(tmp_path / "long.wav", wav)
    found = tagger.analyze(path, window=1.0, hop=0.5)
    assert found.times.tolist() == [0.5 + 0.5 * n for n in range(9)]
    each = [by_hand(tagger, wav[n : n + 16000]) for n in range(0, 64001, 8000)]
    assert (found.probs <= torch.stack(each) + 1e-4).all()
    tags = probabilities(tagger.tag_file(path))
    torch.testing.assert_close(found.clip_probs, tags, rtol=0, atol=1e-4)
    threshold = float(found.probs.median())
    events = tagger.tag_long(path, 1.0, 0.5, threshold=threshold)
    assert events == found.events(threshold) and events
    assert all(0 <= e.start < e.end <= 5.0 for e in events)


def test_time_steps_of_a_long_file_are_those_of_the_whole(tmp_path):
    tagger = make_tagger("tokens")
    wav = sound(1.2)
    times, probs = tagger.frame_probabilities(write(tmp_path / "a.wav", wav))
    expected_times, expected = tagger.tag_frames(wav)
    assert torch.equal(times, expected_times)
    torch.testing.assert_close(probs, expected[0], rtol=0, atol=1e-4)
    longer = torch.cat([wav, wav, wav])
    times, _ = tagger.frame_probabilities(write(tmp_path / "b.wav", longer))
    torch.testing.assert_close(times.diff(), torch.full_like(times[1:], 0.05))
    with pytest.raises(ValueError, match="classifies only whole clips"):
        make_tagger().frame_probabilities(str(tmp_path / "a.wav"))


def test_a_folder_of_a_yaml_and_weights_loads(tagger, tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(YAML, "utf-8")
    for name in ("embedding_model", "classifier"):
        saved = name.replace("embedding_model", "encoder")
        state = tagger.mods[name].state_dict()
        torch.save(state, tmp_path / f"{saved}.ckpt")
    tagger.hparams.label_encoder.save(tmp_path / "label_encoder.ckpt")
    loaded = AudioTagger.from_hparams(str(tmp_path), savedir=str(tmp_path))
    assert loaded.labels == LABELS
    wav = sound(3.0)
    assert loaded.tag(wav, 16000) == tagger.tag(wav, 16000)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_files_of_other_rates_and_channels(tagger, tmp_path, rate):
    pytest.importorskip("soxr")
    second = np.arange(rate) / rate
    tone = 0.4 * np.sin(2 * np.pi * 1000 * second)
    path = tmp_path / "stereo.wav"
    sf.write(path, np.stack([1.5 * tone, 0.5 * tone], 1), rate)
    plain = 0.4 * torch.sin(6.283185 * 1000 * torch.arange(16000) / 16000)
    found, expected = (
        probabilities(tags)
        for tags in (tagger.tag_file(path), tagger.tag(plain, 16000))
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_incomplete_models_are_errors(tagger):
    hparams = {**SIZES, "label_encoder": tagger.hparams.label_encoder}
    modules = {k: v for k, v in tagger.mods.items() if k != "classifier"}
    with pytest.raises(ValueError, match="lacks the modules classifier"):
        AudioTagger(modules, hparams)
    with pytest.raises(ValueError, match="threads"):
        make_tagger(threads=0)
