"""Learning rates by layer.

Authors
 * The speechbrain_fftp authors 2026
"""


def layerwise(parameters, *, optimizer, encoder, layer_decay, head_rate):
    """Creates an optimiser with a group of parameters for each rate.

    For ``opt_class``. The rate of a group is that of the schedule times its
    ``lr_scale``: 1 for the encoder's last norm, ``layer_decay`` for the last
    block, its square for the block before, and so on down to the patches;
    ``head_rate`` for what is not part of the encoder. As in
    https://arxiv.org/abs/2106.08254.
    """
    depth = len(encoder.blocks)
    scales = {}
    for name, parameter in encoder.named_parameters():
        part, _, rest = name.partition(".")
        below = depth + 1  # patches, positions and class tokens
        if part == "blocks":
            below = depth - int(rest.partition(".")[0])
        elif part == "norm":
            below = 0
        scales[parameter] = layer_decay**below
    groups = {1.0: []}  # the first: its rate is logged
    for parameter in parameters:
        scale = scales.get(parameter, head_rate)
        groups.setdefault(scale, []).append(parameter)
    return optimizer(
        [{"params": group, "lr_scale": x} for x, group in groups.items()]
    )
