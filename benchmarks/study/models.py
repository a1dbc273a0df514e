"""Models of the study: from a yaml and options to tokens, parameters and MACs.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.metrics.complexity import count_macs
from speechbrain_fftp.pretrained import start_from

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
SAMPLE_RATE = 16000
# A top-level key of a yaml with its value.
BLOCK = r"^{}:.*\n(?:(?:[ \t].*)?\n)*"


class Config(NamedTuple):
    """A yaml, relative to the repository, and options of the command line."""

    yaml: str
    overrides: dict


class Figures(NamedTuple):
    """Size and cost of a model, encoder and classifier, for one clip.

    Arguments
    ---------
    params : int
        Number of parameters.
    tokens : int or None
        Number of tokens, including class tokens; None without tokens.
    macs_linear : int
        MACs of linear and convolutional layers, as the paper counts.
    macs : int
        All MACs, including attention and scans.
    """

    params: int
    tokens: int
    macs_linear: int
    macs: int


def find_yaml(yaml):
    """The path of a yaml that a plan names.

    Plans, and so the digests of stored runs, name a recipe's yaml of square
    patches, which is one of the peers now.
    """
    if Path(yaml).name == "ast_square.yaml":
        return PEERS / "square.yaml"
    return ROOT / yaml


def read_yaml(yaml, base):
    """The text of a yaml; a peer's keys replace those of a base yaml."""
    path = find_yaml(yaml)
    own = path.read_text(encoding="utf-8")
    if path.parent != PEERS:
        return own
    text = (ROOT / base).read_text(encoding="utf-8")
    for match in re.finditer(BLOCK.format(r"(\w+)"), own, re.MULTILINE):
        block = re.compile(BLOCK.format(match[1]), re.MULTILINE)
        if block.search(text):
            text = block.sub(lambda _, new=match[0]: new, text, count=1)
        else:
            text += "\n" + match[0]
    return text


def compose(config, base, path):
    """Writes a peer's complete yaml to a path; returns the yaml to run."""
    if find_yaml(config.yaml).parent != PEERS:
        return find_yaml(config.yaml)
    with atomic_path(path) as temporary:
        Path(temporary).write_text(read_yaml(config.yaml, base), "utf-8")
    return path


def load_model(config, plan):
    """The yaml's ``modules`` for a plan's classes, in evaluation mode."""
    text = read_yaml(config.yaml, plan.base)
    # They would write to the output folder, or need data.
    for key in ("train_logger", "checkpointer", "__claim"):
        text = re.sub(BLOCK.format(key), "", text, flags=re.MULTILINE)
    options = {"n_classes": plan.n_classes, **config.overrides}
    sys.path.insert(0, str(PEERS))
    try:
        with tempfile.TemporaryDirectory() as folder:
            options.update(data_folder="none", output_folder=folder)
            with torch.random.fork_rng(devices=()):  # yamls set a seed
                modules = load_hyperpyyaml(text, options)["modules"]
    finally:
        sys.path.remove(str(PEERS))
    return {name: module.eval() for name, module in modules.items()}


def save_blocks(config, plan, seed, source, path):
    """Writes a new encoder that has a trained one's blocks, norms and classes.

    Its patches and positions are random.
    """
    options = {**config.overrides, "seed": seed}
    encoder = load_model(config._replace(overrides=options), plan)[
        "embedding_model"
    ]
    new = {k: v.clone() for k, v in encoder.state_dict().items()}
    start_from(encoder, source)
    random = {
        k: v for k, v in new.items() if k.startswith(("embedding", "pos"))
    }
    torch.save({**encoder.state_dict(), **random}, path)


def training_cost(config, plan):
    """MACs of a clip in training, whose stride may be drawn from several."""
    options = config.overrides
    if not options.get("strides"):
        return figures(config, plan).macs
    one = ({**options, "stride_frames": s} for s in options["strides"])
    each = [figures(Config(config.yaml, o), plan).macs for o in one]
    return sum(each) / len(each)


def windowed_figures(config, plan, window=None, hop=None):
    """``Figures`` of a clip and, if it is cut into windows, of all of these."""
    whole = figures(config, plan)
    if not window:
        return whole
    count = math.floor((plan.seconds - window) / hop) + 1
    part = figures(config, plan, window)
    return whole._replace(
        macs=whole.macs + count * part.macs,
        macs_linear=whole.macs_linear + count * part.macs_linear,
    )


def figures(config, plan, seconds=None):
    """``Figures`` of a model for clips of some length, or of a plan's."""
    modules = load_model(config, plan)
    encoder, classifier = modules["embedding_model"], modules["classifier"]
    tokens = []
    if hasattr(encoder, "blocks") and hasattr(encoder, "embedding"):
        encoder.blocks[0].register_forward_pre_hook(
            lambda block, args: tokens.append(args[0].shape[1])
        )
    wavs = torch.zeros(1, round((seconds or plan.seconds) * SAMPLE_RATE))
    feats = modules["compute_features"](wavs)
    macs = count_macs(encoder, feats)
    macs += count_macs(classifier, encoder(feats).detach())
    parts = [*encoder.parameters(), *classifier.parameters()]
    return Figures(
        params=sum(math.prod(p.shape) for p in parts),
        tokens=tokens[0] if tokens else None,
        macs_linear=macs.linear_conv,
        macs=macs.total,
    )
