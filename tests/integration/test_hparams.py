"""Tests that recipes, hparams files and their list agree.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import pytest
import torch
from prepared_clips import read_rows
from recipe_brains import HPARAMS, ROOT, load_tiny
from upstream_parts import PARTS

from speechbrain_fftp.lobes.features import DatasetNormalization

# Values of https://arxiv.org/abs/2508.21243, and of AST's and AuM's recipes,
# which it follows. Those of AudioSet are also defaults of the package.
PAPER = {
    "": {
        "cost": "bce_loss",
        "mean, std": (-4.2677393, 4.5689974),
        "mixup": (0.5, 10.0),
        "patch, stride, frames": (25, 5, 1000),
        "schedule": (25, 12, 5e-5, 1000, 0.0),
        "spec_augment": (48, 192),
    },
    "speechcommands/": {
        "cost": "cross_entropy",
        "mean, std": (-6.845978, 5.5654526),
        "mixup": (0.6, 10.0),
        "patch, stride, frames": (10, 2, 128),
        "schedule": (30, 128, 2.5e-4, 1000, 0.0),
        "spec_augment": (48, 48),
    },
}
CELLS = {"": 25600, "speechcommands/": 1024}  # that are masked
# Width and depth of the base models
SIZES = {"ast": ("768", "12"), "aum": ("768", "24")}
STOCK = sorted((ROOT / "hparams" / "stock").rglob("*.yaml"))


def test_every_hparams_file_is_listed_once():
    listed = [x["Hparam_file"] for x in read_rows(ROOT / "tests/recipes.csv")]
    assert sorted(listed) == [f"hparams/{name}" for name in HPARAMS]
    exported = {path for files in PARTS.values() for path in files}
    assert {x.relative_to(ROOT).as_posix() for x in STOCK} <= exported


@pytest.mark.parametrize("encoder", ["ast", "aum"])
@pytest.mark.parametrize("folder", PAPER)
def test_values_are_those_of_the_paper(folder, encoder, tmp_path):
    yaml = f"{folder}{encoder}_fftp.yaml"
    text = (ROOT / "hparams" / yaml).read_text("utf-8")
    numbers = dict(re.findall(r"(?m)^(\w+): (\d+)$", text))
    assert (numbers["embed_dim"], numbers["depth"]) == SIZES[encoder]
    hparams = load_tiny(yaml, tmp_path, embed_dim=128)
    model = hparams["embedding_model"]
    assert model.pooling == "cls"
    if encoder == "ast":
        assert model.num_heads == 2  # of 64 channels each
    else:
        assert model.blocks[0].mixer.bidirectional == "fo-bi"
    optimizer = hparams["opt_class"].keywords
    assert tuple(optimizer["betas"]) == (0.95, 0.999)
    assert optimizer["weight_decay"] == 5e-7

    patch, norm = model.embedding, hparams["mean_var_norm"]
    mixup, augment = hparams["mixup"], hparams["spec_augment"]
    sizes = patch.patch_frames, patch.stride_frames, model.max_frames
    schedule = "number_of_epochs batch_size lr warmup_steps final_lr".split()
    cost = hparams["compute_cost"]
    assert PAPER[folder] == {
        "cost": getattr(cost, "func", cost).__name__,
        "mean, std": (norm.mean, norm.std),
        "mixup": (mixup.prob, mixup.alpha),
        "patch, stride, frames": sizes,
        "schedule": tuple(hparams[name] for name in schedule),
        "spec_augment": (augment.bins, augment.frames),
    }
    default = DatasetNormalization()
    assert (default.mean, default.std) == PAPER[""]["mean, std"]
    feats, mask = torch.rand(4, model.max_frames, 128), hparams["spec_mask"]
    masked = (mask(feats) != feats).sum((1, 2))
    assert (masked - CELLS[folder]).abs().max() <= 40  # half a grid cell
    assert mask.full_freq_ratio == 0.7
    # Masks that cover tokens are on their grid
    assert (mask.patch_frames, mask.patch_bins) == (patch.stride_frames, 16)
