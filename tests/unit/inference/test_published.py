"""Tests of published models as taggers, against the libraries they come from.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

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
AUM = ["fobi_t1024", "bibi_t128"]
pipelines = pytest.mark.parametrize("name", PIPELINES)


@pytest.fixture
def golden(shared):
    """Golden clips of a pipeline: waveform in -1..1 and probabilities."""

    def read(name, clip):
        arrays = np.load(shared / "fixtures" / f"{name}_io.npz")
        start, stop = arrays[f"{clip}_at"]
        return arrays["wav"][start:stop] / 32768, arrays[f"{clip}_probs"]

    return read


@pytest.fixture
def published(shared, tmp_path):
    """A copy of a published folder, with changes of its JSON files."""

    def copy(name, config=(), preprocessor=()):
        folder = tmp_path / "published"
        shutil.copytree(shared / "fixtures" / name, folder)
        folder.chmod(0o755)
        for file, changes in (
            ("config.json", config),
            ("preprocessor_config.json", preprocessor),
        ):
            path = folder / file
            content = {**json.loads(path.read_text()), **dict(changes)}
            path.unlink()
            path.write_text(json.dumps(content))
        return folder

    return copy


@pipelines
def test_probabilities_are_those_of_the_reference(shared, golden, name):
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / name)
    for clip in PIPELINES[name]:
        wav, probs = golden(name, clip)
        wav = torch.tensor(wav, dtype=torch.float32)
        found = tagger.tag_batch(wav)[0].numpy()
        np.testing.assert_allclose(found, probs, atol=1e-4)
        tags = {
            tag.label: tag.probability for tag in tagger.tag(wav, 16000, 20)
        }
        found = [tags[label] for label in tagger.labels]
        np.testing.assert_allclose(found, probs, atol=1e-4)


@pipelines
def test_import_keeps_the_model(shared, golden, tmp_path, name, capsys):
    source, folder = shared / "fixtures" / name, tmp_path / "model"
    assert main(["import", str(source), str(folder)]) == 0
    kind = "AST" if "ast" in name else "CED"
    printed = capsys.readouterr().out
    assert (
        printed.startswith(f"wrote {folder}: {kind}, 0.") and "20 cl" in printed
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "labels.csv",
        "model.safetensors",
    ]
    wav, _ = golden(name, "full")
    before = AudioTagger.from_pretrained(source)
    after = AudioTagger.from_pretrained(folder)
    assert after.labels == before.labels
    assert after.max_window == before.max_window
    wav = torch.tensor(wav).float()
    torch.testing.assert_close(after.tag_batch(wav), before.tag_batch(wav))


@pipelines
def test_an_imported_model_does_what_a_trained_one_does(
    shared, golden, tmp_path, name, capsys
):
    pytest.importorskip("matplotlib")
    folder, clip = str(tmp_path / "model"), str(tmp_path / "clip.wav")
    assert main(["import", str(shared / "fixtures" / name), folder]) == 0
    wav, _ = golden(name, "long")
    sf.write(clip, wav, 16000)
    options = ["--model", folder, "--format", "jsonl"]
    windows = ["--window", "2", "--threshold", "0.6"]
    picture = str(tmp_path / "clip.svg")
    capsys.readouterr()
    assert main([clip, *options, "--top-k", "20"]) == 0
    tags = json.loads(capsys.readouterr().out)["tags"]
    assert main([clip, *options, "--timeline", *windows]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert main([clip, *options, "--plot", picture, "--window", "2"]) == 0
    best = {tag["label"]: tag["probability"] for tag in tags}
    assert len(best) == 20 and events
    for event in events:
        assert 0 <= event["start"] < event["end"] <= len(wav) / 16000
        assert event["probability"] >= 0.6
    assert "<svg" in open(picture, encoding="utf-8").read()


@pytest.mark.parametrize(
    "name, int8",
    [
        ("ast_pipeline/ast_a", False),
        ("ced/ced_b", False),
        ("ced/ced_b", True),
        pytest.param("ced/ced_a", False, marks=pytest.mark.slow),
        pytest.param("ced/ced_a", True, marks=pytest.mark.slow),
        pytest.param("ast_pipeline/ast_a", True, marks=pytest.mark.slow),
    ],
)
def test_onnx_of_a_published_model(shared, golden, tmp_path, name, int8):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / name)
    path = export_onnx(tagger, tmp_path / "model.onnx", int8=int8)
    session = runtime.InferenceSession(path)
    for clip in PIPELINES[name]:
        wav, probs = golden(name, clip)
        inputs = {"wavs": wav[None].astype(np.float32)}
        inputs["wav_lens"] = np.ones(1, np.float32)
        (found,) = session.run(None, inputs)
        limit = 0.02 if int8 else 1e-4
        np.testing.assert_allclose(found[0], probs, atol=limit)


@pytest.mark.parametrize("name", AUM)
def test_an_audio_mamba_of_its_authors(shared, tmp_path, name, caplog):
    source = shared / "fixtures" / "aum" / f"{name}.pth"
    assert main(["import", str(source), str(tmp_path / "model")]) == 0
    assert "not for AudioSet" in caplog.text and "labels.csv" in caplog.text
    tagger = AudioTagger.from_pretrained(tmp_path / "model")
    arrays = np.load(shared / "fixtures" / "aum" / f"{name}_io.npz")
    feats = torch.from_numpy(arrays["input"])
    with torch.no_grad():
        logits = tagger.tagger.classify(tagger.tagger.embedding_model(feats))
    np.testing.assert_allclose(logits, arrays["logits"], atol=1e-4)
    assert tagger.labels == [f"class {n}" for n in range(35)]
    assert tagger.hparams.max_frames == feats.shape[1]


def test_an_ast_of_its_authors(shared, golden, tmp_path):
    """The same weights in both forms, and AudioSet's names for 527 classes."""
    folder = shared / "fixtures" / "ast"
    state = torch.load(folder / "official_d128_module.pth", weights_only=True)
    prefix = "module.mlp_head.1."
    more = 527 - len(state[prefix + "bias"])
    for kind in ("weight", "bias"):
        rows = state[prefix + kind]
        zeros = torch.zeros(more, *rows.shape[1:])
        state[prefix + kind] = torch.cat([rows, zeros])
    torch.save(state, tmp_path / "model.pth")
    tagger = AudioTagger.from_pretrained(tmp_path / "model.pth")
    assert tagger.labels == list(read_classes("").values())
    arrays = np.load(folder / "official_d128_module_io.npz")
    wav, _ = golden("ast_pipeline/ast_a", "full")
    features = np.load(shared / "fixtures" / "ast_pipeline" / "ast_a_io.npz")
    feats, _ = tagger.tagger.features(torch.tensor(wav)[None].float())
    expected = features["full_features"]
    np.testing.assert_allclose(feats[0], expected, atol=2e-3)
    with torch.no_grad():
        x = torch.from_numpy(arrays["input"])
        logits = tagger.tagger.classify(tagger.tagger.embedding_model(x))
    found = logits[:, : 527 - more].numpy()
    np.testing.assert_allclose(found, arrays["logits"], atol=1e-4)


def with_classes(folder, names, n_classes):
    """Gives a CED folder these names, and a classifier of that size."""
    weights = load_file(folder / "model.safetensors")
    for kind in ("weight", "bias"):
        rows = weights[f"outputlayer.1.{kind}"]
        numbers = torch.arange(n_classes) % len(rows)
        weights[f"outputlayer.1.{kind}"] = rows[numbers].contiguous()
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config.update(id2label=names, outputdim=n_classes)
    (folder / "config.json").write_text(json.dumps(config))
    return AudioTagger.from_pretrained(folder).labels


def test_short_names_of_audioset_are_completed(published):
    known = list(read_classes("").values())
    short = {str(n): name.split(",")[0] for n, name in enumerate(known)}
    assert short["506"] == short["507"] == "Inside"
    folder = published("ced/ced_a")
    assert with_classes(folder, short, 527) == known
    assert with_classes(folder, None, 527) == known
    short["3"] = "Kazoo"
    labels = with_classes(folder, short, 527)
    assert labels[3] == "Kazoo" and labels[506] == "Inside (506)"
    assert labels[0] == "Speech" and len(set(labels)) == 527
    short["3"] = "Inside (506)"
    labels = with_classes(folder, short, 527)
    assert labels[3] == "Inside (506) (3)" and len(set(labels)) == 527


def test_unnamed_classes_are_numbered(published, caplog):
    labels = with_classes(published("ced/ced_a"), None, 20)
    assert labels[:2] == ["class 0", "class 1"] and len(labels) == 20
    assert "does not name its classes" in caplog.text


def test_a_softmax_model_stays_one(published):
    single = {"problem_type": "single_label_classification"}
    tagger = AudioTagger.from_pretrained(
        published("ast_pipeline/ast_a", config=single)
    )
    probs = tagger.tag_batch(torch.randn(2, 16000))
    torch.testing.assert_close(probs.sum(1), torch.ones(2))


HUGE = 10**9
FAULTS = [
    ({"model_type": "wav2vec2"}, {}, "of type 'wav2vec2', not of audio-spec"),
    ({"model_type": [1] * 99}, {}, "of type"),
    ({"hidden_size": HUGE}, {}, "hidden_size"),
    ({"num_hidden_layers": HUGE}, {}, "num_hidden_layers"),
    ({"num_hidden_layers": 2**19}, {}, "too few"),
    ({"max_length": 2**19}, {"max_length": 2**19}, "positions do not fit"),
    ({"id2label": {"0": "a"}}, {}, "id2label must name 20 classes"),
    ({"id2label": {str(n): n for n in range(20)}}, {}, "holds '0', not a"),
    *(
        ({"id2label": {str(n): f"a{c}{n}" for n in range(20)}}, {}, message)
        for c, message in (
            ("\x1b]0;", "config.json: 'a\\x1b]0;0' has control characters"),
            ("\u2028", "config.json: 'a\\u20280' has control characters"),
            ("\ud800", "config.json: 'a\\ud8000' has control characters"),
        )
    ),
    ({}, {"mean": None}, "preprocessor_config.json: mean must be a number"),
    ({}, {"mean": float("nan")}, "preprocessor_config.json: mean must be"),
    ({}, {"std": 0}, "preprocessor_config.json: std must be above 0"),
    ({}, {"num_mel_bins": 64}, "are not those of the model"),
    ({}, {"sampling_rate": HUGE}, "sampling_rate must be a number from"),
    ({}, {"sampling_rate": "16k"}, "sampling_rate must be a number from"),
]


@pytest.mark.parametrize("config, preprocessor, message", FAULTS)
def test_a_faulty_folder_is_refused(
    published, tmp_path, capsys, config, preprocessor, message
):
    folder = published("ast_pipeline/ast_a", config, preprocessor)
    with pytest.raises(ValueError, match=re.escape(message)):
        AudioTagger.from_pretrained(folder)
    assert main(["import", str(folder), str(tmp_path / "model")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


CED_FAULTS = [
    ({"embed_dim": HUGE}, {}, "embed_dim"),
    ({"depth": HUGE}, {}, "depth"),
    ({"pooling": "token"}, {}, "pooling"),
    ({"pad_last": False}, {}, "pad_last"),
    ({"target_length": HUGE}, {}, "target_length"),
    ({}, {"n_fft": HUGE}, "n_fft must be a number from"),
    ({}, {"hop_size": 0}, "hop_size must be a number from"),
    ({}, {"center": False}, "center"),
    ({}, {"feature_size": 128}, "feature_size=128 is not n_mels=64"),
    ({}, {"f_max": HUGE}, "f_max must be a number from"),
]


@pytest.mark.parametrize("config, preprocessor, message", CED_FAULTS)
def test_a_faulty_ced_is_refused(published, config, preprocessor, message):
    folder = published("ced/ced_a", config, preprocessor)
    with pytest.raises(ValueError, match=message):
        AudioTagger.from_pretrained(folder)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "preprocessor_config.json"]
)
def test_a_missing_or_cut_file_is_named(published, tmp_path, capsys, file):
    path = published("ced/ced_a") / file
    content = path.read_bytes()
    path.unlink()
    assert main(["import", str(path.parent), str(tmp_path / "m")]) == 1
    assert f"no file {path}" in capsys.readouterr().err
    path.write_bytes(content[: len(content) // 2])
    assert main(["import", str(path.parent), str(tmp_path / "m")]) == 1
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_pickled_objects_are_not_loaded(tmp_path, capsys):
    torch.save({"v.norm.weight": print}, tmp_path / "model.pth")
    assert main(["import", f"{tmp_path}/model.pth", f"{tmp_path}/m"]) == 1
    assert "Python objects other than tensors" in capsys.readouterr().err


def test_import_does_not_overwrite(shared, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    source = str(shared / "fixtures" / "ced" / "ced_a")
    for target in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(SystemExit) as exit:
            main(["import", source, str(target)])
        assert exit.value.code == 2
        assert "is not empty: give a new FOLDER" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_events_of_a_ced_are_limited_by_pieces_not_by_clips(shared, golden):
    """A sound in 10 of 24 s is found, though it is diluted in the clip."""
    tagger = AudioTagger.from_pretrained(shared / "fixtures" / "ced" / "ced_a")
    wav, _ = golden("ced/ced_a", "long")
    wav = torch.tensor(wav).float()
    found = tagger.analyze([wav.numpy()], window=10.0, hop=10.0)
    torch.testing.assert_close(found.clip_probs, tagger.tag_batch(wav)[0])
    size = tagger.piece_samples
    assert size == 1011 * 160 and tagger.max_window > 24
    pieces = torch.cat(
        [
            tagger.tag_batch(wav[start : start + size])
            for start in (0, size, len(wav) - size)
        ]
    )
    window = tagger.tag_batch(wav[:160000])[0]
    torch.testing.assert_close(found.probs[0], window.minimum(pieces[0]))
