"""Tests of the import of EfficientAT's models.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib

import numpy as np
import pytest
import tiny_onnx
import torch
from torchaudio.compliance.kaldi import get_mel_banks

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model import releases
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.pretrained import efficientat
from speechbrain_fftp.pretrained.convert import convert_checkpoint
from speechbrain_fftp.pretrained.start import start_from

EPS = 0.001
LABELS = list(tiny_onnx.PITCHES)


def power_of(wavs):
    """The power spectrum of EfficientAT, by torch's transform."""
    wavs = wavs[:, 1:] - 0.97 * wavs[:, :-1]
    window = torch.hann_window(800, periodic=False)
    spectrum = torch.stft(
        wavs, 1024, 320, 800, window=window, return_complex=True
    )
    return spectrum.abs().square()


def test_features_are_those_of_a_fourier_transform():
    wavs = 0.1 * torch.randn(2, 32100, generator=torch.manual_seed(0))
    mel, _ = get_mel_banks(128, 1024, 32000, 0, 15000, 100, -500, 1)
    bands = torch.nn.functional.pad(mel, (0, 1)) @ power_of(wavs)
    expected = ((bands + 1e-5).log() + 4.5) / 5
    found = efficientat.LogMel()(wavs).squeeze(1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def add_norm(tensors, name, weight, bias):
    """Adds a convolution, and a normalisation that adds a bias."""
    tensors[f"{name}.0.weight"] = torch.as_tensor(weight)
    size = len(weight)
    values = torch.ones(size), torch.as_tensor(bias), torch.zeros(size)
    for kind, value in zip(("weight", "bias", "running_mean"), values):
        tensors[f"{name}.1.{kind}"] = value
    tensors[f"{name}.1.running_var"] = torch.full((size,), 1 - EPS)
    tensors[f"{name}.1.num_batches_tracked"] = torch.tensor(0)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of a model of 8 channels and three classes."""
    random = torch.manual_seed(0)
    tensors = {}

    def add(name, *sizes):
        scale = np.prod(sizes[1:]) ** -0.5
        weight = scale * torch.randn(sizes, generator=random)
        add_norm(tensors, name, weight, torch.zeros(sizes[0]))

    def add_linear(name, *sizes):
        weight = torch.randn(sizes, generator=random) / sizes[1] ** 0.5
        tensors[f"{name}.weight"] = weight
        tensors[f"{name}.bias"] = torch.randn(sizes[0], generator=random)

    add("features.0", 8, 1, 3, 3)
    for number in range(1, 16):
        block = f"features.{number}.block"
        add(f"{block}.0", 16, 8, 1, 1)
        add(f"{block}.1", 16, 1, 3, 3)
        add_linear(f"{block}.2.conc_se_layers.0.fc1", 4, 16)
        add_linear(f"{block}.2.conc_se_layers.0.fc2", 16, 4)
        add(f"{block}.3", 8, 16, 1, 1)
    add("features.16", 24, 8, 1, 1)
    add_linear("classifier.2", 12, 24)
    add_linear("classifier.5", 3, 12)
    path = tmp_path_factory.mktemp("small") / "small.pt"
    torch.save(tensors, path)
    return path


@pytest.fixture
def release(small, monkeypatch, tmp_path):
    """A release of one file, in a folder that may be changed."""
    path = tmp_path / "release" / "small.pt"
    path.parent.mkdir()
    path.write_bytes(small.read_bytes())
    checksum = hashlib.sha256(small.read_bytes()).hexdigest()
    one = {"efficientat/one": releases.Release(path.as_uri(), checksum)}
    monkeypatch.setattr(releases, "RELEASES", one)
    for module in ("hub", "sources"):
        monkeypatch.setattr(f"fftp_tag.model.{module}.RELEASES", one)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return path


def test_what_is_written_tags_as_the_modules_do(small, tmp_path):
    wav = 0.1 * np.random.default_rng(0).standard_normal(48000)
    path = convert_checkpoint(small, tmp_path / "a.onnx", labels=LABELS)
    tagger = AudioTagger.from_pretrained(path)
    assert "Schmid" in tagger.model.info.credit
    found = tagger.tag_file(wav, sample_rate=32000, top_k=3, threshold=0)
    modules = efficientat.build(torch.load(small), {})
    with torch.no_grad():
        logits, embeddings = efficientat.WaveformModel(*modules)(
            torch.tensor(wav[None]).float()
        )
    probs = dict(zip(LABELS, logits.sigmoid()[0].tolist()))
    assert {tag.label: tag.probability for tag in found} == pytest.approx(
        probs, abs=1e-5
    )
    embedding = tagger.embed_file(wav, sample_rate=32000)
    np.testing.assert_allclose(embedding, embeddings[0], atol=1e-4)


def test_a_release_is_imported_by_its_name(release, capsys, tmp_path):
    """Downloaded and checked once; and tagged with, by that name."""
    words = ["import", "efficientat/one", "--labels", "labels.txt"]
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "one.onnx" in printed and "without thresholds" in printed
    cached = tmp_path / "cache" / "fftp_tag" / "small.pt"
    release.unlink()
    assert main([*words[:2], "two.onnx", *words[2:]]) == 0
    one, two = (
        AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        for name in ("one", "two")
    )
    assert one.labels == two.labels == LABELS
    assert AudioTagger.from_pretrained("efficientat/one").labels != LABELS
    cached.unlink()
    capsys.readouterr()
    assert main([*words[:2], "three.onnx", *words[2:]]) == 1
    error = capsys.readouterr().err
    assert release.as_uri() in error and "give the file" in error
    release.write_bytes(b"another file")
    assert main([*words[:2], "three.onnx", *words[2:]]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "three.onnx").exists() and not cached.exists()


def test_thresholds_are_learnt_where_there_are_clips(release, capsys, tmp_path):
    data = tiny_onnx.write_clips(tmp_path / "sounds")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    words = ["import", str(release), "--labels", "labels.txt"]
    assert main([*words, "--data-folder", str(data)]) == 0
    assert "cross-validation" in capsys.readouterr().out
    rules = AudioTagger.from_pretrained("small.onnx").model.rules
    assert rules.is_learnt


def test_what_cannot_be_used_is_refused(small, tmp_path):
    tensors = torch.load(small)
    del tensors["features.7.block.1.1.bias"]
    torch.save(tensors, tmp_path / "damaged.pt")
    with pytest.raises(InputError, match="EfficientAT"):
        convert_checkpoint(tmp_path / "damaged.pt", tmp_path / "a.onnx", LABELS)
    with pytest.raises(InputError, match="mean"):
        convert_checkpoint(small, tmp_path / "a.onnx", LABELS, mean=0, std=1)
    with pytest.raises(InputError, match="features of its own"):
        start_from(AST(embed_dim=8, depth=1, num_heads=1), small)


def test_published_weights_give_the_published_answers(
    shared, tmp_path, monkeypatch, capsys
):
    """Of mn04_as, whose other export has the normalisations in its weights."""
    onnx = pytest.importorskip("onnx")
    published = shared / "models" / "mn04_as" / "mn04_as.onnx"
    if not published.is_file():
        pytest.skip(f"needs {published}")
    graph = onnx.load(published).graph
    arrays = {
        x.name.removeprefix("m."): onnx.numpy_helper.to_array(x).copy()
        for x in graph.initializer
    }
    tensors = {
        name: torch.as_tensor(array)
        for name, array in arrays.items()
        if "conc_se_layers" in name or name.startswith("classifier")
    }
    for node in graph.node:
        if node.op_type == "Conv":
            _, weight, bias = (x.removeprefix("m.") for x in node.input)
            name = weight.removesuffix(".0.weight")
            add_norm(tensors, name, arrays[weight], arrays[bias])
    torch.save(tensors, tmp_path / "mn04_as_mAP_432.pt")
    monkeypatch.chdir(tmp_path)
    assert main(["import", "mn04_as_mAP_432.pt"]) == 0
    assert "527 classes" in capsys.readouterr().out
    taggers = [
        AudioTagger.from_pretrained(path)
        for path in (published, tmp_path / "mn04_as_mAP_432.onnx")
    ]
    assert taggers[0].labels == taggers[1].labels
    for seconds in (1, 5, 12):
        times = np.arange(seconds * 16000) / 16000
        wav = 0.1 * np.sin(2 * np.pi * (300 + 200 * times) * times)
        expected, found = (x.clip_probabilities(wav, 16000) for x in taggers)
        assert expected.max() > 0.1
        np.testing.assert_allclose(found, expected, atol=1e-5)
