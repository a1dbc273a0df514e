"""Makes the weights of an ONNX model int8.

Authors
 * The speechbrain_fftp authors 2026
"""


def quantize_onnx(path, quantized_path):
    """Writes a copy of a tagger with int8 weights.

    Linear layers multiply whole numbers: their weights have a scale for each
    output channel, their inputs are quantised on the fly. The kernels of the
    patches are stored as int8, but computed with in float32, as the front end
    is: spectra span too many magnitudes. Of the linear layers' 8 bits 7 are
    used, since sums of products overflow on processors without VNNI. Inputs
    share a scale over the whole batch, so that a clip's result depends on the
    others, within the rounding.

    Arguments
    ---------
    path : str
        What ``export_onnx`` wrote.
    quantized_path : str
        The file to write.

    Returns
    -------
    str
        ``quantized_path``.

    Example
    -------
    >>> import onnx
    >>> import onnx.parser
    >>> path, small = (f"{getfixture('tmpdir')}/{name}" for name in "ab")
    >>> model = onnx.parser.parse_model(
    ...     '<ir_version: 10, opset_import: ["" : 20]>'
    ...     "linear (float[N, 2] x) => (float[N, 2] y)"
    ...     "<float[2, 2] w = {1.0, 2.0, 3.0, 4.0}> { y = MatMul(x, w) }"
    ... )
    >>> onnx.save(model, path)
    >>> nodes = onnx.load(quantize_onnx(path, small)).graph.node
    >>> "MatMulInteger" in [node.op_type for node in nodes]
    True
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    nodes = onnx.load(path, load_external_data=False).graph.node
    quantize_dynamic(
        path,
        quantized_path,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[
            node.name
            for node in nodes
            if any("compute_features" in name for name in node.input)
        ],
    )
    model = onnx.load(quantized_path)
    _store_kernels(model.graph)
    onnx.save(model, quantized_path)
    return quantized_path


def _store_kernels(graph):
    """Makes the convolutions' kernels int8 constants, times a scale."""
    import numpy as np
    from onnx import helper, numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    for node in nodes:
        name = node.input[1]
        kernel = numpy_helper.to_array(constants[name])  # [D, 1, bins, frames]
        scale = np.abs(kernel).max((1, 2, 3)) / 127 + np.float32(1e-12)
        rounded = np.rint(kernel / scale[:, None, None, None])
        graph.initializer.remove(constants[name])
        parts = {
            f"{name}_int8": rounded.astype(np.int8),
            f"{name}_scale": scale,
        }
        for part, values in parts.items():
            graph.initializer.append(numpy_helper.from_array(values, part))
        scaled = helper.make_node(
            "DequantizeLinear", list(parts), [name], f"{name}_float", axis=0
        )
        graph.node.insert(0, scaled)
