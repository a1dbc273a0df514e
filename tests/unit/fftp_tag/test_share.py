"""Tests of ``fftp-tag share``: cards, and models in the form of sherpa-onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_onnx
import yaml
from small_models import make_modules

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.tag.sherpa import kaldi_fbank, write_for_sherpa
from speechbrain_fftp.dataio.files import write_json

RATE = 16000
FRAMES = 200  # maximum clip length
LABELS = ["Speech", 'Say "Hi", | you', "Siren", "Müsik", "Rain"]
HUB = ("--name", "me/beeps", "--license", "cc-by-4.0")


def share(*arguments):
    """Runs the verb; returns the exit code."""
    return main(["share", *map(str, arguments), *HUB])


def names(folder):
    """The files of a folder."""
    return {path.name for path in folder.iterdir()}


def read_card(folder):
    """The front matter of a card, and its text."""
    _, head, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


@pytest.fixture
def model(tmp_path):
    """A frame-level model with thresholds and a note."""
    return tiny_onnx.write_model(
        tmp_path / "model.onnx",
        is_frame_level=True,
        thresholds=[0.25, 0.5, 0.75],
        pitches={"a|b": 40.0, "<b>": 100.0, "High": 200.0},
        note="Knows *little*.",
    )


def test_the_card_says_what_a_user_needs(model, tmp_path, capsys):
    about, scores = tmp_path / "about.md", tmp_path / "scores"
    about.write_text("Learnt from *beeps*.")
    scores.mkdir()
    write_json(
        scores / "metrics.json",
        {
            "mAP": 0.91234,
            "macro_F1": None,
            "num_clips": 12,
            "data": "/home/me/beeps_2",
            "split": "eval",
            "events": {"event_F1": 0.5},
        },
    )
    (scores / "per_class.csv").write_text(
        "label,positives,AP,AUC\na|b,3,0.8888,0.9\nHigh,0,,\n"
    )
    folder = tmp_path / "new" / "a folder"
    assert not share(model, folder, "--about", about, "--scores", scores)
    assert names(folder) == {"README.md", "model.onnx"}
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    assert f"hf upload me/beeps '{folder}'" in capsys.readouterr().out
    head, text = read_card(folder)
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "speechbrain_fftp"
    for part in (
        "# beeps\n",
        "Learnt from *beeps*.",
        r"Knows \*little\*.",
        "fftp-tag clip.wav --model me/beeps\n",
        "On 12 clips that `fftp-tag evaluate` was given: beeps\\_2, split eval",
        "| mAP | 0.912 |",
        "| F1 of events, by their ends | 0.500 |",
        r"| a\|b | 0.250 | 0.889 |",
        r"| \<b\> | 0.500 | - |",
        "| High | 0.750 | - |",
    ):
        assert part in text, part
    assert "home" not in text and "macro" not in text


def test_a_training_brings_its_scores_and_its_files_for_speechbrain(
    model, tmp_path
):
    run = tmp_path / "run"
    (run / "inference" / "__pycache__").mkdir(parents=True)
    shutil.copy(model, run / "inference" / "model.onnx")
    for name in ("hyperparams.yaml", "custom.py", "own.py"):
        (run / "inference" / name).write_text(name)
    (run / "inference" / "README.md").write_text(
        '# Title\n\nLoad it: `from_hparams(source="FOLDER")`.\n'
    )
    write_json(run / "metrics.json", {"accuracy": 0.5, "num_clips": 7})
    (run / "per_class.csv").write_text("label,clips,recall\nHigh,3,1.0\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert not share(run, folder)
    assert names(folder) == {"README.md", *names(run / "inference")} - {
        "__pycache__"
    }
    head, text = read_card(folder)
    assert head["library_name"] == "speechbrain"
    assert "hf download me/beeps --local-dir beeps" in text
    assert 'from_hparams(source="beeps")' in text and "# Title" not in text
    assert "On 7 clips that its training did not learn from" in text
    assert "| accuracy | 0.500 |" in text
    assert "| High | 0.750 | 1.000 |" in text
    # The folder of the training itself, with its data, stays where it is
    shutil.copy(model, run / "model.onnx")
    (run / "hyperparams.yaml").write_text("data_folder: my_sounds")
    (run / "README.md").touch()
    assert not share(run, tmp_path / "other")
    assert names(tmp_path / "other") == {"README.md", "model.onnx"}


def test_a_space_has_the_page(model, tmp_path, capsys):
    folder = tmp_path / "space"
    assert not share(model, folder, "--for", "space")
    assert {"index.html", "page.json", "model.onnx"} < names(folder)
    assert read_card(folder)[0]["sdk"] == "static"
    assert "--repo-type space" in capsys.readouterr().out


def test_what_cannot_be_shared_leaves_nothing(model, tmp_path, capsys):
    before = names(tmp_path)
    assert share(model, tmp_path)
    assert share(model, tmp_path / "x", "--scores", tmp_path / "none")
    assert share(model, tmp_path / "x", "--for", "sherpa-onnx")
    error = capsys.readouterr().err
    assert error.count("\n") > 2 and "--front_end sherpa" in error
    write_json(tmp_path / "metrics.json", {"loss": 1.0})
    assert share(model, tmp_path / "x", "--scores", tmp_path)
    assert "fftp-tag evaluate" in capsys.readouterr().err
    assert names(tmp_path) == {*before, "metrics.json"}


def noise(n_samples, seed=0):
    """Samples ``[S]`` whose level changes."""
    time = np.arange(n_samples) / RATE
    wav = np.random.default_rng(seed).standard_normal(n_samples)
    return (0.1 * wav * np.sin(9 * time) ** 2).astype(np.float32)


@pytest.fixture(scope="module", params=["clips", "steps"])
def sherpa(request, tmp_path_factory):
    """The tagger of a model with the front end of sherpa-onnx."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    from speechbrain_fftp.lobes.frame_classifier import (
        FrameClassifier,
        FrameTagger,
    )
    from speechbrain_fftp.lobes.front_ends import make_fbank
    from speechbrain_fftp.lobes.models.AST import AST
    from speechbrain_fftp.nnet.patching import FFTPEmbedding
    from speechbrain_fftp.onnx.export import export_onnx

    torch.manual_seed(0)
    encoder = AST(
        n_mels=80,
        embed_dim=24,
        depth=1,
        num_heads=2,
        embedding=FFTPEmbedding(80, 24, 10, 5),
        max_frames=FRAMES,
    )
    if request.param == "steps":
        encoder = FrameTagger(encoder, FrameClassifier(24, len(LABELS)))
    modules = make_modules(encoder, labels=LABELS)
    modules["compute_features"] = make_fbank("sherpa", RATE, 80)
    for module in modules.values():
        for parameter in module.eval().parameters():  # so that clips differ
            torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp("sherpa") / "model.onnx"
    export_onnx(path, modules, LABELS, sample_rate=RATE, max_frames=FRAMES)
    return AudioTagger.from_pretrained(path)


LENGTHS = (400, 1600, 16000, 31919, 32000, 33000, 50001, 160123)
PIECE = 32000  # AudioTagger mirrors the ends of each piece


def check_probabilities(sherpa, clip, probs):
    """Checks what the shared model says of a clip."""
    expected = sherpa.clip_probabilities(clip, RATE)
    tolerance = 1e-4 if len(clip) < PIECE else 5e-3
    np.testing.assert_allclose(probs, expected, rtol=0, atol=tolerance)


def test_the_shared_model_tags_batches_as_audiotagger_does(sherpa, tmp_path):
    """Short clips, padded ones, and those of several pieces."""
    path = tmp_path / "model.onnx"
    write_for_sherpa(sherpa.model, path)
    onnx.checker.check_model(path)
    clips = [noise(n, n) for n in LENGTHS]
    feats = [kaldi_fbank(clip) for clip in clips]
    lens = np.array(list(map(len, feats)))
    x = np.full((len(clips), lens.max(), 80), 7.0, np.float32)
    for row, own in zip(x, feats):
        row[: len(own)] = own
    session = onnxruntime.InferenceSession(path)
    [probs] = session.run(None, {"x": x, "x_lens": lens})
    for clip, row in zip(clips, probs, strict=True):
        check_probabilities(sherpa, clip, row)
    assert np.ptp(probs, 0).max() > 0.02


def test_the_shared_model_runs_in_sherpa_onnx(sherpa, tmp_path):
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = tmp_path / "folder"
    assert not share(sherpa.model.path, folder, "--for", "sherpa-onnx")
    model, labels = folder / "model.onnx", folder / "class_labels_indices.csv"
    assert names(folder) == {"README.md", labels.name, model.name}
    assert read_card(folder)[0]["library_name"] == "sherpa-onnx"
    zipformer = sherpa_onnx.OfflineZipformerAudioTaggingModelConfig(str(model))
    config = sherpa_onnx.AudioTaggingConfig(
        model=sherpa_onnx.AudioTaggingModelConfig(zipformer=zipformer),
        labels=str(labels),
        top_k=len(LABELS),
    )
    other = sherpa_onnx.AudioTagging(config)
    for n_samples in LENGTHS:
        wav = noise(n_samples, n_samples)
        stream = other.create_stream()
        stream.accept_waveform(RATE, wav)
        found = {event.name: event.prob for event in other.compute(stream)}
        check_probabilities(sherpa, wav, [found[label] for label in LABELS])


def test_a_recipe_names_its_front_end():
    pytest.importorskip("torch")
    from speechbrain_fftp.lobes.front_ends import make_fbank

    assert make_fbank("ast", 22050, 64).banks.shape[1] == 64
    for options in (("icefall", RATE, 80), ("sherpa", RATE, 128)):
        with pytest.raises(SystemExit, match="--front_end"):
            make_fbank(*options)
