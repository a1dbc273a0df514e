"""A training step of each yaml file, in bfloat16 and compiled.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from recipe_brains import OF_LABELS, make_batch, make_brain


def first_step(yaml, folder, **run_opts):
    """Loss of a step, and what the encoder and the cost got."""
    brain = make_brain(yaml, folder, run_opts)
    torch.manual_seed(0)
    batch = make_batch(brain, (1.0, 0.9, 0.6))
    seen = {}

    def see_features(module, args):
        seen["features"], seen["lengths"] = args

    brain.modules["embedding_model"].register_forward_pre_hook(see_features)
    objectives = brain.compute_objectives

    def see_targets(predictions, batch, stage):
        seen["logits"], seen["targets"] = predictions[:2]
        return objectives(predictions, batch, stage)

    brain.compute_objectives = see_targets
    before = [w.detach().clone() for w in brain.modules.parameters()]
    loss = brain.fit_batch(batch).item()
    after = brain.modules.parameters()
    assert any(not torch.equal(x, y) for x, y in zip(before, after))
    return loss, seen


@pytest.mark.parametrize("yaml", OF_LABELS)
def test_augmentation_and_features_are_those_of_float32(yaml, tmp_path):
    """Only the encoder computes in bfloat16."""
    expected, wanted = first_step(yaml, tmp_path, precision="fp32")
    loss, seen = first_step(yaml, tmp_path, precision="bf16")
    for name in ("features", "lengths", "targets"):
        torch.testing.assert_close(seen[name], wanted[name], rtol=0, atol=0)
    assert seen["logits"].dtype == torch.float32
    assert not torch.equal(seen["logits"], wanted["logits"])
    assert loss == pytest.approx(expected, rel=0.02)


@pytest.fixture
def compiler():
    """Without what earlier tests compiled."""
    torch.compiler.reset()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "yaml", ["ast_fftp.yaml", "aum_fftp.yaml", "convnext_fftp.yaml"]
)
def test_steps_in_cuda_graphs(yaml, tmp_path, compiler):
    """The first ones record the graphs; a smaller batch has its own."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    options = {"precision": "bf16", "device": "cuda"}
    losses = []
    for more in ({}, {"compile": True, "compile_mode": "reduce-overhead"}):
        brain = make_brain(yaml, tmp_path, {**options, **more}, max_frames=100)
        torch.manual_seed(0)
        batches = [make_batch(brain, (1.0, 0.9, 0.6)) for _ in range(5)]
        batches.append(make_batch(brain, (0.4, 1.0)))
        found = []
        for brain.step, batch in enumerate(batches, 1):
            found.append(brain.fit_batch(batch).item())
        losses.append(found)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
