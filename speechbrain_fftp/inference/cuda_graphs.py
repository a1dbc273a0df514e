"""Faster inference on a GPU: CUDA graphs, and weights that stay in bfloat16.

A small batch takes less time on a GPU than the launches of its kernels, one
after the other, on the CPU. A CUDA graph launches all of them at once.

Authors
 * The speechbrain_fftp authors 2026
"""

import threading

import torch

WARM_UP = 3  # calls before a capture, in which libraries choose their kernels


class CudaGraphs:
    """A function of a tensor, replayed as a CUDA graph for each size.

    A size is captured at its second call, so that sizes that occur once cost
    nothing; after ``max_sizes`` sizes, the function runs as it is. Results have
    memory of their own. Several threads may call it. The function must neither
    wait for the GPU nor copy to it, and its work must depend on nothing but the
    size. Each captured size keeps its activations.
    """

    def __init__(self, function, max_sizes=8):
        self.function, self.max_sizes = function, max_sizes
        self.captured, self.seen = {}, set()
        self.lock = threading.Lock()

    def __reduce__(self):
        return type(self), (self.function, self.max_sizes)

    def __call__(self, x):
        """Calls the function or replays its graph, without gradients."""
        key = x.shape, x.dtype, torch.is_autocast_enabled(x.device.type)
        # Tensors made in inference mode could not be written to outside of it.
        with self.lock, torch.inference_mode(False), torch.no_grad():
            if key in self.seen and len(self.captured) < self.max_sizes:
                self.seen.remove(key)
                self.captured[key] = self._capture(x.clone())
            if key not in self.captured:
                if len(self.captured) < self.max_sizes:
                    self.seen.add(key)
                return self.function(x)
            replay, given, result = self.captured[key]
            given.copy_(x)
            replay()
            return result.clone()

    def _capture(self, given):
        """Captures ``function(given)``: its replay, input and result."""
        with torch.cuda.device(given.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self.function(given)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                result = self.function(given)
        return graph.replay, given, result


def keep_bfloat16(module):
    """Rounds the weights of linear layers to bfloat16, in place.

    Autocast in bfloat16, which rounds them in each call otherwise, gives the
    same results.
    """
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data = layer.weight.data.bfloat16()
