"""Models of the study: their yaml files, tokens, parameters and MACs.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import tempfile

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain import parse_arguments
from speechbrain_fftp.training.command import to_options
from speechbrain_fftp.utils.complexity import count_macs
from studies.plan import ROOT

SAMPLE_RATE = 16000
# A top-level key of a yaml with its value
BLOCK = r"^{}:.*\n(?:(?:[ \t].*)?\n)*"


def load_hparams(row, n_classes):
    """Loads a row's yaml with its options, as a recipe does, without data."""
    text = (ROOT / row.yaml).read_text("utf-8")
    # These keys would write to the output folder, or need the recipe's folder
    for key in ("train_logger", "checkpointer", "prepare"):
        text = re.sub(BLOCK.format(key), "", text, flags=re.MULTILINE)
    options = {"n_classes": n_classes, **row.options}
    if "\ndata_folder:" in text:
        options["data_folder"] = "none"
    with tempfile.TemporaryDirectory() as folder:
        options["output_folder"] = folder
        # Without options of SpeechBrain's Brain, such as precision
        words = [row.yaml, *to_options(options)]
        _, _, overrides = parse_arguments(words)
        with torch.random.fork_rng(devices=()):  # yamls set a seed
            return load_hyperpyyaml(text, overrides)


def count_row(row, n_classes, seconds):
    """Counts of a row's encoder and classifier for a training clip, as a dict.

    Parameters, tokens with those of the class, and multiply-accumulates with
    attention and scans.
    """
    hparams = load_hparams(row, n_classes)
    encoder, classifier = (
        hparams["modules"][name].eval()
        for name in ("embedding_model", "classifier")
    )
    wavs = torch.zeros(1, round(seconds * SAMPLE_RATE))
    feats = hparams["compute_features"](wavs)
    padded = hparams.get("pad_frames")
    if isinstance(padded, int):  # as all clips of a training are
        rest = padded - feats.shape[1]
        feats = torch.nn.functional.pad(feats, (0, 0, 0, rest))
    # Which pads them where padding is a part of a clip
    feats = hparams["mean_var_norm"](feats)
    embeddings = encoder(feats).detach()
    params = [*encoder.named_parameters(), *classifier.named_parameters()]
    of_class = sum(x.numel() for name, x in params if name.startswith("cls_"))
    return {
        "params": sum(x.numel() for _, x in params),
        "tokens": encoder.embedding.num_patches(feats.shape[1])
        + of_class // hparams["embed_dim"],
        "macs": count_macs(encoder, feats).total
        + count_macs(classifier, embeddings).total,
    }
