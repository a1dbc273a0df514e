"""Tests of the selective scan.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_inputs(device, steps=150):
    """Random values in float64; 150 steps are more than two chunks."""
    torch.manual_seed(1)
    sizes = {
        "u": (2, 6, steps),
        "delta": (2, 6, steps),
        "B": (2, 4, steps),
        "C": (2, 4, steps),
        "D": (6,),
        "z": (2, 6, steps),
        "delta_bias": (6,),
    }
    inputs = {
        name: torch.randn(size, dtype=torch.float64, device=device)
        for name, size in sizes.items()
    }
    inputs["A"] = -torch.rand(6, 4, dtype=torch.float64, device=device) - 0.1
    return inputs


def scan_step_by_step(u, delta, A, B, C, D, z, delta_bias):
    """The recursion as it is written in the paper."""
    delta = torch.nn.functional.softplus(delta + delta_bias[:, None])
    state, outputs = 0.0, []
    for t in range(u.shape[2]):
        decay = torch.exp(delta[:, :, t, None] * A)
        new = delta[:, :, t, None] * B[:, None, :, t] * u[:, :, t, None]
        state = decay * state + new
        outputs.append((state * C[:, None, :, t]).sum(2))
    out = torch.stack(outputs, 2) + D[:, None] * u
    return out * torch.nn.functional.silu(z), state


@pytest.mark.parametrize("steps", [1, 64, 150])
def test_scan_and_gradients_are_those_of_the_recursion(device, steps):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device, steps)
    tensors = [x.requires_grad_() for x in inputs.values()]
    weights = torch.randn_like(inputs["u"])
    results = []
    for out, last in (
        selective_scan(**inputs, delta_softplus=True, return_last_state=True),
        scan_step_by_step(**inputs),
    ):
        loss = (out * weights).sum() + last.sin().sum()
        results.append([out, last, *torch.autograd.grad(loss, tensors)])
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("direction", ["forward", "reverse", "both"])
def test_items_of_other_lengths_are_as_alone(device, direction):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    options = {"delta_softplus": True, "reverse": direction == "reverse"}
    if direction == "both":
        inputs["A"] = torch.stack([inputs["A"], 2 * inputs["A"]])
    lengths = torch.tensor([90, 150], device=device)
    out = selective_scan(**inputs, lengths=lengths, **options)
    assert not out[0, :, 90:].any()
    alone = {
        name: x[:1, :, :90] if name in ("u", "delta", "B", "C", "z") else x
        for name, x in inputs.items()
    }
    expected = selective_scan(**alone, **options)
    torch.testing.assert_close(out[:1, :, :90], expected)


def test_directions(device):
    """A backward scan is one of flipped inputs; those of both are added."""
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    A = inputs.pop("A")
    rates = torch.stack([A, 2 * A])
    forward = selective_scan(A=rates[0], **inputs)
    backward = selective_scan(A=rates[1], reverse=True, **inputs)
    both = selective_scan(A=rates, **inputs)
    torch.testing.assert_close(both, forward + backward)
    flipped = {
        name: x.flip(2) if x.dim() == 3 else x for name, x in inputs.items()
    }
    expected = selective_scan(A=rates[1], **flipped).flip(2)
    torch.testing.assert_close(backward, expected)


@torch.no_grad()
def test_memory_does_not_grow_with_the_states(device):
    from speechbrain.nnet.selective_scan import selective_scan

    u, B = torch.randn(2, 64, 1024), torch.randn(2, 16, 1024)
    with torch.profiler.profile(profile_memory=True) as profile:
        selective_scan(u, u.sigmoid(), -torch.rand(64, 16), B, B)
    used = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            used += event.nbytes()
            peak = max(peak, used)
    assert 0 < peak < 1024 * 2 * 64 * 16 * 4 / 2  # half of all states


def test_what_kernels_do_not_check_is_an_error(device):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    wrong_sizes = {
        "delta": inputs["delta"][..., :-1],
        "A": inputs["A"][:-1],
        "B": inputs["B"][..., :-1],
        "D": inputs["D"][:-1],
    }
    for name, tensor in wrong_sizes.items():
        wrong = {**inputs, name: tensor}
        with pytest.raises(ValueError, match=f"^{name} must"):
            selective_scan(**wrong)
    with pytest.raises(ValueError, match="float64"):
        selective_scan(**inputs, backend="triton")
