"""Tests of learning rates by layer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from recipe_brains import ROOT

OPTIONS = """
data_folder: none
n_classes: 5
embed_dim: 64
depth: 2
layer_decay: 0.5
head_rate: 3.0
opt_class: !ref <layerwise>
"""


@pytest.mark.parametrize("name", ["ast", "aum", "convnext"])
def test_rates_fall_towards_the_patches(name, tmp_path):
    """With the options of a command; every parameter is in one group."""
    text = (ROOT / "hparams" / f"{name}_fftp.yaml").read_text("utf-8")
    hparams = load_hyperpyyaml(text, f"{OPTIONS}output_folder: {tmp_path}")
    modules = torch.nn.ModuleDict(hparams["modules"])
    optimizer = hparams["opt_class"](modules.parameters())
    schedule = hparams["lr_annealing"](warmup_steps=0, total_steps=2)
    rate = schedule(optimizer)
    assert optimizer.param_groups[0]["lr"] == rate
    found = {
        parameter: group["lr"] / rate
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(found) == len(list(modules.parameters()))
    for name, parameter in modules.named_parameters():
        expected = 0.125
        for part, scale in {
            "embedding_model.norm.": 1.0,
            "embedding_model.blocks.1.": 0.5,
            "embedding_model.blocks.0.": 0.25,
            "classifier.": 3.0,
        }.items():
            if name.startswith(part):
                expected = scale
        assert found[parameter] == pytest.approx(expected), name
