"""Tests of published models as taggers, against the libraries they come from.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from published_forms import FORMS, atst_file, random_tensors

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.onnx import export_onnx

# Folder, and the golden clips that are not subject to the reference's padding
PIPELINES = {
    "ast_pipeline/ast_a": ["full"],
    "ced/ced_a": ["full", "ten", "short", "over", "long"],
    "ced/ced_b": ["full", "ten", "short", "over", "long"],
}
pipelines = pytest.mark.parametrize("name", PIPELINES)
KNOWN = list(read_classes("").values())
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
atsts = pytest.mark.parametrize("name", ["atst_a", "atst_b"])
dashengs = pytest.mark.parametrize("name", ["dasheng_a.pt", "dasheng_b"])


@pytest.fixture
def golden(shared):
    """Golden clips of a pipeline: waveform in -1..1 and probabilities."""

    def read(name, clip):
        arrays = np.load(shared / "fixtures" / f"{name}_io.npz")
        start, stop = arrays[f"{clip}_at"]
        wav = arrays["wav"][start:stop] / np.float32(32768)
        return torch.from_numpy(wav), arrays[f"{clip}_probs"]

    return read


@pipelines
def test_probabilities_are_those_of_the_reference(shared, golden, name):
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / name)
    for clip in PIPELINES[name]:
        wav, probs = golden(name, clip)
        np.testing.assert_allclose(tagger.tag_batch(wav)[0], probs, atol=1e-4)
        tags = {x.label: x.probability for x in tagger.tag(wav, 16000, 20)}
        found = [tags[label] for label in tagger.labels]
        np.testing.assert_allclose(found, probs, atol=1e-4)


def golden_clips(shared, family, name, clips):
    """Waveforms in -1..1 by name, and all golden tensors."""
    arrays = np.load(shared / "fixtures" / family / f"{name}_io.npz")
    wav = arrays["wav"] / np.float32(32768)
    return {clip: wav[slice(*arrays[f"{clip}_at"])] for clip in clips}, arrays


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def batch_of(clips, loud):
    """Clips in one batch beside a louder one, padded with noise."""
    size = max(map(len, clips)) + 4000
    wavs = loud * torch.randn(len(clips) + 1, size)
    for wav, clip in zip(wavs, clips):
        wav[: len(clip)] = torch.from_numpy(clip)
    lens = torch.tensor([*map(len, clips), size]) / size
    return wavs, lens


@atsts
def test_atst_gives_the_time_steps_of_the_reference(shared, name):
    clips, golden = golden_clips(shared, "atst", name, ["full", "short"])
    path = shared / "fixtures" / "atst" / f"{name}.pt"
    tagger = AudioTagger.from_pretrained(path)
    for clip, wav in clips.items():
        expected = sigmoid(golden[f"{clip}_logits"])
        times, probs = tagger.frame_probabilities([wav])
        np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-4)
        steps = 0.015 + 0.04 * np.arange(len(probs))
        np.testing.assert_allclose(times, steps, rtol=0, atol=1e-6)
        # A clip's probabilities are the highest of its time steps.
        found = tagger.tag_batch(torch.from_numpy(wav))[0]
        np.testing.assert_allclose(found, expected.max(0), rtol=0, atol=1e-4)
        feats, _ = tagger.engine.tagger.features(torch.from_numpy(wav[None]))
        expected = golden[f"{clip}_features"].T
        np.testing.assert_allclose(feats[0], expected, rtol=0, atol=1e-4)
    embedding = tagger.embed_file([clips["short"]])
    expected = golden["short_tokens"].mean(0)
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["ced/ced_b", "atst/atst_a.pt", "dasheng/dasheng_a.pt"]
)
def test_onnx_of_published_models(shared, tmp_path, name):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / name)
    path = export_onnx(tagger, tmp_path / "model.onnx")
    exported = AudioTagger.from_pretrained(path)
    assert exported.labels == tagger.labels
    rng = np.random.default_rng(0)
    # Of a few frames, of a chunk, and of several chunks, the last not full
    for samples in (480, 1500, 16000, 160000, 163000, 400000):
        wav = (0.1 * rng.standard_normal(samples)).astype(np.float32)
        expected = tagger.embed_file([wav])
        limit = 1e-4 * np.abs(expected).max()
        found = exported.embed_file([wav])
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
        if tagger.has_frames:
            times, probs = exported.frame_probabilities([wav])
            expected_times, expected = tagger.frame_probabilities([wav])
            np.testing.assert_allclose(times, expected_times, atol=1e-6)
            np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-4)
            # A clip longer than the model's is encoded in chunks.
            _, probs = exported.engine.frame_probabilities(wav[None])
            _, expected = tagger.engine.frame_probabilities(wav[None])
            np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-4)
        elif tagger.labels:
            found = exported.engine.probabilities(wav[None])
            expected = tagger.engine.probabilities(wav[None])
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    if not tagger.labels:
        with pytest.raises(ValueError, match="no classes"):
            exported.tag(wav, 16000)


@dashengs
def test_dasheng_gives_the_embeddings_of_the_reference(shared, name):
    model = name.removesuffix(".pt")
    clips = ["full", "short", "long"]
    clips, golden = golden_clips(shared, "dasheng", model, clips)
    path = shared / "fixtures" / "dasheng" / name
    tagger = AudioTagger.from_pretrained(path)
    wavs, lens = batch_of(list(clips.values()), loud=20.0)
    batch = tagger.encode_batch(wavs, lens)[:, 0]
    for clip, row in zip(clips, batch):
        expected = golden[f"{clip}_embedding"]
        limit = 1e-4 * np.abs(expected).max()
        wav = clips[clip]
        alone = tagger.encode_batch(torch.from_numpy(wav))[0, 0]
        for found in (alone, row, tagger.embed_file([wav])):
            np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
    encoder = tagger.engine.mods.embedding_model
    encoder.pooling = "tokens"
    for clip, wav in clips.items():
        tokens = tagger.engine.encode(torch.from_numpy(wav))[0]
        expected = golden[f"{clip}_tokens"]
        np.testing.assert_allclose(tokens, expected, rtol=0, atol=2e-4)


@forms
def test_import_keeps_the_model(form, tmp_path, capsys):
    source, _ = form.write(tmp_path / "source")
    folder = tmp_path / "model"
    assert main(["import", str(source), str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {folder}: ")
    before = AudioTagger.from_pretrained(source)
    after = AudioTagger.from_pretrained(folder)
    assert after.labels == before.labels
    assert after.max_window == before.max_window
    wavs = 0.1 * torch.randn(2, 20000)
    lens = torch.tensor([1.0, 0.6])
    embeddings = before.encode_batch(wavs, lens)
    assert torch.equal(after.encode_batch(wavs, lens), embeddings)
    if before.labels:
        probs = before.tag_batch(wavs, lens)
        assert torch.equal(after.tag_batch(wavs, lens), probs)
    if before.has_frames:
        probs = before.engine.tag_frames(wavs, lens)[1]
        assert torch.equal(after.engine.tag_frames(wavs, lens)[1], probs)
        seconds = before.engine.mean_seconds
        assert after.engine.mean_seconds == seconds > 0


def test_a_softmax_model_stays_one(tmp_path):
    config = {"problem_type": "single_label_classification"}
    path, _ = FORMS["AST folder"].write(tmp_path, config=config)
    probs = AudioTagger.from_pretrained(path).tag_batch(torch.randn(2, 16000))
    np.testing.assert_allclose(probs.sum(1), np.ones(2), rtol=1e-6)


def test_classes_without_names_are_those_of_audioset(tmp_path, shared, caplog):
    """They are known by their number."""
    strong = shared / "fixtures" / "atst" / "strong_classes.txt"
    form = FORMS["AST file"]
    head = random_tensors({}, {"mlp_head.1": [527, 64]})
    for name, tensors, expected in (
        ("ATST-Frame", atst_file(447), strong.read_text("utf-8").splitlines()),
        ("AST file", {**form.make_tensors(), **head}, KNOWN),
        ("AST file", None, [f"class {number}" for number in range(5)]),
    ):
        caplog.clear()
        path, _ = FORMS[name].write(tmp_path, tensors)
        assert AudioTagger.from_pretrained(path).labels == expected
        assert bool(caplog.text) == (tensors is None)


def test_short_names_of_audioset_are_completed(tmp_path):
    form = FORMS["CED"]
    head = random_tensors({}, {"outputlayer.1": [527, 64]})
    short = {str(n): name.split(",")[0] for n, name in enumerate(KNOWN)}
    assert short["506"] == short["507"] == "Inside"
    for changes, expected in (
        ({}, KNOWN[506]),
        ({"3": "Kazoo"}, "Inside (506)"),
        ({"3": "Inside (506)"}, "Inside (506) (506)"),
    ):
        path, _ = form.write(
            tmp_path / "model",
            {**form.make_tensors(), **head},
            {"id2label": {**short, **changes}},
        )
        labels = AudioTagger.from_pretrained(path).labels
        assert labels[506] == expected and len(set(labels)) == 527
