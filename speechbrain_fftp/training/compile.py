"""Compiles encoders block by block.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def compile_encoder(encoder, *, mode, fullgraph, dynamic):
    """Compiles the blocks of an encoder in place, or all of it if it has none.

    Equal blocks share one graph, which takes a fraction of the time that the
    whole encoder takes. In distributed training, gradients of a block are
    reduced while those of earlier blocks are computed.

    Arguments
    ---------
    encoder : torch.nn.Module
        The encoder, or a module that holds it; its blocks are the list
        ``blocks``.
    mode, fullgraph, dynamic : str, bool, bool
        See ``torch.compile``.
    """
    if dynamic:
        # An analysis fails for dynamic shapes, on GPUs:
        # https://github.com/pytorch/pytorch/issues/181563
        from torch._inductor import config

        if hasattr(config.triton, "coalesce_tiling_analysis"):
            config.triton.coalesce_tiling_analysis = False
    blocks = [
        block
        for module in encoder.modules()
        if isinstance(getattr(module, "blocks", None), torch.nn.ModuleList)
        for block in module.blocks
    ]
    if blocks:
        # It would split each block to reduce its gradients in parts
        torch._dynamo.config.optimize_ddp = False
    for module in blocks or [encoder]:
        module.compile(mode=mode, fullgraph=fullgraph, dynamic=dynamic)
