"""Tests of the selective scan.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

DIRECTIONS = ("forward", "reverse", "both")


def make_inputs(device, direction="forward", steps=150):
    """Random values in float64; 150 steps are more than two chunks.

    Of each channel, one state forgets at once: ``exp(delta * A)`` is 0.
    """
    torch.manual_seed(1)
    sizes = {
        "u": (2, 6, steps),
        "delta": (2, 6, steps),
        "B": (2, 4, steps),
        "C": (2, 4, steps),
        "D": (6,),
        "z": (2, 6, steps),
        "delta_bias": (6,),
        "A": (2, 6, 4) if direction == "both" else (6, 4),
    }
    inputs = {
        name: torch.randn(size, dtype=torch.float64, device=device)
        for name, size in sizes.items()
    }
    inputs["A"] = -inputs["A"].abs() - 0.1
    inputs["A"][..., -1] *= 1e5
    return inputs


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
    flipped = {
        name: x.flip(2) if x.dim() == 3 else x for name, x in inputs.items()
    }
    out, state = scan_step_by_step(**flipped)
    return out.flip(2), state


@pytest.mark.parametrize("steps", [1, 64, 150])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_scan_and_gradients_are_those_of_the_recursion(
    device, steps, direction
):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device, direction, steps)
    tensors = [x.requires_grad_() for x in inputs.values()]
    found = selective_scan(
        **inputs,
        delta_softplus=True,
        return_last_state=direction != "both",
        reverse=direction == "reverse",
    )
    A = inputs.pop("A")
    if direction == "forward":
        expected = scan_step_by_step(A=A, **inputs)
    elif direction == "reverse":
        expected = scan_backward(A=A, **inputs)
    else:
        found = (found,)
        there, _ = scan_step_by_step(A=A[0], **inputs)
        back, _ = scan_backward(A=A[1], **inputs)
        expected = (there + back,)
    results = []
    for outputs in (found, expected):
        loss = sum(x.sin().sum() for x in outputs)
        results.append([*outputs, *torch.autograd.grad(loss, tensors)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_items_of_other_lengths_are_as_alone(device, direction):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device, direction)
    options = {"delta_softplus": True, "reverse": direction == "reverse"}
    lengths = torch.tensor([90, 150], device=device)
    out = selective_scan(**inputs, lengths=lengths, **options)
    assert not out[0, :, 90:].any()
    alone = {
        name: x[:1, :, :90] if name in ("u", "delta", "B", "C", "z") else x
        for name, x in inputs.items()
    }
    expected = selective_scan(**alone, **options)
    torch.testing.assert_close(out[:1, :, :90], expected)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_half_precision_is_scanned_in_float32(device, direction):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device, direction)
    half = {name: x.to(torch.bfloat16) for name, x in inputs.items()}
    single = {name: x.float() for name, x in half.items()}
    options = {"delta_softplus": True, "reverse": direction == "reverse"}
    found = selective_scan(**half, **options)
    expected = selective_scan(**single, **options).bfloat16()
    torch.testing.assert_close(found, expected)


def test_what_kernels_do_not_check_is_an_error(device):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    for name in ("delta", "A", "B", "D"):
        wrong = {**inputs, name: inputs[name][..., :-1]}
        with pytest.raises(ValueError, match="must be"):
            selective_scan(**wrong)
    with pytest.raises(ValueError, match="float64"):
        selective_scan(**inputs, backend="triton")
