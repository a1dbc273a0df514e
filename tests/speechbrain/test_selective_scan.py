"""Tests of the selective scan.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

SIZES = (2, 6, 4, 150)  # batch, channels, states, steps: more than two chunks


def make_inputs(device, dtype=torch.float64):
    """Random values for all inputs."""
    torch.manual_seed(1)
    batch, dim, states, steps = SIZES
    sizes = {
        "u": (batch, dim, steps),
        "delta": (batch, dim, steps),
        "B": (batch, states, steps),
        "C": (batch, states, steps),
        "D": (dim,),
        "z": (batch, dim, steps),
        "delta_bias": (dim,),
    }
    inputs = {
        name: torch.randn(size, dtype=dtype, device=device)
        for name, size in sizes.items()
    }
    inputs["A"] = -torch.rand(dim, states, dtype=dtype, device=device) - 0.1
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


def test_scan_is_the_recursion(device):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    found = selective_scan(
        **inputs, delta_softplus=True, return_last_state=True
    )
    expected = scan_step_by_step(**inputs)
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs)


def test_gradients_are_those_of_the_recursion(device):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    for tensor in inputs.values():
        tensor.requires_grad_()
    weights = torch.randn_like(inputs["u"])
    ours = selective_scan(**inputs, delta_softplus=True)
    theirs, _ = scan_step_by_step(**inputs)
    tensors = list(inputs.values())
    ours = torch.autograd.grad((ours * weights).sum(), tensors)
    theirs = torch.autograd.grad((theirs * weights).sum(), tensors)
    for name, one, other in zip(inputs, ours, theirs):
        torch.testing.assert_close(one, other, msg=name)


@pytest.mark.parametrize("reverse", [False, True])
def test_items_of_other_lengths_are_as_alone(device, reverse):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    lengths = torch.tensor([90, 150], device=device)
    out = selective_scan(**inputs, lengths=lengths, reverse=reverse)
    assert not out[0, :, 90:].any()
    alone = {
        name: x[:1, :, :90] if x.dim() == 3 else x for name, x in inputs.items()
    }
    if reverse:
        for name in ("u", "delta", "B", "C", "z"):
            alone[name] = alone[name].flip(2)
    expected = selective_scan(**alone)
    expected = expected.flip(2) if reverse else expected
    torch.testing.assert_close(out[:1, :, :90], expected)


def test_both_directions_are_added(device):
    from speechbrain.nnet.selective_scan import selective_scan

    inputs = make_inputs(device)
    A = inputs.pop("A")
    rates = torch.stack([A, 2 * A])
    forward = selective_scan(A=rates[0], **inputs)
    backward = selective_scan(A=rates[1], reverse=True, **inputs)
    both = selective_scan(A=rates, **inputs)
    torch.testing.assert_close(both, forward + backward)


def test_other_shapes_are_errors(device):
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


@pytest.mark.parametrize("kind", ["forward", "reverse", "both"])
def test_an_exported_scan_is_the_same(device, kind):
    from speechbrain.nnet.selective_scan import selective_scan

    class Scan(torch.nn.Module):
        def forward(self, inputs, lengths):
            return selective_scan(
                **inputs,
                delta_softplus=True,
                lengths=lengths,
                reverse=kind == "reverse",
            )

    inputs = make_inputs(device, torch.float32)
    if kind == "both":
        inputs["A"] = torch.stack([inputs["A"], 2 * inputs["A"]])
    arguments = inputs, torch.tensor([90, 150], device=device)
    program = torch.export.export(Scan(), arguments)
    names = [str(node.target) for node in program.graph.nodes]
    assert sum("exported" in name for name in names) == 1
    with torch.no_grad():
        found = program.module()(*arguments)
    torch.testing.assert_close(found, Scan()(*arguments))
