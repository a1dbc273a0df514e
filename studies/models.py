"""Models of the study: their yaml files, tokens, parameters and MACs.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import re
import tempfile

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain import parse_arguments
from speechbrain_fftp.utils.complexity import count_macs
from studies.plan import ROOT

SAMPLE_RATE = 16000
# A top-level key of a yaml with its value
BLOCK = r"^{}:.*\n(?:(?:[ \t].*)?\n)*"


def arguments(options):
    """Options as words of a recipe's command line."""
    return [f"--{name}={value}" for name, value in options.items()]


def load_hparams(row, plan):
    """Loads a row's yaml with its options, as a recipe does, without data."""
    text = (ROOT / row.yaml).read_text("utf-8")
    # These keys would write to the output folder, or need the recipe's folder
    for key in ("train_logger", "checkpointer", "prepare"):
        text = re.sub(BLOCK.format(key), "", text, flags=re.MULTILINE)
    options = {
        "n_classes": plan.facts["n_classes"],
        **row.options,
        "data_folder": "none",
    }
    with tempfile.TemporaryDirectory() as folder:
        options["output_folder"] = folder
        # Without options of SpeechBrain's Brain, such as precision
        words = [row.yaml, *arguments(options)]
        _, _, overrides = parse_arguments(words)
        with torch.random.fork_rng(devices=()):  # yamls set a seed
            return load_hyperpyyaml(text, overrides)


def figures(row, plan):
    """Size and cost of a row's encoder and classifier, for a clip of the plan.

    Returns a dict of ``params``; ``tokens``, including class tokens, or None;
    ``macs_linear``, of linear and convolutional layers, as in the paper; and
    ``macs``, including attention and scans.
    """
    modules = load_hparams(row, plan)["modules"]
    for module in modules.values():
        module.eval()
    encoder, classifier = modules["embedding_model"], modules["classifier"]
    tokens = []
    if hasattr(encoder, "blocks") and hasattr(encoder, "embedding"):
        encoder.blocks[0].register_forward_pre_hook(
            lambda block, args: tokens.append(args[0].shape[1])
        )
    wavs = torch.zeros(1, round(plan.facts["seconds"] * SAMPLE_RATE))
    feats = modules["compute_features"](wavs)
    encoding = count_macs(encoder, feats)
    classifying = count_macs(classifier, encoder(feats).detach())
    parts = [*encoder.parameters(), *classifier.parameters()]
    return {
        "params": sum(math.prod(p.shape) for p in parts),
        "tokens": tokens[0] if tokens else None,
        "macs_linear": encoding.linear_conv + classifying.linear_conv,
        "macs": encoding.total + classifying.total,
    }
