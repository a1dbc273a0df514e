"""Models with random weights, whose speed the benchmarks measure.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from fftp_tag import AudioTagger
from fftp_tag.model.int8 import store_in_int8
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.onnx.export import export_onnx

DEMO_YAML = Path(__file__).resolve().parents[1] / "hparams/demo.yaml"
RATE = 16000
CLASSES = 527
LABELS = [f"class {number}" for number in range(CLASSES)]
# Width, depth, heads
SIZES = {
    "base": (768, 12, 12),
    "tiny": (192, 12, 3),
    "smoke": (64, 1, 1),
}


def make_modules(encoder, classifier=None):
    """The modules of a model with a given encoder."""
    if classifier is None:
        classifier = torch.nn.Linear(encoder.embed_dim, CLASSES)
    return {
        "compute_features": KaldiFbank(),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": classifier,
    }


def make_ast(size, patch=(50, 10)):
    """An AST with full-frequency patches of some frames and a stride."""
    width, depth, heads = SIZES[size]
    embedding = FFTPEmbedding(128, width, *patch)
    return AST(128, width, depth, heads, embedding=embedding)


def make_aum(size, patch):
    """An AuM with twice an AST's layers."""
    width, depth, _ = SIZES[size]
    embedding = FFTPEmbedding(128, width, *patch)
    return AuM(128, width, 2 * depth, embedding=embedding)


def make_transformers_ast(size):
    """Transformers' AST, with 1,212 square patches."""
    from transformers import ASTConfig, ASTForAudioClassification

    width, depth, heads = SIZES[size]
    config = ASTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=CLASSES,
    )
    return ASTForAudioClassification(config).eval()


def load_demo(folder):
    """The demo's yaml, as at the start of a training in a folder."""
    options = {"output_folder": str(folder)}
    with open(DEMO_YAML, encoding="utf-8") as file:
        resolved = resolve_references(file, options).getvalue()
    Path(folder, "hyperparams.yaml").write_text(resolved, encoding="utf-8")
    hparams = load_hyperpyyaml(resolved)
    n_classes = hparams["n_classes"]
    hparams["label_encoder"].update_from_iterable(LABELS[:n_classes])
    hparams["label_encoder"].expect_len(n_classes)
    return hparams


def make_tagger(path, modules, threads=None, labels=LABELS):
    """Writes a model.onnx, and loads it."""
    export_onnx(path, modules, labels, sample_rate=RATE, max_frames=1024)
    return AudioTagger.from_pretrained(path, threads=threads)


def make_demo_tagger(path, threads=None):
    """A tagger with the demo's model."""
    demo = load_demo(path.parent)
    labels = list(demo["label_encoder"].lab2ind)
    return make_tagger(path, demo["modules"], threads, labels)


def make_int8(tagger, threads=None):
    """A tagger with the same weights in int8."""
    path = Path(tagger.model.path).with_suffix(".int8.onnx")
    store_in_int8(tagger.model.path, path)
    return AudioTagger.from_pretrained(path, threads=threads)
