"""Tests of models exported for Hugging Face's transformers.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger, hf_export
from speechbrain_fftp.inference.hf_export import export_hugging_face
from speechbrain_fftp.inference.packed_linear import pack_linear
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained import load_ast

LABELS = ["Speech", 'Bark, "dog"', "Müsik 音", "it's; raining"]
FILES = ["config.json", "model.safetensors", "preprocessor_config.json"]
FRAMES = 203  # maximum clip length; the last patches leave frames over
WIDTH = 24


def make_tagger(embedding=None, rate=16000, single_label=False, **modules):
    """A tagger with random weights that are large, so that each matters."""
    embedding = embedding or FFTPEmbedding(128, WIDTH, 25, 5)
    n_mels = embedding.n_mels
    torch.manual_seed(0)
    modules = {
        "compute_features": KaldiFbank(rate, n_mels),
        "mean_var_norm": DatasetNormalization(-5.1, 3.3),
        "embedding_model": AST(n_mels, WIDTH, 2, 3, embedding, FRAMES, 2.5),
        "classifier": torch.nn.Sequential(
            torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, len(LABELS))
        ),
        **modules,
    }
    for module in modules.values():
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    hparams = {"sample_rate": rate, "max_frames": FRAMES}
    hparams.update(label_encoder=labels, single_label=single_label)
    return AudioTagger(modules, hparams, packed=False)


def noise(samples):
    generator = torch.Generator().manual_seed(samples)
    return 0.2 * torch.randn(samples, generator=generator)


def by_transformers(folder, wav, rate=16000):
    """Logits ``[1, C]`` of transformers' extractor and model."""
    transformers = pytest.importorskip("transformers")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model, info = transformers.ASTForAudioClassification.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(info.values()), info  # names and shapes are its own
    inputs = extractor(wav.numpy(), sampling_rate=rate, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**inputs).logits


def assert_same(found, expected):
    assert expected.max() - expected.min() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "embedding",
    [
        FFTPEmbedding(128, WIDTH, 10, 1),
        FFTPEmbedding(128, WIDTH, 25, 5),
        FFTPEmbedding(128, WIDTH, 50, 10),
        FFTPEmbedding(40, WIDTH, 40, 16),  # as many frames as bins
        SquarePatchEmbedding(128, WIDTH, 16, 10),
        SquarePatchEmbedding(48, WIDTH, 16, 16),
    ],
    ids=lambda x: f"{type(x).__name__}-{x.n_mels}-{x.patch_frames}",
)
def test_probabilities_are_those_of_transformers(embedding, tmp_path):
    tagger = make_tagger(embedding)
    assert export_hugging_face(tagger, tmp_path / "new" / "hf").is_dir()
    folder = tmp_path / "new" / "hf"
    assert sorted(os.listdir(folder)) == FILES
    wav = noise(tagger.max_samples)
    expected = tagger.tag_batch(wav)
    # Also with up to a padded patch more, which is not read, and longer
    for more in (0, 159, 160, 4000, 30000):
        longer = torch.cat([wav, noise(more)])
        found = by_transformers(folder, longer).sigmoid()
        assert_same(found, expected)
    # What the messages and the documentation say of shorter clips
    short = wav[: len(wav) // 2]
    found = by_transformers(folder, short).sigmoid()
    assert (found - tagger.tag_batch(short)).abs().max() > 1e-3


def test_one_label_per_clip_and_another_rate(tmp_path):
    tagger = make_tagger(rate=8000, single_label=True)
    export_hugging_face(tagger, tmp_path / "hf")
    wav = noise(tagger.max_samples)
    logits = by_transformers(tmp_path / "hf", wav, 8000)
    assert_same(logits.softmax(-1), tagger.tag_batch(wav))


def test_the_pipeline_gives_the_same_tags(tmp_path):
    transformers = pytest.importorskip("transformers")
    for single_label in (False, True):
        tagger = make_tagger(single_label=single_label)
        folder = export_hugging_face(tagger, tmp_path / str(single_label))
        wav = noise(tagger.max_samples)
        classify = transformers.pipeline("audio-classification", str(folder))
        found = classify({"raw": wav.numpy(), "sampling_rate": 16000})
        expected = tagger.tag(wav, 16000)
        assert [x["label"] for x in found] == [tag.label for tag in expected]
        for row, tag in zip(found, expected):
            assert row["score"] == pytest.approx(tag.probability, abs=1e-4)


@pytest.mark.parametrize("eps", [(1e-6, 1e-5), (1e-2, 1e-6), (1e-6, 0.1)])
def test_the_classifier_may_have_another_eps(eps, tmp_path):
    head = torch.nn.Sequential(
        torch.nn.LayerNorm(WIDTH, eps=eps[1]),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(WIDTH, len(LABELS)),
    )
    encoder = AST(128, WIDTH, 1, 3, max_frames=FRAMES, norm_eps=eps[0])
    tagger = make_tagger(embedding_model=encoder, classifier=head)
    with torch.no_grad():  # so small that eps counts
        tagger.mods.embedding_model.norm.weight *= 0.01
        tagger.mods.embedding_model.norm.bias *= 0.01
    export_hugging_face(tagger, tmp_path / "hf")
    wav = noise(tagger.max_samples)
    found = by_transformers(tmp_path / "hf", wav).sigmoid()
    assert_same(found, tagger.tag_batch(wav))


@pytest.mark.parametrize(
    "embedding",
    [SquarePatchEmbedding(128, WIDTH), FFTPEmbedding(128, WIDTH, 25, 5)],
    ids=["square", "fftp"],
)
def test_load_ast_reads_the_export(embedding, tmp_path):
    tagger = make_tagger(embedding)
    before = {k: v.clone() for k, v in tagger.mods.state_dict().items()}
    folder = export_hugging_face(tagger, tmp_path / "hf")
    for name, tensor in tagger.mods.state_dict().items():
        assert torch.equal(tensor, before[name])
    encoder, classifier = load_ast(folder)
    assert type(encoder.embedding) is type(embedding)
    assert encoder.max_frames == FRAMES
    twin = make_tagger(embedding)
    twin.tagger.embedding_model = encoder
    twin.tagger.classifier = classifier
    wav = noise(tagger.max_samples)
    assert_same(twin.tag_batch(wav), tagger.tag_batch(wav))


@pytest.mark.parametrize("frames, stride", [(25, 5), (10, 1), (128, 16)])
def test_a_tagger_of_the_export_is_the_original(frames, stride, tmp_path):
    """Also where transformers pads: the kernel is cut to its frames again."""
    tagger = make_tagger(FFTPEmbedding(128, WIDTH, frames, stride))
    folder = export_hugging_face(tagger, tmp_path / "hf")
    found = AudioTagger.from_pretrained(folder, packed=False)
    assert found.min_samples == tagger.min_samples
    assert found.max_samples == tagger.max_samples
    assert found.mods.embedding_model.embedding.patch_frames == frames
    wavs = torch.stack([noise(32000), noise(32001)[1:]])
    lens = torch.tensor([1.0, 0.3])
    for size in (found.min_samples, 16000, found.max_samples - 160, 32000):
        args = wavs[:, :size], lens
        assert_same(found.tag_batch(*args), tagger.tag_batch(*args))
    # The end of a clip counts in both.
    clip, silenced = wavs[0, :31000].clone(), wavs[0, :31000].clone()
    silenced[-8000:] = 0
    probs = tagger.tag_batch(silenced)
    assert (probs - tagger.tag_batch(clip)).abs().max() > 1e-3
    assert_same(found.tag_batch(silenced), probs)


def test_a_kernel_that_ends_with_zeros(tmp_path):
    tagger = make_tagger(FFTPEmbedding(128, WIDTH, 25, 5))
    with torch.no_grad():
        tagger.mods.embedding_model.embedding.proj.weight[..., 20:] = 0
    folder = export_hugging_face(tagger, tmp_path / "hf")
    found = AudioTagger.from_pretrained(folder, packed=False)
    assert found.mods.embedding_model.embedding.patch_frames == 20
    wav = noise(tagger.max_samples)
    expected = tagger.tag_batch(wav)
    assert_same(found.tag_batch(wav[: found.max_samples]), expected)
    with torch.no_grad():
        tagger.mods.embedding_model.embedding.proj.weight.zero_()
    folder = export_hugging_face(tagger, tmp_path / "zeros")
    assert load_ast(folder)[0].embedding.patch_frames == 1


@torch.no_grad()
def test_a_kernel_is_zero_beyond_its_frames(tmp_path):
    tagger = make_tagger(FFTPEmbedding(128, WIDTH, 25, 5))
    lines = []
    export_hugging_face(tagger, tmp_path / "hf", lines.append)
    state = load_file(tmp_path / "hf" / "model.safetensors")
    (kernel,) = (v for k, v in state.items() if k.endswith("projection.weight"))
    assert kernel.shape == (WIDTH, 1, 128, 128)
    own = tagger.mods.embedding_model.embedding.proj.weight
    assert torch.equal(kernel[..., :25], own) and not kernel[..., 25:].any()
    assert f"exact for clips of {FRAMES} frames or more" in lines[0]
    assert "5.12 times" in lines[1]


def test_labels_are_kept(tmp_path):
    folder = export_hugging_face(make_tagger(), tmp_path / "hf")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["id2label"] == dict(zip("0123", LABELS))
    assert config["label2id"] == {x: i for i, x in enumerate(LABELS)}


def test_packed_bfloat16_models_are_exported_in_float32(tmp_path):
    tagger = make_tagger()
    packed = make_tagger()
    pack_linear(packed.mods, force=True)
    packed.mods.classifier.bfloat16()
    export_hugging_face(packed, tmp_path / "hf")
    state = load_file(tmp_path / "hf" / "model.safetensors")
    assert {x.dtype for x in state.values()} == {torch.float32}
    wav = noise(tagger.max_samples)
    found = by_transformers(tmp_path / "hf", wav).sigmoid()
    torch.testing.assert_close(found, tagger.tag_batch(wav), rtol=0, atol=1e-2)


def layers(*sizes, **options):
    norm, *linear = (torch.nn.LayerNorm(sizes[0], **options), *sizes[1:])
    return torch.nn.Sequential(
        norm, *(torch.nn.Linear(WIDTH, n) for n in linear)
    )


@pytest.mark.parametrize(
    "modules, reason",
    [
        ({"embedding_model": AuM(128, WIDTH, 1)}, "encoder is AuM, not AST"),
        ({"embedding": FFTPEmbedding(40, WIDTH, 41, 1)}, "more frames than"),
        (
            {"embedding": FFTPEmbedding(40, WIDTH, 9, 2, stem_channels=4)},
            "or convolutions that ASTs there lack",
        ),
        ({"compute_features": KaldiFbank(low_freq=30.0)}, "default settings"),
        ({"compute_features": KaldiFbank(8000)}, "default settings"),
        ({"compute_features": Fbank(n_mels=128)}, "not KaldiFbank"),
        ({"mean_var_norm": InputNormalization()}, "not DatasetNormalization"),
        ({"classifier": torch.nn.Linear(WIDTH, 4)}, "classifier"),
        ({"classifier": layers(WIDTH, WIDTH, 4)}, "classifier"),
        ({"classifier": layers(WIDTH, 4, bias=False)}, "classifier"),
        ({"classifier": layers(WIDTH, 3)}, "number of classes than labels"),
    ],
)
def test_other_models_are_refused(modules, reason, tmp_path):
    tagger = make_tagger(**modules)
    with pytest.raises(ValueError, match=f"cannot express.*{reason}") as error:
        export_hugging_face(tagger, tmp_path / "hf")
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == []


def test_a_model_that_computes_something_else_is_not_written(
    tmp_path, monkeypatch
):
    """As one would that has an option which transformers does not know."""

    class Other(AST):
        def forward(self, feats, wav_lens=None):
            return super().forward(feats, wav_lens).flip(-1)

    monkeypatch.setattr(hf_export, "AST", Other)
    tagger = make_tagger(embedding_model=Other(128, WIDTH, 1, 3))
    with pytest.raises(RuntimeError, match="off by"):
        export_hugging_face(tagger, tmp_path / "hf")
    assert os.listdir(tmp_path) == []


def test_only_new_and_empty_folders_are_written(tmp_path):
    tagger = make_tagger()
    (tmp_path / "mine.txt").write_text("", "utf-8")
    with pytest.raises(FileExistsError, match="is not empty: choose a new"):
        export_hugging_face(tagger, tmp_path)
    with pytest.raises(NotADirectoryError):
        export_hugging_face(tagger, tmp_path / "mine.txt")
    assert os.listdir(tmp_path) == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    export_hugging_face(tagger, tmp_path / "empty")
    assert sorted(os.listdir(tmp_path / "empty")) == FILES


def test_the_command(exported, tmp_path, capsys):
    target = str(tmp_path / "hf")
    arguments = ["export", "--model", str(exported[1]), "--output", target]
    assert main([*arguments, "--to", "huggingface"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {target}, 0.")
    encoder, _ = load_ast(target)
    own = exported[0]["embedding_model"]
    weight = own.blocks[1].qkv.weight
    assert torch.equal(encoder.blocks[1].qkv.weight, weight)
    assert main([*arguments, "--to", "huggingface"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as error:
        main([*arguments, "--to", "huggingface", "--int8"])
    assert error.value.code == 2
