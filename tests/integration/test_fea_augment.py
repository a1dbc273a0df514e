"""Augmentation of features in SpeechBrain's form, in all recipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import pytest
import recipe_brains
import torch
from hyperpyyaml import load_hyperpyyaml
from recipe_brains import make_batch, make_brain

import speechbrain as sb

PARTS = """
a_mask: !new:speechbrain_fftp.augment.specmask.SpecMask
    budget: 0.3
a_drop: !new:speechbrain.augment.freq_domain.SpectrogramDrop
    replace: mean
fea_augment: """
AUGMENTER = "!new:speechbrain.augment.augmenter.Augmenter"
BOTH = """
    augmentations: [!ref <a_mask>, !ref <a_drop>]
    min_augmentations: 2
    max_augmentations: 2
    parallel_augment: True
    concat_original: True
"""
# What a yaml has as fea_augment, and how many clips it makes of one
FORMS = {
    "SpecMask": (
        "!new:speechbrain_fftp.augment.augmenter.AllInOrder"
        "\n    augmentations: [!ref <a_mask>]\n",
        1,
    ),
    "both beside the original": (f"{AUGMENTER}{BOTH}", 3),
}
# One for each train.py and train_strong.py
YAMLS = (
    "ast_fftp.yaml",
    "ast_fftp_frames.yaml",
    "speechcommands/ast_fftp.yaml",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("yaml", YAMLS)
def test_what_the_encoder_gets(yaml, form, tmp_path, monkeypatch):
    """Clips with their lengths, each changed in its own frames alone; and as
    many targets as clips.
    """
    augment, copies = FORMS[form]

    def with_augmentation(text, options):
        """Loads a yaml file with this ``fea_augment``."""
        block = r"(?m)^fea_augment:.*\n(?: .*\n)*"
        text, count = re.subn(block, PARTS + augment, text)
        assert count == 1
        return load_hyperpyyaml(text, options)

    monkeypatch.setattr(recipe_brains, "load_hyperpyyaml", with_augmentation)
    brain = make_brain(yaml, tmp_path, mixup_prob=0.0, wav_augment=None)
    batch = make_batch(brain, [1.0, 0.7])
    seen = []
    normalize = brain.modules["mean_var_norm"].forward
    monkeypatch.setattr(
        brain.modules["mean_var_norm"],
        "forward",
        lambda x, lengths=None: seen.append(normalize(x, lengths)) or seen[0],
    )
    brain.modules["embedding_model"].register_forward_pre_hook(
        lambda module, inputs: seen.extend(x.clone() for x in inputs)
    )
    outputs = brain.compute_forward(batch, sb.Stage.TRAIN)
    loss = brain.compute_objectives(outputs, batch, sb.Stage.TRAIN)
    assert torch.isfinite(loss)

    original, changed, lens = seen
    assert len(changed) == len(outputs[0]) == len(outputs[1]) == 2 * copies
    assert torch.equal(outputs[1], batch.targets.data.repeat(copies, 1))
    torch.testing.assert_close(lens, torch.tensor(copies * [1.0, lens[1]]))
    assert lens[1] == pytest.approx(0.7, abs=0.01)
    differs = changed != original.repeat(copies, 1, 1)
    if copies > 1:
        assert not differs[:2].any()  # the original
        differs = differs[2:]
    assert differs.any((1, 2)).all()
    if form == "SpecMask":
        n_frames = round(lens[1].item() * original.shape[1])
        assert not differs[1, n_frames:].any()
        share = differs[1].float().sum() / (n_frames * original.shape[2])
        assert share.item() == pytest.approx(0.3, abs=0.01)
