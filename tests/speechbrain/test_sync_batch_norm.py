"""Test of batch normalisation in distributed training on a CPU.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def test_batch_norm_in_processes_on_a_cpu(tmpdir, monkeypatch):
    from speechbrain import Brain

    monkeypatch.setenv("RANK", "0")  # as torchrun does
    monkeypatch.setenv("LOCAL_RANK", "0")

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmpdir}/store", rank=0, world_size=1
    )
    try:
        brain = Brain(
            {"model": torch.nn.BatchNorm1d(4)},
            lambda weights: torch.optim.SGD(weights, lr=0.5),
            run_opts={
                "device": "cpu",
                "distributed_backend": "gloo",
            },
        )
        brain.on_fit_start()
        out = brain.modules.model(torch.randn(8, 4))
        assert out.mean().abs() < 1e-5
    finally:
        torch.distributed.destroy_process_group()
