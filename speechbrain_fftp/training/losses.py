"""Reads losses without waiting for a GPU.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def mean_of_processes(loss, device):
    """The mean of a loss over all processes, each of which calls this."""
    if not torch.distributed.is_initialized():
        return loss
    # The backend may need the tensor on its device
    loss = loss.to(device) / torch.distributed.get_world_size()
    torch.distributed.all_reduce(loss)
    return loss


def start_copy(loss):
    """Starts to copy a loss from its device; returns a function that reads it.

    The function waits until the device has ended what precedes the copy, and
    not what follows it.
    """
    copy = loss.to("cpu", non_blocking=True)  # to pinned memory
    if not loss.is_cuda:
        return copy.item
    copied = torch.cuda.Event()
    copied.record()

    def read():
        """Waits for the copy."""
        copied.synchronize()
        return copy.item()

    return read
