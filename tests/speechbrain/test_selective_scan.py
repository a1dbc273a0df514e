"""Tests of the selective scan.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

SEQUENCES = ("u", "delta", "B", "C", "z")
DIRECTIONS = ("forward", "reverse", "both")


def make_inputs(device, direction="forward", steps=150):
    """Random values in float64; 150 steps are more than two chunks.

    Of each channel, one state forgets at once: ``exp(delta * A)`` is 0.
    """
    torch.manual_seed(1)
    sizes = dict.fromkeys(("u", "delta", "z"), (2, 6, steps))
    sizes |= {"B": (2, 4, steps), "C": (2, 4, steps)}
    sizes |= {"D": (6,), "delta_bias": (6,), "A": (6, 4)}
    if direction == "both":
        sizes["A"] = (2, 6, 4)
    inputs = {
        name: torch.randn(size, dtype=torch.float64, device=device)
        for name, size in sizes.items()
    }
    inputs["A"] = -inputs["A"].abs() - 0.1
    inputs["A"][..., -1] *= 1e5
    return inputs


def scan(inputs, direction, **options):
    """The scan of a direction."""
    from speechbrain.nnet.selective_scan import selective_scan

    is_reverse = direction == "reverse"
    return selective_scan(
        **inputs, delta_softplus=True, reverse=is_reverse, **options
    )


def scan_step_by_step(u, delta, A, B, C, D, z, delta_bias):
    """The recursion as it is written in the paper, and its last state."""
    delta = torch.nn.functional.softplus(delta + delta_bias[:, None])
    state, outputs = 0.0, []
    for t in range(u.shape[2]):
        decay = torch.exp(delta[:, :, t, None] * A)
        new = delta[:, :, t, None] * B[:, None, :, t] * u[:, :, t, None]
        state = decay * state + new
        outputs.append((state * C[:, None, :, t]).sum(2))
    out = torch.stack(outputs, 2) + D[:, None] * u
    return out * torch.nn.functional.silu(z), state


def scan_backward(**inputs):
    """The same, from the last step to the first."""
    flipped = {name: inputs[name].flip(2) for name in SEQUENCES}
    out, state = scan_step_by_step(**{**inputs, **flipped})
    return out.flip(2), state


@pytest.mark.parametrize("steps", [1, 64, 150])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_scan_and_gradients_are_those_of_the_recursion(
    device, steps, direction
):
    inputs = make_inputs(device, direction, steps)
    tensors = [x.requires_grad_() for x in inputs.values()]
    if direction == "both":
        found = (scan(inputs, direction),)
        A = inputs.pop("A")
        there, _ = scan_step_by_step(A=A[0], **inputs)
        back, _ = scan_backward(A=A[1], **inputs)
        expected = (there + back,)
    else:
        found = scan(inputs, direction, return_last_state=True)
        slow_scan = scan_step_by_step
        if direction == "reverse":
            slow_scan = scan_backward
        expected = slow_scan(**inputs)
    results = []
    for outputs in (found, expected):
        loss = sum(x.sin().sum() for x in outputs)
        results.append([*outputs, *torch.autograd.grad(loss, tensors)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_items_of_other_lengths_are_as_alone(device, direction):
    inputs = make_inputs(device, direction)
    lengths = torch.tensor([90, 150], device=device)
    out = scan(inputs, direction, lengths=lengths)
    assert not out[0, :, 90:].any()
    alone = {name: inputs[name][:1, :, :90] for name in SEQUENCES}
    expected = scan({**inputs, **alone}, direction)
    torch.testing.assert_close(out[:1, :, :90], expected)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_half_precision_is_scanned_in_float32(device, direction):
    inputs = make_inputs(device, direction)
    half = {name: x.to(torch.bfloat16) for name, x in inputs.items()}
    single = {name: x.float() for name, x in half.items()}
    expected = scan(single, direction).bfloat16()
    torch.testing.assert_close(scan(half, direction), expected)


def test_what_kernels_do_not_check_is_an_error(device):
    inputs = make_inputs(device)
    for name in ("delta", "A", "B", "D"):
        wrong = {**inputs, name: inputs[name][..., :-1]}
        with pytest.raises(ValueError, match="must be"):
            scan(wrong, "forward")
    with pytest.raises(ValueError, match="float64"):
        scan(inputs, "forward", backend="mamba_ssm")
