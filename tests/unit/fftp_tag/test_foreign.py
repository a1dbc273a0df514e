"""Tests of ONNX files of others, against their own front ends and engines.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import math

import numpy as np
import onnx.parser
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
    write_small_ast,
    write_waveforms,
    write_zipformer,
)
from onnx import helper
from torchaudio.compliance import kaldi

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.foreign.front_end import Fbank, add_energies, add_log
from fftp_tag.model.graphs import GraphBuilder
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


def compute(add, wavs):
    """Runs a graph on waveforms."""
    graph = onnx.parser.parse_graph("graph (float[B, S] wavs) => () {}")
    output = add(GraphBuilder(graph, "x"))
    graph.output.append(helper.make_tensor_value_info(output, 1, None))
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"wavs": wavs})[0]


COARSE = {
    "n_mels": 40,
    "sample_rate": 22000,
    "remove_dc_offset": False,
    "preemphasis": 0.0,
    "low_freq": 0.0,
}
# What torchaudio calls options of a filterbank
NAMES = {
    "n_mels": "num_mel_bins",
    "sample_rate": "sample_frequency",
    "preemphasis": "preemphasis_coefficient",
}


@pytest.mark.parametrize("n_samples", [560, 16123])
@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("options", [{"n_mels": 128}, COARSE])
def test_filterbanks_equal_torchaudio(options, snip_edges, n_samples):
    wavs = np.stack([sound(n_samples), sound(n_samples, 1)])
    options = {**options, "snip_edges": snip_edges, "window_type": "hanning"}
    fbank = Fbank(**options)
    found = compute(
        lambda build: add_log(build, add_energies(build, "wavs", fbank)), wavs
    )
    theirs = {NAMES.get(name, name): x for name, x in options.items()}
    expected = [kaldi.fbank(torch.tensor(x)[None], **theirs) for x in wavs]
    np.testing.assert_allclose(found, torch.stack(expected), atol=TOLERANCE)
    n_frames = found.shape[1]
    assert fbank.samples(n_frames) <= n_samples < fbank.samples(n_frames + 1)


@pytest.mark.parametrize("kind", ["multi_label", "single_label"])
def test_ast_of_transformers(tmp_path, kind):
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
    assert tagger.model.info.single_label == (kind == "single_label")
    seen = []
    for n_samples in (500, 2800, 70000, 164080):
        wav = sound(n_samples)
        inputs = extract(wav, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            hidden = model.audio_spectrogram_transformer(**inputs)
            logits = model.classifier(hidden.pooler_output)
            pooled = model.classifier.layernorm(hidden.pooler_output)
        tokens = hidden.last_hidden_state[:, 2:].view(1, 12, 101, -1).mean(1)
        expected = logits.sigmoid()
        if kind == "single_label":
            expected = logits.softmax(1)
        outputs = ["probabilities", "tokens", "embeddings"]
        found = tagger.model.run(outputs, wav[None])
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)
        count = max(n_samples - 2800, 0) // 1600 + 1
        np.testing.assert_allclose(found[1], tokens[:, :count], atol=TOLERANCE)
        np.testing.assert_allclose(found[2], pooled, atol=TOLERANCE)
        seen.append(found[0])
    assert np.ptp(seen, axis=0).max() > 10 * TOLERANCE


def test_ced_of_sherpa_onnx(tmp_path):
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = write_sherpa(tmp_path / "model")
    theirs = sherpa_onnx.AudioTagging(
        sherpa_onnx.AudioTaggingConfig(
            model=sherpa_onnx.AudioTaggingModelConfig(
                ced=str(folder / "model.onnx")
            ),
            labels=str(folder / "class_labels_indices.csv"),
            top_k=len(LABELS),
        )
    )
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS
    longest = tagger.model.max_samples
    assert longest == 62 * 16 * 160 - 80
    seen = []
    for n_samples in (2480, 16001, 77777, longest):
        wav = sound(n_samples)
        stream = theirs.create_stream()
        stream.accept_waveform(16000, wav)
        events = {event.name: event.prob for event in theirs.compute(stream)}
        found, tokens = tagger.model.run(["probabilities", "tokens"], wav[None])
        expected = [events[label] for label in LABELS]
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)
        seen.append(found[0])
        more = n_samples - tagger.model.min_samples
        assert tokens.shape[1] == more // tagger.model.info.token_samples + 1
    assert np.ptp(seen, axis=0).max() > 10 * TOLERANCE


def test_zipformer_of_sherpa_onnx(tmp_path):
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = write_zipformer(tmp_path / "model")
    config = sherpa_onnx.OfflineZipformerAudioTaggingModelConfig(
        str(folder / "model.onnx")
    )
    theirs = sherpa_onnx.AudioTagging(
        sherpa_onnx.AudioTaggingConfig(
            model=sherpa_onnx.AudioTaggingModelConfig(zipformer=config),
            labels=str(folder / "class_labels_indices.csv"),
            top_k=len(LABELS),
        )
    )
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS and tagger.max_seconds == 9.995
    seen = []
    for n_samples in (8000, 16001, 77777):
        wav = sound(n_samples)
        stream = theirs.create_stream()
        stream.accept_waveform(16000, wav)
        events = {event.name: event.prob for event in theirs.compute(stream)}
        found = tagger.model.run(["probabilities"], wav[None])[0]
        expected = [events[label] for label in LABELS]
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)
        seen.append(found[0])
    assert np.ptp(seen, axis=0).max() > 10 * TOLERANCE


def test_ast_for_the_web_against_torchaudio(tmp_path):
    model = write_small_ast(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    for n_samples in (30000, 164080):
        wav = sound(n_samples)
        features = kaldi.fbank(
            torch.tensor(wav)[None], num_mel_bins=128, window_type="hanning"
        )
        missing = 1024 - len(features)
        features = torch.nn.functional.pad(features, (0, 0, 0, missing))
        with torch.no_grad():
            expected = model((features[None] + 4) / 9).sigmoid()
        found = tagger.model.probabilities(wav[None])
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    # Shorter windows cost as much
    assert tagger.check_window().size == 164080
    assert tagger.model.info.cost(tagger.check_window(2.0)) == pytest.approx(
        10.255 / 0.5
    )


def test_a_tagger_of_waveforms_by_optimum(tmp_path):
    """Its probabilities are taken as they are; clips may have any length."""
    model = write_optimum(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.labels == LABELS and tagger.max_seconds == 10
    assert tagger.check_window().size == 32000
    for n_samples in (16000, 70000):
        wavs = torch.tensor(sound(n_samples))[None]
        with torch.no_grad():
            expected = model(wavs)
            embeddings = model.head[0](Waveforms.forward(model, wavs)[0])
        found = tagger.model.run(["probabilities", "embeddings"], wavs.numpy())
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
        np.testing.assert_allclose(found[1], embeddings, atol=1e-4)


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
    with torch.no_grad():
        expected = model(wavs)[1].sigmoid()
    found = tagger.model.probabilities(wavs.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"do_normalize": True}, "do_normalize asks for"),
        ({"sampling_rate": 0}, "sampling_rate is 0"),
    ],
)
def test_wrong_settings_of_optimum(tmp_path, settings, message):
    write_optimum(tmp_path, **settings)
    with pytest.raises(InputError, match=message):
        AudioTagger.from_pretrained(tmp_path)


def test_unknown_onnx_beside_a_checkpoint(tmp_path, caplog):
    """The checkpoint is read, and what was tried is named."""
    write_small_ast(tmp_path)
    config = tmp_path / "config.json"
    given = {**json.loads(config.read_text()), "model_type": "other"}
    config.write_text(json.dumps(given))
    with pytest.raises(InputError, match="input_values has the shape"):
        AudioTagger.from_pretrained(tmp_path)
    caplog.set_level("INFO")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="safetensors"):
        AudioTagger.from_pretrained(tmp_path)
    assert "input_values has the shape" in caplog.text
    assert "tried as a checkpoint" in caplog.text


def test_an_encoder_of_waveforms(tmp_path, capsys):
    """Tags from its logits; clips are learnt by its embeddings."""
    folder, data = tmp_path / "birds", tmp_path / "data"
    model = write_waveforms(folder)
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS and tagger.sample_rate == 8000
    for n_samples in (1000, 4000):
        wav = sound(n_samples)
        padded = np.pad(wav, (0, 4000 - n_samples))
        with torch.no_grad():
            embedding, logits = model(torch.tensor(padded)[None])
        found = tagger.model.run(["probabilities", "embeddings"], wav[None])
        np.testing.assert_allclose(found[0], logits.sigmoid(), atol=1e-5)
        np.testing.assert_allclose(found[1], embedding, atol=1e-5)
    assert not tagger.model.probabilities(np.zeros((1, 4000))).any()
    # Its spectra cannot be told from its encoder
    small = tmp_path / "small.onnx"
    assert main(["import", str(folder), str(small), "--int8"]) == 1
    assert "features and encoder apart" in capsys.readouterr().err
    assert not small.exists()
    times, probs = tagger.frame_probabilities(sound(8000), sample_rate=8000)
    assert len(times) == len(probs) == 5 and times[1] == pytest.approx(0.375)

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
        wav = soxr.resample(*sf.read(clip, dtype="float32"), 32000)
        wavs = np.pad(wav, (0, 320000 - len(wav)))[None]
        [expected] = session.run(["probabilities"], {"wavs": wavs})
        np.testing.assert_allclose(found, expected[0], atol=0.01)
        right.append([*NAMES_OF_ESC10][found[columns].argmax()] == row["label"])
    assert np.mean(right) > 0.85  # of ten


def test_an_encoder_of_clips_of_any_length(tmp_path):
    """Only clips that are shorter than its minimum are padded.

    Spectra, which the encoder has none of, are computed for learning only.
    """
    write_waveforms(tmp_path, min_seconds=0.25)
    path = tmp_path / "birds.onnx"
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "samples"
    onnx.save(model, path)
    tagger = AudioTagger.from_pretrained(path)
    outputs = [output.name for output in tagger.model.session.get_outputs()]
    assert outputs == ["probabilities", "embeddings", "tokens"]
    assert tagger.model.min_samples == 2000
    assert not tagger.model.info.fixed_length
    session = onnxruntime.InferenceSession(path)
    for n_samples, heard in ((1000, 2000), (3000, 3000), (4000, 4000)):
        wav = sound(n_samples)
        inputs = {"inputs": np.pad(wav, (0, heard - n_samples))[None]}
        expected = session.run(["embedding"], inputs)[0]
        found = tagger.model.run(["embeddings"], wav[None])[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # A span is a clip of its own
    spans = make_span_model(tagger.model, tmp_path / "spans.onnx", 0.3)
    assert spans.span_samples == spans.max_samples == 2400
    wav = sound(6000)
    times, rows = AudioTagger(spans).span_features(wav, 8000)
    starts = np.round(8000 * times - 1200).astype(int)
    assert starts[0] == 0 and starts[-1] == 3600
    assert np.diff(starts).max() <= 600
    for start, row in zip(starts, rows):
        inputs = {"inputs": wav[None, start : start + 2400]}
        expected = session.run(["embedding"], inputs)[0][0]
        np.testing.assert_allclose(row[:16], expected, atol=1e-4)  # the mean
        bands = kaldi.fbank(
            torch.tensor(wav[None, start : start + 2400]),
            sample_frequency=8000,
            num_mel_bins=64,
            window_type="hanning",
        ).numpy()
        expected = np.concatenate([bands.mean(0), bands.std(0)])
        inside = slice(3 * 16, 3 * 16 + 128)  # after statistics of tokens
        np.testing.assert_allclose(row[inside], expected, atol=1e-3)


def test_an_encoder_without_classes(tmp_path):
    write_waveforms(tmp_path, output=None, activation=None, labels=None)
    tagger = AudioTagger.from_pretrained(tmp_path / "birds.onnx")
    assert tagger.labels == []
    assert tagger.embed_file(sound(9000), sample_rate=8000).shape == (16,)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seconds": 2}, "4000 samples.*16000"),
        ({"embedding": "none"}, "no none: .*inputs, .*embedding, label"),
        ({"labels": ["one"]}, r"label has the shape \(None, 5\).*1 labels"),
        ({"input": None, "rate": 8000}, "input, rate. It needs"),
        ({"labels": "../secret.txt"}, "names the file '../secret.txt'"),
        ({"labels": "birds.onnx"}, "birds.onnx is no text"),
    ],
)
def test_wrong_descriptions_of_an_encoder(tmp_path, changes, message, cache):
    write_waveforms(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        AudioTagger.from_pretrained(tmp_path)
    assert not list(cache.glob("*"))


def test_weights_elsewhere_are_refused(tmp_path):
    write_waveforms(tmp_path)
    path = tmp_path / "birds.onnx"
    model = onnx.load(path)
    for weight in model.graph.initializer:
        onnx.external_data_helper.set_external_data(weight, "../secret")
        weight.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="birds.onnx cannot be read: Data"):
        AudioTagger.from_pretrained(tmp_path)


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
        (write_small_ast, "config.json", []),
        (write_small_ast, "preprocessor_config.json", [-1, 0, 1]),
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
                read.append((key, value))
    assert all(x in [value for _, value in read] for x in read_as)


def test_files_of_no_known_form(tmp_path, capsys):
    """One line says what is accepted."""
    write_waveforms(tmp_path)
    (tmp_path / "birds.json").unlink()
    source = str(tmp_path / "birds.onnx")
    tag = ["clip.wav", "--model", source]
    for command in (tag, ["import", source, str(tmp_path / "x.onnx")]):
        assert main(command) == 1
        (error,) = capsys.readouterr().err.splitlines()
        for form in ("not a model", "X.json", "config.json", "sherpa-onnx"):
            assert form in error


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
