"""Tests of tagging files and batches.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference import AudioTagger, Tag, packed_linear

WINDOW = 400 + 127 * 160  # samples of the model's 128 frames


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_hparams(source=str(exported[1]))


def noise(samples, seed=0, channels=None):
    shape = samples if channels is None else (samples, channels)
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


def write(path, samples, rate=16000):
    sf.write(path, samples, rate, subtype="FLOAT")
    return path


@torch.no_grad()
def by_hand(hparams, wav):
    """Probabilities of one clip, module by module."""
    feats = hparams["compute_features"](wav.float()[None])
    embedding = hparams["embedding_model"](hparams["mean_var_norm"](feats))
    return hparams["classifier"](embedding)[0, 0].sigmoid()


def assert_tags(tags, probabilities, labels):
    order = probabilities.argsort(descending=True)[: len(tags)]
    assert [tag.label for tag in tags] == [labels[c] for c in order]
    found = torch.tensor([tag.probability for tag in tags])
    torch.testing.assert_close(found, probabilities[order], rtol=0, atol=1e-4)


def test_tags_are_sorted_probabilities(exported, tagger, tmp_path):
    wav = noise(16000)
    path = write(tmp_path / "clip.wav", wav)
    tags = tagger.tag_file(str(path))
    assert len(tags) == 5 and isinstance(tags[0], Tag)
    probabilities = by_hand(exported[0], torch.from_numpy(wav))
    assert_tags(tags, probabilities, exported[0]["labels"])
    assert tagger.tag_file(path, top_k=2) == tags[:2]
    assert tagger.tag_file(path, top_k=99) == tags
    assert len({round(tag.probability, 4) for tag in tags}) == 5


def test_tag_batch_does_not_depend_on_padding(tagger):
    samples = [16000, 9000, 4000, 160]
    clips = [torch.from_numpy(noise(n, n)).float() for n in samples]
    alone = torch.cat([tagger.tag_batch(clip) for clip in clips])
    assert (alone[0] - alone[1]).abs().max() > 1e-3
    for size in (16000, 64000):
        wavs = torch.zeros(4, size)
        for row, clip in zip(wavs, clips):
            row[: len(clip)] = clip
        out = tagger.tag_batch(wavs, torch.tensor(samples) / size)
        torch.testing.assert_close(out, alone, rtol=0, atol=1e-4)
    torch.testing.assert_close(tagger(wavs[:1]), tagger.tag_batch(wavs[:1]))


def test_a_long_file_has_the_maximum_over_windows(exported, tagger, tmp_path):
    wav = noise(60 * 16000)
    # Each window has its own level and tone
    for n in range(0, len(wav), WINDOW):
        part = wav[n : n + WINDOW]
        part *= 0.02 * (1 + n / WINDOW)
        part += 0.3 * np.sin(np.arange(len(part)) * 0.02 * (1 + n / WINDOW))
    windows = list(torch.from_numpy(wav).split(WINDOW))
    assert len(windows) == 47 and len(windows[-1]) == 6880
    windows[-1] = torch.from_numpy(wav[-WINDOW:])
    each = torch.stack([by_hand(exported[0], part) for part in windows])
    assert len(each.argmax(0).unique()) > 1
    tags = tagger.tag_file(write(tmp_path / "minute.wav", wav))
    assert_tags(tags, each.amax(0), exported[0]["labels"])


@pytest.mark.parametrize("rest, windows", [(0, 1), (1, 2), (800, 2)])
def test_the_last_window_has_full_length(
    exported, tagger, tmp_path, rest, windows
):
    wav = noise(WINDOW + rest)
    wav[WINDOW:] *= 100
    both = torch.from_numpy(wav[:WINDOW]), torch.from_numpy(wav[rest:])
    each = torch.stack([by_hand(exported[0], part) for part in both[:windows]])
    tags = tagger.tag_file(write(tmp_path / "clip.wav", wav))
    assert_tags(tags, each.amax(0), exported[0]["labels"])


def test_files_are_mixed_down_and_resampled(tagger, tmp_path):
    expected = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    for rate in (8000, 44100, 48000):
        tone = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
        stereo = np.stack([1.5 * tone, 0.5 * tone], 1)
        path = write(tmp_path / f"{rate}.wav", stereo, rate)
        wav = tagger.load_wav(path).numpy()
        assert wav.shape == (16000,)
        middle = slice(200, -200)
        assert np.abs(wav[middle] - expected[middle]).max() < 5e-3
    opposite = np.stack([tone, -tone], 1)
    path = write(tmp_path / "opposite.wav", opposite, 48000)
    assert tagger.load_wav(path).abs().max() < 1e-5


@pytest.mark.parametrize(
    "name, samples, rate",
    [
        ("stereo.flac", noise(44100, channels=2), 44100),
        ("telephone.wav", noise(8000), 8000),
        ("short.wav", noise(400), 16000),
        ("silence.wav", np.zeros(16000), 16000),
    ],
)
def test_unusual_files_are_tagged(
    exported, tagger, tmp_path, name, samples, rate
):
    path = tmp_path / name
    sf.write(path, samples, rate)
    tags = tagger.tag_file(path)
    assert len(tags) == 5 and all(0 <= tag.probability <= 1 for tag in tags)
    loaded = tagger.load_wav(path)
    assert len(loaded) == round(len(samples) * 16000 / rate)
    assert_tags(tags, by_hand(exported[0], loaded), exported[0]["labels"])


def bad_samples(value):
    samples = noise(1600)
    samples[100] = value
    return samples


@pytest.mark.parametrize(
    "samples, message",
    [
        (np.zeros(0), "no samples"),
        (noise(1), "shorter than 25 ms: 1 samples"),
        (noise(399), "shorter than 25 ms: 399 samples"),
        (bad_samples(1e30), "beyond full scale: up to 1e.30"),
        (bad_samples(-101), "beyond full scale: up to 101"),
        (bad_samples(np.nan), "not finite"),
        (bad_samples(-np.inf), "not finite"),
    ],
)
def test_files_without_usable_samples_are_errors(
    tagger, tmp_path, samples, message
):
    path = write(tmp_path / "clip.wav", samples)
    with pytest.raises(ValueError, match=f"clip.wav.*{message}"):
        tagger.tag_file(path)


@pytest.mark.parametrize("content", [b"", b"this is a text, not a sound"])
def test_files_that_are_no_audio_are_errors(tagger, tmp_path, content):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="clip.wav is not readable audio"):
        tagger.tag_file(path)


@pytest.mark.parametrize("extension", ["flac", "wav", "ogg", "mp3"])
def test_truncated_files_are_tagged_with_a_warning(
    tagger, tmp_path, caplog, extension
):
    path = tmp_path / f"clip.{extension}"
    sf.write(path, noise(48000), 16000)
    expected = tagger.load_wav(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = tagger.load_wav(path)
    [record] = caplog.records
    whole = "?" if extension == "ogg" else "3"
    seconds = f"read {len(found) / 16000:.6g} of {whole} s"
    assert record.getMessage() == f"{path} is truncated: {seconds}"
    assert 12000 < len(found) < 30000
    # The last frames of an MP3 file refer to earlier ones that are there
    np.testing.assert_array_equal(found[:10000], expected[:10000])
    assert len(tagger.tag_file(path)) == 5


def test_missing_file_is_an_error(tagger, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.wav"):
        tagger.tag_file(tmp_path / "nothing.wav")


def test_tagging_leaves_no_files(tagger, tmp_path, monkeypatch):
    write(tmp_path / "clip.wav", noise(1600))
    monkeypatch.chdir(tmp_path)
    tagger.tag_file("clip.wav")
    assert os.listdir() == ["clip.wav"]


@pytest.mark.parametrize("capable", [True, False])
def test_bfloat16_is_close_to_float32(exported, capable, monkeypatch, caplog):
    folder = str(exported[1])
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: capable)
    tagger = AudioTagger.from_pretrained(folder)
    assert not caplog.records
    rounded = AudioTagger.from_pretrained(folder, precision="bf16")
    assert capable == ("fp32' is faster" not in caplog.text)
    wavs = 0.1 * torch.randn(2, 16000)
    expected, found = tagger.tag_batch(wavs), rounded.tag_batch(wavs)
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
    options = {"device": "cpu", "precision": "bf16"}
    same = AudioTagger.from_hparams(folder, run_opts=options)
    torch.testing.assert_close(same.tag_batch(wavs), found)


def test_unknown_precision_is_an_error(exported):
    with pytest.raises(ValueError, match="'int8', not fp32 or bf16"):
        AudioTagger.from_pretrained(str(exported[1]), precision="int8")


@pytest.mark.skipif(not packed_linear.HAS_ONEDNN, reason="needs oneDNN")
def test_linear_layers_are_packed_unless_switched_off(exported, monkeypatch):
    monkeypatch.setattr(packed_linear, "_cpu_benefits", lambda: True)

    def count(**options):
        tagger = AudioTagger.from_pretrained(exported[1], **options)
        layers = tagger.modules()
        return sum(isinstance(x, packed_linear._PackedLinear) for x in layers)

    assert count() == 2 * 4 + 1
    assert count(packed=False) == count(precision="bf16") == 0


def test_labels_must_fit(exported):
    tagger = AudioTagger.from_pretrained(exported[1])
    modules = {**tagger.mods, "classifier": torch.nn.Linear(24, 6)}
    tagger = AudioTagger(modules, vars(tagger.hparams))
    with pytest.raises(ValueError, match="6 classes.*5 labels"):
        tagger.tag_batch(torch.zeros(1, 16000))
