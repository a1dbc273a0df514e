"""What a study trains: sizes, and the configurations made from them.

Authors
 * The speechbrain_fftp authors 2026
"""

from study_models import ROOT, Config

from speechbrain_fftp.training.setup import plain_yaml

# The model that is studied, and its training.
TRAINING = {"number_of_epochs": 24, "batch_size": 64, "lr": 0.001}
AST = {"embed_dim": 128, "depth": 4, "num_heads": 2}
FFTP = {"patch_frames": 10, "stride_frames": 5}
# Widths of SpecAugment's masks, in bins and frames, as in AST's recipes.
SPEC_AUGMENT = {"speech_commands": (48, 48), "audioset": (48, 192)}

# README.md's longer training on spoken words: what suits all models, and FFTP.
LONG_WORDS = {
    "number_of_epochs": 110,
    "speeds": [95, 100, 105],
    "snr_low": 10,
    "snr_high": 80,
    "mixup_prob": 0.3,
}
LONG_AST = {
    "n_mels": 40,
    "batch_size": 32,
    "weight_decay": 0.05,
    "mask_budget": 0.1,
    "avg_checkpoints": 10,
}
MASK_KEYS = (
    "mask_budget",
    "full_freq_ratio",
    "freq_mask",
    "time_mask",
    "mask_aligned",
)

SMOKE_TRAINING = {"number_of_epochs": 2, "batch_size": 4, "lr": 0.001}
SMOKE_AST = {"embed_dim": 64, "depth": 2, "num_heads": 1}
MAX_AUM_DEPTH = 24


class Configs:
    """The configurations that the grids of a study are made of.

    Arguments
    ---------
    data : Data
        The data.
    epochs : int, optional
        Epochs, if not the usual number.
    smoke : bool
        Whether it is only to be seen that all works.
    """

    def __init__(self, data, epochs=None, smoke=False):
        self.data, self.smoke = data, smoke
        self.ast = SMOKE_AST if smoke else AST
        training = dict(SMOKE_TRAINING if smoke else TRAINING)
        if epochs:
            training["number_of_epochs"] = epochs
        self.epochs = training["number_of_epochs"]
        hparams = plain_yaml(ROOT / data.base)
        self.masks = {key: hparams[key] for key in MASK_KEYS}
        self.averaged = hparams["avg_checkpoints"]
        self.training = {**data.overrides, **training}
        self.fftp = self.make("ast_fftp", **self.ast, **FFTP)
        self.square_10, self.square_16 = (
            self.make(
                "ast_square",
                **self.ast,
                patch_frames=16,
                stride_frames=stride,
            )
            for stride in (10, 16)
        )
        frames = "/".join(str(value) for value in FFTP.values())
        self.label = f"FFTP {frames}"

    def make(self, yaml, **overrides):
        """A configuration of one of the recipe's yamls."""
        path = f"{self.data.yamls}/{yaml}.yaml"
        return Config(path, {**self.training, **self.masks, **overrides})

    def macs(self, config):
        """All multiply-accumulates of a configuration's model."""
        return self.data.figures(config).macs

    def resized(self, config, depth):
        """A model of some depth, as wide as FFTP's MACs allow."""

        def sized(width):
            heads = max(1, round(width / 64))
            return config.but(embed_dim=width, depth=depth, num_heads=heads)

        widths = [
            width
            for width in range(8, 2 * self.ast["embed_dim"] + 1, 8)
            if width % max(1, round(width / 64)) == 0
        ]
        target = self.macs(self.fftp)
        width = closest(widths, lambda w: self.macs(sized(w)), target)
        return sized(width)

    def narrower(self, config=None):
        """Square patches, the usual depth, FFTP's MACs."""
        return self.resized(config or self.square_16, self.ast["depth"])

    def shallower(self):
        """Square patches, FFTP's MACs, the depth that keeps the width most."""
        found = [
            self.resized(self.square_16, depth)
            for depth in range(1, self.ast["depth"])
        ]
        usual = self.ast["embed_dim"]
        return min(found, key=lambda c: abs(c.overrides["embed_dim"] - usual))

    def without_masks(self, config):
        """The same without SpecMask."""
        return config.but(mask_budget=0.0)

    def peer(self, name):
        """A peer; its yaml says all but the number of epochs."""
        overrides = {
            **self.data.overrides,
            "number_of_epochs": self.epochs,
        }
        if self.smoke:
            overrides["batch_size"] = self.training["batch_size"]
        return Config(f"benchmarks/peers/{name}.yaml", overrides)

    def aum(self):
        """AuM with FFTP, as wide as the AST, as deep as its MACs allow."""

        def sized(depth):
            sizes = {"embed_dim": self.ast["embed_dim"], "depth": depth}
            return self.make("aum_fftp", **sizes, **FFTP)

        target = self.macs(self.fftp)
        depths = range(1, MAX_AUM_DEPTH + 1)
        return sized(closest(depths, lambda d: self.macs(sized(d)), target))


def closest(values, measure, target):
    """Which of ascending values has the measure next to a target.

    Arguments
    ---------
    values : sequence
        Values whose measure grows from one to the next.
    measure : callable
        From a value to its measure.
    target : float
        The measure that is wanted.

    Returns
    -------
    The value. Of two equally near ones, the lower.
    """
    low, high = 0, len(values) - 1
    while low < high:  # the first one that reaches the target
        middle = (low + high) // 2
        if measure(values[middle]) < target:
            low = middle + 1
        else:
            high = middle
    near = values[max(low - 1, 0) : low + 1]
    return min(near, key=lambda value: abs(measure(value) - target))


def matching_epochs(epochs, macs, other_macs):
    """Epochs for which a model costs as much as another one in its epochs.

    Arguments
    ---------
    epochs : int
        Epochs of the other model.
    macs : int
        Multiply-accumulates of the model for a clip.
    other_macs : int
        Those of the other model.

    Returns
    -------
    int
        Rounded, and at least 1.
    """
    return max(1, round(epochs * other_macs / macs))
