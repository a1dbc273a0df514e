"""What a study compares: grids of configurations.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

from study_configs import (
    FFTP,
    LONG_AST,
    LONG_WORDS,
    SPEC_AUGMENT,
    Configs,
    matching_epochs,
)
from study_models import Config


class Entry(NamedTuple):
    """A row of a grid.

    Arguments
    ---------
    label : str
        What it is called in the grid.
    config : Config
        What is run.
    baseline : str, optional
        Label of the row that it is compared with.
    """

    label: str
    config: Config
    baseline: Optional[str] = None


class Grid(NamedTuple):
    """Configurations that belong together.

    Arguments
    ---------
    title : str
        What the grid is about.
    entries : list of Entry
        Its rows.
    pairs : list of tuple
        Labels of two rows to compare beside.
    """

    title: str
    entries: list
    pairs: list = []


class Study(Configs):
    """The grids of a study on some data; its arguments are those of Configs."""

    def grids(self):
        """All grids by name, the most important ones first."""
        if self.smoke:
            return {"smoke": self.smoke_grid()}
        long = {}
        if self.data.form == "speech_commands":  # the only one with its keys
            long = {"long": self.long_trainings()}
        return {
            "training_macs": self.training_macs(),
            "masks": self.mask_kinds(),
            "inference_macs": self.inference_macs(),
            "encoder": self.encoder(),
            "peers": self.peers(),
            "stride": self.strides(),
            "mel_bins": self.mel_bins(),
            "embedding": self.embedding(),
            "masks_square": self.mask_kinds_square(),
            "learning_rate": self.learning_rates(),
            "budget": self.budgets(),
            "full_freq_ratio": self.full_freq_ratios(),
            "mask_grid": self.mask_grid(),
            **long,
        }

    def smoke_grid(self):
        """One of each kind."""
        label, square, narrow = self.label, "square 16/16", self.narrower()
        return Grid(
            "Smoke test",
            [
                Entry(label, self.fftp),
                Entry(square, self.square_16, label),
                Entry("no masks", self.without_masks(self.fftp), label),
                Entry(_sizes("square 16/16", narrow), narrow, label),
                Entry("x-vector", self.peer("xvector"), label),
            ],
            [(square, "no masks")],
        )

    def long_trainings(self):
        """The best training found for FFTP, and as many MACs for others."""
        fftp = self.fftp.but(**LONG_WORDS, **LONG_AST, patch_frames=25)
        square = self.square_16.but(**LONG_WORDS, **LONG_AST)
        xvector = self.peer("xvector").but(**LONG_WORDS)
        label = "FFTP 25/5, 40 bins"
        return Grid(
            "Longer training, equal training MACs",
            [
                Entry(label, fftp),
                Entry(
                    "square 16/16, 40 bins", self.as_long(square, fftp), label
                ),
                Entry("x-vector", self.as_long(xvector, fftp), label),
            ],
        )

    def embedding(self):
        """Square patches and FFTP, equal epochs; and FFTP with more of them."""
        label, square = self.label, "square 16/16"
        long = self.as_long(self.fftp, self.square_16)
        return Grid(
            "Patch embedding, equal epochs, and more of them",
            [
                Entry(label, self.fftp),
                Entry(square, self.square_16, label),
                Entry("square 16/10", self.square_10, label),
                Entry(f"{label}, as many MACs as {square}", long, square),
            ],
        )

    def as_long(self, config, other=None):
        """With as many epochs as the training MACs of another, FFTP, buy.

        With fewer epochs, the weights of as many fewer are averaged.
        """
        other = other or self.fftp
        usual = other.overrides["number_of_epochs"]
        epochs = matching_epochs(usual, self.macs(config), self.macs(other))
        averaged = other.overrides.get("avg_checkpoints", self.averaged)
        if epochs < usual:
            share = max(1, averaged * epochs // usual)
            config = config.but(avg_checkpoints=share)
        return config.but(number_of_epochs=epochs)

    def training_macs(self):
        """Square patches and FFTP, equal multiply-accumulates in training."""
        label = self.label
        short_16 = self.as_long(self.square_16)
        short_10 = self.as_long(self.square_10)
        return Grid(
            "Patch embedding, equal training MACs",
            [
                Entry(label, self.fftp),
                Entry("square 16/16, as many MACs", short_16, label),
                Entry("square 16/10, as many MACs", short_10, label),
            ],
        )

    def learning_rates(self):
        """Whether another learning rate suits either embedding better."""
        square, entries = self.as_long(self.square_16), []
        for name, config in (
            (self.label, self.fftp),
            ("square 16/16, as many MACs", square),
        ):
            usual = config.overrides["lr"]
            for factor in (1, 0.3, 3):
                label = f"{name}, lr {factor * usual:g}"
                baseline = f"{name}, lr {usual:g}"
                config = config.but(lr=factor * usual)
                same = factor == 1
                entries.append(Entry(label, config, None if same else baseline))
        return Grid("Learning rate, equal training MACs", entries)

    def inference_macs(self):
        """Square patches made smaller, FFTP's multiply-accumulates."""
        label = self.label
        models = {
            "square 16/16": (self.narrower(), self.shallower()),
            "square 16/10": (self.narrower(self.square_10),),
        }
        entries = [
            Entry(_sizes(name, config), config, label)
            for name, configs in models.items()
            for config in configs
        ]
        return Grid(
            "Patch embedding, equal inference MACs, equal epochs",
            [Entry(label, self.fftp), *entries],
        )

    def mask_kinds(self):
        """No masks, SpecAugment and SpecMask."""
        none = self.without_masks(self.fftp)
        freq, time = SPEC_AUGMENT[self.data.form]
        spec_augment = none.but(freq_mask=freq, time_mask=time)
        return Grid(
            "Masks",
            [
                Entry("none", none),
                Entry("SpecAugment", spec_augment, "none"),
                Entry("SpecMask", self.fftp, "none"),
            ],
            [("SpecMask", "SpecAugment")],
        )

    def mask_kinds_square(self):
        """No masks and SpecMask, on square patches."""
        square = self.without_masks(self.square_16)
        return Grid(
            "Masks on square patches 16/16",
            [
                Entry("none", square),
                Entry("SpecMask", self.square_16, "none"),
            ],
        )

    def encoder(self):
        """AST and AuM of about the same multiply-accumulates."""
        aum = self.aum()
        ast = _sizes("AST", self.fftp)
        return Grid(
            "Encoder, equal epochs",
            [Entry(ast, self.fftp), Entry(_sizes("AuM", aum), aum, ast)],
        )

    def peers(self):
        """Models of others, with their own features, as many epochs."""
        xvector = self.peer("xvector")
        return Grid(
            "Peers, equal epochs or equal training MACs",
            [
                Entry(self.label, self.fftp),
                Entry(
                    "x-vector, as many MACs", self.as_long(xvector), self.label
                ),
                Entry("MobileNetV3", self.peer("mobilenetv3"), self.label),
                Entry("x-vector", xvector, self.label),
            ],
        )

    def strides(self):
        """FFTP, more or less often."""
        entries = []
        for stride in (1, 2, 5, 10, 20):
            frames = max(stride, FFTP["patch_frames"])
            label = f"FFTP {frames}/{stride}"
            config = self.fftp.but(patch_frames=frames, stride_frames=stride)
            known = label == self.label
            entries.append(Entry(label, config, None if known else self.label))
        return Grid("Stride, equal epochs", entries)

    def mel_bins(self):
        """Coarser spectrograms, and longer patches; FFTP and square."""
        usual = f"{self.label}, 128 bins"
        fftp = {bins: self.fftp.but(n_mels=bins) for bins in (40, 64, 24)}
        labels = {bins: f"{self.label}, {bins} bins" for bins in fftp}
        long = fftp[40].but(patch_frames=25)
        square = self.square_16.but(n_mels=40)
        entries = [
            Entry(usual, self.fftp),
            *(Entry(labels[bins], fftp[bins], usual) for bins in fftp),
            Entry("FFTP 25/5, 40 bins", long, labels[40]),
            Entry("square 16/16, 40 bins", square, labels[40]),
        ]
        return Grid("Mel bins, equal epochs", entries)

    def budgets(self):
        """More or fewer masks."""
        usual = self.masks["mask_budget"]
        entries = []
        for share in (0, 0.5, 0.75, 1, 2):
            budget = type(usual)(round(usual * share, 6))
            config = self.fftp.but(mask_budget=budget)
            if not budget:
                config = self.without_masks(self.fftp)
            baseline = None if share == 1 else "100 %"
            entries.append(
                Entry(f"{share:.0%}".replace("%", " %"), config, baseline)
            )
        return Grid(f"Mask budget, of {usual}", entries)

    def full_freq_ratios(self):
        """More or less of the budget in full-height masks."""
        usual = self.masks["full_freq_ratio"]
        entries = [
            Entry(
                str(ratio),
                self.fftp.but(full_freq_ratio=ratio),
                None if ratio == usual else str(usual),
            )
            for ratio in sorted({0.0, 0.5, 0.7, 0.8, 0.9, 1.0, usual})
        ]
        return Grid("Share of the budget in full-height masks", entries)

    def mask_grid(self):
        """Masks on and off the grid of patches."""
        label = "on the grid"
        on = self.fftp.but(mask_patch=[FFTP["stride_frames"], 16])
        off = on.but(mask_aligned=False)
        return Grid(
            "Masks on the grid of the patches' strides",
            [Entry(label, on), Entry("moved off the grid", off, label)],
        )


def _size(config):
    """Width and depth of a model."""
    return "{embed_dim} x {depth}".format_map(config.overrides)


def _sizes(name, config):
    """A model's name with width and depth."""
    return f"{name}, {_size(config)}"
