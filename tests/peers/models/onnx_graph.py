"""A small builder of ONNX graphs, with weights in 32-bit floats or in blocks of 4 bits."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

BLOCK = 32
INT64, INT32, FLOAT = TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT


def quantize(matrix):
    """[N, K] as 4-bit codes around 8, two to a byte [N, K / 32, 16], and scales [N, K / 32]."""
    rows, columns = matrix.shape
    blocks = matrix.reshape(rows, columns // BLOCK, BLOCK)
    scales = np.abs(blocks).max(axis=2) / 7
    scales = np.where(scales == 0, 1, scales).astype(np.float32)
    codes = np.clip(np.rint(blocks / scales[..., None]) + 8, 0, 15).astype(np.uint8)
    return codes[..., 0::2] | (codes[..., 1::2] << 4), scales


class Graph:
    """Collects nodes and constants."""

    def __init__(self, precision):
        self.precision = precision
        self.nodes, self.constants = [], {}

    def constant(self, name, value):
        """A constant, once per name. Returns the name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def ints(self, *values):
        """A constant list of integers."""
        return self.constant("ints." + ".".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, value):
        """A constant number."""
        return self.constant(f"scalar.{value}", np.float32(value))

    def node(self, op, inputs, outputs=None, domain="", **attributes):
        """Adds a node. Returns the name of its first output."""
        outputs = outputs or [f"{op}.{len(self.nodes)}"]
        node = helper.make_node(op, inputs, outputs, name=f"{op}.{len(self.nodes)}", domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def fused(self, op, inputs, outputs=None, **attributes):
        """Adds one of onnxruntime's own operations."""
        return self.node(op, inputs, outputs, domain="com.microsoft", **attributes)

    def table(self, name, matrix):
        """Constants of a 4-bit matrix: `<name>.codes`, `<name>.scales`."""
        codes, scales = quantize(matrix)
        return self.constant(f"{name}.codes", codes), self.constant(f"{name}.scales", scales)

    def linear(self, x, name, matrix, outputs=None):
        """x times the transpose of [N, K]."""
        if self.precision == "f32":
            return self.node("MatMul", [x, self.constant(name, matrix.T)], outputs)
        codes, scales = self.table(name, matrix)
        rows, columns = matrix.shape
        # Level 4 allows 8-bit activations: the fastest that onnxruntime has.
        sizes = dict(K=columns, N=rows, bits=4, block_size=BLOCK, accuracy_level=4)
        return self.fused("MatMulNBits", [x, codes, scales], outputs, **sizes)

    def save(self, path, inputs, outputs):
        """Writes the model; inputs and outputs are (name, type, shape)."""
        infos = [[helper.make_tensor_value_info(*value) for value in values] for values in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "model", *infos, list(self.constants.values()))
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        path.parent.mkdir(parents=True, exist_ok=True)
        save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
