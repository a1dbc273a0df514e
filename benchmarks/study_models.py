"""The models of a study: from yaml and overrides to tokens, sizes and MACs.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import importlib.util
import math
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.utils.complexity import count_macs

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
SAMPLE_RATE = 16000
# The keys that a model depends on.
MODEL_KEYS = (
    "embed_dim",
    "depth",
    "num_heads",
    "patch_frames",
    "stride_frames",
    "n_mels",
)
# What a peer cannot do without, by its yaml.
PACKAGES = {"mobilenetv3.yaml": "timm"}
BLOCK = r"^{}:.*\n(?:(?:[ \t].*)?\n)*"


class Config(NamedTuple):
    """What a run is but for its seed.

    Arguments
    ---------
    yaml : str
        The yaml, relative to the repository.
    overrides : dict
        Keys of the yaml and the values that they get.
    """

    yaml: str
    overrides: dict

    def but(self, **overrides):
        """The same with some other values."""
        return Config(self.yaml, {**self.overrides, **overrides})

    @property
    def model_key(self):
        """Tells its model from others."""
        keys = [k for k in MODEL_KEYS if k in self.overrides]
        sizes = (f"{key}={self.overrides[key]}" for key in keys)
        return " ".join([self.yaml, *sizes])


class Figures(NamedTuple):
    """Figures of a model, for one clip.

    Arguments
    ---------
    params : int
        Parameters of encoder and classifier.
    tokens : int or None
        Tokens, class tokens included; None for a model without.
    macs_linear : int
        Multiply-accumulates of linear and convolutional layers, the paper's
        count.
    macs : int
        Those and the ones within attention and scans.
    """

    params: int
    tokens: int
    macs_linear: int
    macs: int


def read_yaml(yaml, base):
    """The text of a yaml; a peer's takes what it lacks from another one.

    Arguments
    ---------
    yaml : str
        The yaml, relative to the repository.
    base : str
        The yaml that a peer's is laid over: top-level keys that both have are
        the peer's.

    Returns
    -------
    str
        The whole yaml.
    """
    own = (ROOT / yaml).read_text(encoding="utf-8")
    if (ROOT / yaml).parent != PEERS:
        return own
    text = (ROOT / base).read_text(encoding="utf-8")
    for match in re.finditer(BLOCK.format(r"(\w+)"), own, re.MULTILINE):
        block = BLOCK.format(match[1])
        if re.search(block, text, re.MULTILINE):
            text = re.sub(
                block,
                lambda _, own=match[0]: own,
                text,
                count=1,
                flags=re.MULTILINE,
            )
        else:
            text += "\n" + match[0]
    return text


def unavailable(config):
    """Why a configuration cannot be run here; None if it can."""
    package = PACKAGES.get(Path(config.yaml).name)
    if package and importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    return None


@contextlib.contextmanager
def peers_importable():
    """Within it the peers' modules can be imported, as in a run."""
    sys.path.insert(0, str(PEERS))
    try:
        yield
    finally:
        sys.path.remove(str(PEERS))


def load_model(config, base, n_classes):
    """Builds the modules of a configuration, in evaluation mode.

    Arguments
    ---------
    config : Config
        The configuration.
    base : str
        The yaml that a peer's is laid over.
    n_classes : int
        Number of classes.

    Returns
    -------
    dict
        The yaml's ``modules``.
    """
    text = read_yaml(config.yaml, base)
    # Nothing of the rest is needed, and it would write logs.
    for key in ("tensorboard_logger", "train_logger", "checkpointer"):
        text = re.sub(BLOCK.format(key), "", text, flags=re.MULTILINE)
    overrides = {**config.overrides, "n_classes": n_classes}
    overrides["data_folder"] = "none"
    with tempfile.TemporaryDirectory() as folder, peers_importable():
        overrides["output_folder"] = folder
        hparams = load_hyperpyyaml(text, overrides)
    modules = hparams["modules"]
    for module in modules.values():
        module.eval()
    return modules


def figures(config, base, n_classes, seconds):
    """Figures of a configuration's model.

    Arguments
    ---------
    config : Config
        The configuration.
    base : str
        The yaml that a peer's is laid over.
    n_classes : int
        Number of classes.
    seconds : float
        Length of the clip.

    Returns
    -------
    Figures
        Its figures.
    """
    keys = {k: v for k, v in config.overrides.items() if k in MODEL_KEYS}
    items = tuple(sorted(keys.items()))
    return _figures(config.yaml, items, base, n_classes, seconds)


@functools.lru_cache(maxsize=None)
def _figures(yaml, items, base, n_classes, seconds):
    """``figures`` of values that can be hashed."""
    state = torch.random.get_rng_state()  # yamls set a seed
    modules = load_model(Config(yaml, dict(items)), base, n_classes)
    torch.random.set_rng_state(state)
    encoder, classifier = modules["embedding_model"], modules["classifier"]
    tokens = []
    if hasattr(encoder, "blocks") and hasattr(encoder, "embedding"):
        encoder.blocks[0].register_forward_pre_hook(
            lambda block, args: tokens.append(args[0].shape[1])
        )
    feats = modules["compute_features"](
        torch.zeros(1, round(seconds * SAMPLE_RATE))
    )
    macs = count_macs(encoder, feats)
    macs += count_macs(classifier, encoder(feats).detach())
    parts = [*encoder.parameters(), *classifier.parameters()]
    return Figures(
        params=sum(math.prod(p.shape) for p in parts),
        tokens=tokens[0] if tokens else None,
        macs_linear=macs.linear_conv,
        macs=macs.total,
    )


def compose(config, base, path):
    """Writes the whole yaml of a peer; gives the path of a run's yaml."""
    if (ROOT / config.yaml).parent != PEERS:
        return ROOT / config.yaml
    with atomic_path(path) as temporary:
        Path(temporary).write_text(read_yaml(config.yaml, base), "utf-8")
    return path
