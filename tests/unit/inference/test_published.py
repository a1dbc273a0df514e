"""Tests of published models as taggers, against the libraries they come from.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from published_forms import FORMS, random_tensors

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
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


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


@pytest.mark.parametrize("name", ["ast_pipeline/ast_a", "ced/ced_b"])
def test_onnx_of_a_published_model(shared, golden, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / name)
    path = export_onnx(tagger, tmp_path / "model.onnx")
    session = runtime.InferenceSession(path)
    for clip in PIPELINES[name]:
        wav, probs = golden(name, clip)
        inputs = {
            "wavs": wav[None].numpy(),
            "wav_lens": np.ones(1, np.float32),
        }
        (found,) = session.run(["probabilities"], inputs)
        np.testing.assert_allclose(found[0], probs, atol=1e-4)


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
    np.testing.assert_allclose(
        after.tag_batch(wavs, lens),
        before.tag_batch(wavs, lens),
        rtol=0,
        atol=1e-6,
    )


def test_classes_of_a_file(tmp_path, caplog):
    """Those of AudioSet are known by their number."""
    form = FORMS["AST file"]
    path, _ = form.write(tmp_path)
    labels = AudioTagger.from_pretrained(path).labels
    assert labels == [f"class {number}" for number in range(5)]
    assert "labels.csv" in caplog.text
    head = random_tensors({}, {"mlp_head.1": [527, 64]})
    form.write(tmp_path, {**form.make_tensors(), **head})
    labels = AudioTagger.from_pretrained(path).labels
    assert labels == list(read_classes("").values())


@pytest.fixture
def labels_of(tmp_path):
    """Writes a CED with some names of classes, and returns its labels."""

    def load(names, n_classes):
        head = random_tensors({}, {"outputlayer.1": [n_classes, 64]})
        form = FORMS["CED"]
        tensors = {**form.make_tensors(), **head}
        config = {"id2label": names}
        path, _ = form.write(tmp_path / "model", tensors, config)
        return AudioTagger.from_pretrained(path).labels

    return load


def test_short_names_of_audioset_are_completed(labels_of):
    known = list(read_classes("").values())
    short = {str(n): name.split(",")[0] for n, name in enumerate(known)}
    assert short["506"] == short["507"] == "Inside"
    assert labels_of(short, 527) == known
    assert labels_of(None, 527) == known
    short["3"] = "Kazoo"
    labels = labels_of(short, 527)
    assert labels[3] == "Kazoo" and labels[506] == "Inside (506)"
    short["3"] = "Inside (506)"
    labels = labels_of(short, 527)
    assert labels[3] == "Inside (506) (3)" and len(set(labels)) == 527


def test_a_softmax_model_stays_one(tmp_path):
    config = {"problem_type": "single_label_classification"}
    path, _ = FORMS["AST folder"].write(tmp_path, config=config)
    probs = AudioTagger.from_pretrained(path).tag_batch(torch.randn(2, 16000))
    np.testing.assert_allclose(probs.sum(1), np.ones(2), rtol=1e-6)


NAMES = {str(number): f"name {number}" for number in range(5)}


@pytest.mark.parametrize(
    "name, config, preprocessor, key",
    [
        ("AST folder", {"model_type": "wav2vec2"}, {}, "wav2vec2"),
        ("AST folder", {"hidden_size": 10**9}, {}, "hidden_size"),
        ("AST folder", {"id2label": {"0": "a"}}, {}, "id2label"),
        ("AST folder", {"id2label": {**NAMES, "0": 3}}, {}, "id2label"),
        ("AST folder", {}, {"mean": float("nan")}, "mean"),
        ("AST folder", {}, {"std": 0}, "std"),
        ("CED", {}, {"n_fft": 10**9}, "n_fft"),
        ("CED", {}, {"feature_size": 128}, "feature_size"),
    ],
)
def test_a_faulty_folder_is_refused(tmp_path, name, config, preprocessor, key):
    path, _ = FORMS[name].write(
        tmp_path / "source", config=config, preprocessor=preprocessor
    )
    with pytest.raises(ValueError, match=key):
        AudioTagger.from_pretrained(path)


def test_a_missing_front_end_is_named(tmp_path):
    path, _ = FORMS["CED"].write(tmp_path)
    (path / "preprocessor_config.json").unlink()
    with pytest.raises(FileNotFoundError, match="preprocessor_config.json"):
        AudioTagger.from_pretrained(path)


def test_import_does_not_overwrite(tmp_path, capsys):
    source, _ = FORMS["CED"].write(tmp_path / "source")
    (tmp_path / "notes.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(SystemExit) as exit:
            main(["import", str(source), str(target)])
        assert exit.value.code == 2
        assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"
