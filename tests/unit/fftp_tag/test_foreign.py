"""Tests that ONNX files of others equal their own engines, or are refused.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import math

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile as sf
import soxr
import torch
from everyday import NAMES as NAMES_OF_ESC10
from foreign_models import (
    LABELS,
    Waveforms,
    write_ast,
    write_optimum,
    write_sherpa,
    write_waveforms,
    write_zipformer,
)
from torchaudio.compliance import kaldi

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.runtime import runtime_errors
from fftp_tag.model.spans import make_span_model

TOLERANCE = 1e-3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of joined models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    return tmp_path / "cache" / "fftp_tag"


def sound(n_samples, seed=0):
    """Noise that comes and goes, with an offset, as float32 ``[S]``."""
    rng = np.random.default_rng(seed)
    wav = 0.1 * rng.standard_normal(n_samples) + 0.02
    wav[n_samples // 3 : n_samples // 2] *= 1e-3
    return wav.astype(np.float32)


def check(tagger, engine, sizes, *, atol=TOLERANCE):
    """Compares all outputs that an engine gives by name, of several lengths.

    An engine's probabilities must differ, or else all would be equal.
    """
    seen = []
    for n_samples in sizes:
        wav = sound(n_samples)
        with torch.no_grad():
            expected = engine(wav)
        found = tagger.model.run(list(expected), wav[None])
        for rows, value in zip(found, expected.values()):
            np.testing.assert_allclose(rows[0], value, atol=atol)
        seen.append(found[0])
    assert np.ptp(seen, axis=0).max() > 10 * atol


@pytest.mark.parametrize("kind", ["multi_label", "single_label"])
def test_ast_equals_transformers(tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        id2label=dict(enumerate(LABELS)),
        problem_type=f"{kind}_classification",
    )
    model = transformers.ASTForAudioClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.normal_(model.classifier.dense.weight)
    extract = transformers.ASTFeatureExtractor(mean=-3.0, std=4.0)
    write_ast(tmp_path, model)
    config.save_pretrained(tmp_path)
    extract.save_pretrained(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.labels == LABELS and tagger.max_seconds == 10.255
    # Shorter windows cost as much
    assert tagger.check_window().size == 164080

    def engine(wav):
        inputs = extract(wav, sampling_rate=16000, return_tensors="pt")
        hidden = model.audio_spectrogram_transformer(**inputs)
        logits = model.classifier(hidden.pooler_output)[0]
        tokens = hidden.last_hidden_state[0, 2:].view(12, 101, -1).mean(0)
        is_single = kind == "single_label"
        return {
            "probabilities": logits.softmax(0)
            if is_single
            else logits.sigmoid(),
            "tokens": tokens[: max(len(wav) - 2800, 0) // 1600 + 1],
            "embeddings": model.classifier.layernorm(hidden.pooler_output)[0],
        }

    check(tagger, engine, (500, 2800, 70000, 164080))


@pytest.mark.parametrize(
    "write, sizes, max_samples",
    [
        (write_sherpa, (2480, 16001, 77777), 62 * 16 * 160 - 80),
        (write_zipformer, (8000, 16001, 77777), 9.995 * 16000),
    ],
)
def test_ced_and_zipformer_equal_sherpa_onnx(
    tmp_path, write, sizes, max_samples
):
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = write(tmp_path / "model")
    path = str(folder / "model.onnx")
    options = {"ced": path}
    if write is write_zipformer:
        zipformer = sherpa_onnx.OfflineZipformerAudioTaggingModelConfig(path)
        options = {"zipformer": zipformer}
    theirs = sherpa_onnx.AudioTagging(
        sherpa_onnx.AudioTaggingConfig(
            model=sherpa_onnx.AudioTaggingModelConfig(**options),
            labels=str(folder / "class_labels_indices.csv"),
            top_k=len(LABELS),
        )
    )
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS and tagger.model.max_samples == max_samples

    def engine(wav):
        stream = theirs.create_stream()
        stream.accept_waveform(16000, wav)
        events = {event.name: event.prob for event in theirs.compute(stream)}
        return {"probabilities": [events[label] for label in LABELS]}

    if write is write_sherpa:
        sizes = (*sizes, max_samples)
        tokens = tagger.model.run(["tokens"], sound(16001)[None])[0]
        more = 16001 - tagger.model.min_samples
        assert tokens.shape[1] == more // tagger.model.info.token_samples + 1
    check(tagger, engine, sizes)


def test_a_tagger_by_optimum_equals_its_module(tmp_path):
    """Its probabilities are taken as they are; clips may have any length."""
    model = write_optimum(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.labels == LABELS and tagger.max_seconds == 10
    assert tagger.check_window().size == 32000

    def engine(wav):
        wavs = torch.tensor(wav)[None]
        embeddings = model.head[0](Waveforms.forward(model, wavs)[0])
        return {"probabilities": model(wavs)[0], "embeddings": embeddings[0]}

    check(tagger, engine, (16000, 70000), atol=1e-4)


def waveforms(model):
    """The engine of a module of clips of 4000 samples."""

    def engine(wav):
        wavs = torch.tensor(np.pad(wav, (0, 4000 - len(wav))))[None]
        embedding, logits = model(wavs)
        return {
            "probabilities": logits[0].sigmoid(),
            "embeddings": embedding[0],
        }

    return engine


def test_an_encoder_of_waveforms_equals_its_module(tmp_path, capsys):
    """Clips are learnt by its embeddings."""
    folder, data = tmp_path / "birds", tmp_path / "data"
    model = write_waveforms(folder)
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS and tagger.sample_rate == 8000
    check(tagger, waveforms(model), (1000, 4000), atol=1e-5)
    assert not tagger.model.probabilities(np.zeros((1, 4000))).any()
    # Its spectra cannot be told from its encoder
    small = tmp_path / "small.onnx"
    assert main(["import", str(folder), str(small), "--int8"]) == 1
    assert "features and encoder apart" in capsys.readouterr().err
    assert not small.exists()
    times, probs = tagger.frame_probabilities(sound(8000), sample_rate=8000)
    assert len(times) == len(probs) == 2 and times[1] == pytest.approx(0.75)

    time = np.arange(6000) / 8000
    for label, pitch in (("low", 300), ("high", 1500)):
        (data / label).mkdir(parents=True)
        for number in range(8):
            wav = (number + 2) / 20 * np.sin(2 * np.pi * pitch * time)
            wav += 0.01 * sound(6000, number)
            sf.write(data / label / f"{number}.wav", wav, 8000)
    learn(tagger, data, tmp_path / "my.onnx")
    learnt = AudioTagger.from_pretrained(tmp_path / "my.onnx")
    assert learnt.model.span_samples == 4000
    for label in ("low", "high"):
        [tag] = learnt.tag_file(data / label / "3.wav", top_k=1)
        assert tag.label == label
    # Without classes, there are embeddings alone
    write_waveforms(folder, output=None, activation=None, labels=None)
    tagger = AudioTagger.from_pretrained(folder / "birds.onnx")
    assert tagger.labels == []
    assert tagger.embed_file(sound(9000), sample_rate=8000).shape == (16,)


def test_a_tagger_with_embeddings_before_its_classes(tmp_path):
    """As Perch has them, of clips of one length."""
    model = write_waveforms(tmp_path)
    (tmp_path / "birds.json").unlink()
    (tmp_path / "birds.onnx").rename(tmp_path / "model.onnx")
    config = {"id2label": dict(enumerate(LABELS)), "sampling_rate": 8000}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.model.info.fixed_length and tagger.max_seconds == 0.5
    wavs = torch.tensor(sound(4000))[None]
    expected = waveforms(model)(wavs[0])["probabilities"].detach()
    found = tagger.model.probabilities(wavs.numpy())[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def write_of_any_length(folder, **given):
    """Writes an encoder of waveforms whose length is free; returns its path."""
    write_waveforms(folder, **given)
    path = folder / "birds.onnx"
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "samples"
    onnx.save(model, path)
    return path


def test_a_graph_of_free_length_is_run_on_the_sound_as_it_is(tmp_path):
    """Without min_seconds; what is too short to run is followed by zeros."""
    path = write_of_any_length(tmp_path)
    session = onnxruntime.InferenceSession(path)
    tagger = AudioTagger.from_pretrained(path)
    least = tagger.model.min_samples
    assert least < 800 and not tagger.model.info.fixed_length
    for n_samples in (least, 1000, 4000):
        wav = sound(n_samples)
        expected = session.run(["embedding"], {"inputs": wav[None]})[0][0]
        found = tagger.embed_file(wav, 8000)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        padded = np.pad(wav, (0, 4000 - n_samples))
        other = tagger.embed_file(padded, 8000)
        assert n_samples == 4000 or np.abs(other - found).max() > 1e-3
    with pytest.raises(runtime_errors()):
        session.run(None, {"inputs": sound(least - 80)[None]})
    assert tagger.tag_file(sound(220), 8000, threshold=0)


def test_an_encoder_of_clips_of_any_length_equals_its_file(tmp_path):
    """Only clips that are shorter than its minimum are padded.

    Spectra, which the encoder has none of, are computed for learning only.
    """
    path = write_of_any_length(tmp_path, min_seconds=0.25)
    session = onnxruntime.InferenceSession(path)

    def embed(wav):
        wav = np.pad(wav, (0, max(2000 - len(wav), 0)))
        return session.run(["embedding"], {"inputs": wav[None]})[0][0]

    tagger = AudioTagger.from_pretrained(path)
    outputs = [output.name for output in tagger.model.session.get_outputs()]
    assert outputs == ["probabilities", "embeddings", "tokens"]
    assert not tagger.model.info.fixed_length
    check(
        tagger,
        lambda wav: {"embeddings": embed(wav)},
        (1000, 3000, 4000),
        atol=1e-5,
    )
    # A span is a clip of its own
    spans = make_span_model(tagger.model, tmp_path / "spans.onnx", 0.3)
    wav = sound(6000)
    times, rows = AudioTagger(spans).span_features(wav, 8000)
    starts = np.round(8000 * times - 1200).astype(int)
    assert starts[0] == 0 and starts[-1] == 3600
    assert np.diff(starts).max() <= 600
    for start, row in zip(starts, rows):
        part = wav[start : start + 2400]
        np.testing.assert_allclose(row[:16], embed(part), atol=1e-4)  # the mean
        bands = kaldi.fbank(
            torch.tensor(part)[None],
            sample_frequency=8000,
            num_mel_bins=64,
            window_type="hanning",
        ).numpy()
        expected = np.concatenate([bands.mean(0), bands.std(0)])
        inside = slice(3 * 16, 3 * 16 + 128)  # after statistics of tokens
        np.testing.assert_allclose(row[inside], expected, atol=1e-3)


def test_a_published_tagger_of_real_sounds(shared):
    """mn04_as by EfficientAT names what is heard, as the file does alone."""
    path = shared / "models" / "mn04_as" / "mn04_as.onnx"
    if not path.is_file():
        pytest.skip("the shared data have no mn04_as")
    tagger = AudioTagger.from_pretrained(path)
    session = onnxruntime.InferenceSession(path)
    assert len(tagger.labels) == 527
    columns = [tagger.labels.index(name) for name in NAMES_OF_ESC10.values()]
    with open(shared / "data" / "esc10" / "esc10.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "5"]
    right = []
    for row in rows[::2]:
        clip = shared / "data" / "esc10" / "audio" / row["file"]
        found = tagger.clip_probabilities(clip)
        wavs = soxr.resample(*sf.read(clip, dtype="float32"), 32000)[None]
        [expected] = session.run(["probabilities"], {"wavs": wavs})
        np.testing.assert_allclose(found, expected[0], atol=0.01)
        right.append([*NAMES_OF_ESC10][found[columns].argmax()] == row["label"])
    assert np.mean(right) > 0.85  # of ten


def write_weights_elsewhere(folder):
    """Writes an encoder whose weights are in a file outside its folder."""
    write_waveforms(folder)
    path = folder / "birds.onnx"
    model = onnx.load(path)
    for weight in model.graph.initializer:
        onnx.external_data_helper.set_external_data(weight, "../secret")
        weight.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())


def write_unknown(folder):
    """Writes what has no description."""
    write_waveforms(folder)
    (folder / "birds.json").unlink()


@pytest.mark.parametrize(
    "write, changes, named",
    [
        (write_optimum, {"do_normalize": True}, ["do_normalize"]),
        (write_optimum, {"sampling_rate": 0}, ["sampling_rate", "0"]),
        (write_waveforms, {"seconds": 2}, ["4000", "16000"]),
        (write_waveforms, {"embedding": "none"}, ["none", "inputs", "label"]),
        (write_waveforms, {"labels": ["one"]}, ["label", "(None, 5)", "1"]),
        (write_waveforms, {"input": None, "rate": 8000}, ["input", "rate"]),
        (write_waveforms, {"labels": "../secret.txt"}, ["../secret.txt"]),
        (write_waveforms, {"labels": "birds.onnx"}, ["birds.onnx", "text"]),
        (write_weights_elsewhere, {}, ["birds.onnx cannot be read"]),
        (write_unknown, {}, ["X.json", "config.json", "sherpa-onnx"]),
    ],
)
def test_what_is_damaged_is_refused(
    tmp_path, write, changes, named, cache, capsys
):
    """The last line names it, and nothing is kept."""
    write(tmp_path / "a", **changes)
    [path] = (tmp_path / "a").rglob("*.onnx")
    source = path if write is write_unknown else tmp_path / "a"
    assert main(["clip.wav", "--model", str(source)]) == 1
    *_, error = capsys.readouterr().err.splitlines()
    for name in named:
        assert name in error
    assert not list(cache.glob("*"))


def test_a_description_in_place_of_its_model_is_refused(tmp_path, capsys):
    write_waveforms(tmp_path)
    path = tmp_path / "birds.json"
    assert main(["clip.wav", "--model", str(path)]) == 1
    *_, error = capsys.readouterr().err.splitlines()
    assert f"{path} is not a model" in error


HOSTILE = [
    *("../secret.txt", "/etc/passwd", "link.txt", "labels.txt", "birds.onnx"),
    *("", ".", "a\0b", "\x1b[2J", "x" * 5000, "inputs", "label", "sigmoid"),
    *(None, True, 0, -1, 1, 1e-9, 1e12, 2**63, 1e308, math.nan, math.inf),
    *([], {}, [[]], ["a"], ["a", "a", "b", "c", "d"], ["\n"] * 5, {"a": []}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "write, name, read_as",
    [
        (write_waveforms, "birds.json", ["labels.txt", "label", "inputs"]),
        (write_optimum, "config.json", []),
        (write_optimum, "preprocessor_config.json", []),
    ],
)
def test_descriptions_of_strangers_are_read_or_refused(
    tmp_path, write, name, read_as
):
    """Nothing that is in files elsewhere comes into a model."""
    folder, secret = tmp_path / "model", tmp_path / "secret.txt"
    folder.mkdir()
    write(folder)
    assert AudioTagger.from_pretrained(folder).labels == LABELS
    secret.write_text("\n".join(f"secret {number}" for number in range(5)))
    (folder / "link.txt").symlink_to(secret)
    given = json.loads((folder / name).read_text())
    read = []
    for key in given:
        for value in HOSTILE:
            (folder / name).write_text(json.dumps({**given, key: value}))
            try:
                tagger = AudioTagger.from_pretrained(folder)
            except (InputError, FileNotFoundError) as error:
                assert "secret 0" not in str(error)
            else:
                assert "secret 0" not in tagger.labels
                read.append(value)
    assert all(value in read for value in read_as)


def test_a_model_is_joined_once(tmp_path, cache):
    """Until it changes; ``import`` writes it elsewhere."""
    write_waveforms(tmp_path / "birds")
    first = AudioTagger.from_pretrained(tmp_path / "birds").model.path
    assert AudioTagger.from_pretrained(tmp_path / "birds").model.path == first
    described_by = tmp_path / "birds" / "birds.json"
    given = {**json.loads(described_by.read_text()), "activation": "softmax"}
    described_by.write_text(json.dumps(given))
    assert AudioTagger.from_pretrained(tmp_path / "birds").model.path != first
    own = tmp_path / "own.onnx"
    assert main(["import", str(tmp_path / "birds"), str(own)]) == 0
    assert AudioTagger.from_pretrained(own).model.info.single_label
    assert len(list(cache.iterdir())) == 2
