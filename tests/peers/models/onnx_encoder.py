"""A sentence encoder (real weights) as ONNX: 32-bit floats, and int8 as onnxruntime's own tool makes it."""

import json
import math

import numpy as np
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from onnx_graph import FLOAT, INT64, Graph


def write_encoder(source, folder):
    """Reads a Hugging Face directory, writes `f32.onnx`, `int8.onnx`, and `words.json`: ids of whole words."""
    config = json.loads((source / "config.json").read_text())
    weights = load_file(source / "model.safetensors")
    weights = {k.removeprefix("bert."): v.astype(np.float32) for k, v in weights.items() if v.dtype != np.int64}
    g = Graph("f32")
    x = embeddings(g, weights)
    mask = g.node("Cast", [g.node("Unsqueeze", ["attention_mask", g.ints(1, 2)])], to=FLOAT)
    mask = g.node("Mul", [g.node("Sub", [g.scalar(1), mask]), g.scalar(-3.4e38)])
    layers = config["num_hidden_layers"]
    for i in range(layers):
        last = ["last_hidden_state"] if i == layers - 1 else None
        x = layer(g, weights, config, f"encoder.layer.{i}.", x, mask, last)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [(name, INT64, ["batch_size", "sequence_length"]) for name in names]
    output = ("last_hidden_state", FLOAT, ["batch_size", "sequence_length", config["hidden_size"]])
    g.save(folder / "f32.onnx", inputs, [output])
    # The graph has no shapes, so the type of intermediate values is told.
    told = {"DefaultTensorType": FLOAT}
    quantize_dynamic(folder / "f32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8, extra_options=told)
    vocabulary = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
    plain = [i for t, i in vocabulary.items() if i > 1998 and t.isascii() and t.isalpha() and t.islower()]
    (folder / "words.json").write_text(json.dumps(sorted(plain)))


def norm(g, weights, name, x, outputs=None):
    """Layer normalization."""
    scale, shift = (g.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return g.node("LayerNormalization", [x, scale, shift], outputs, epsilon=1e-12, axis=-1)


def dense(g, weights, name, x):
    """A linear layer with a bias."""
    y = g.linear(x, f"{name}.weight", weights[f"{name}.weight"])
    return g.node("Add", [y, g.constant(f"{name}.bias", weights[f"{name}.bias"])])


def embeddings(g, weights):
    """Words, segments and positions, normed."""
    table = lambda name: g.constant(f"{name}_embeddings", weights[f"embeddings.{name}_embeddings.weight"])
    length = g.node("Shape", ["input_ids"], start=1, end=2)
    places = g.node("Slice", [table("position"), g.ints(0), length, g.ints(0)])
    words = g.node("Gather", [table("word"), "input_ids"])
    kinds = g.node("Gather", [table("token_type"), "token_type_ids"])
    x = g.node("Add", [g.node("Add", [words, kinds]), places])
    return norm(g, weights, "embeddings.LayerNorm", x)


def layer(g, weights, config, p, x, mask, outputs):
    """Attention and the two linear layers, each with a norm after the sum."""
    heads = config["num_attention_heads"]
    width = config["hidden_size"] // heads
    parts = []
    for name, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        y = dense(g, weights, f"{p}attention.self.{name}", x)
        y = g.node("Reshape", [y, g.ints(0, 0, heads, width)])
        parts.append(g.node("Transpose", [y], perm=order))
    scores = g.node("Div", [g.node("MatMul", parts[:2]), g.scalar(math.sqrt(width))])
    scores = g.node("Softmax", [g.node("Add", [scores, mask])], axis=-1)
    y = g.node("Transpose", [g.node("MatMul", [scores, parts[2]])], perm=[0, 2, 1, 3])
    y = g.node("Reshape", [y, g.ints(0, 0, config["hidden_size"])])
    y = dense(g, weights, f"{p}attention.output.dense", y)
    x = norm(g, weights, f"{p}attention.output.LayerNorm", g.node("Add", [y, x]))
    y = dense(g, weights, f"{p}intermediate.dense", x)
    erf = g.node("Erf", [g.node("Div", [y, g.scalar(math.sqrt(2))])])
    y = g.node("Mul", [g.node("Mul", [y, g.node("Add", [erf, g.scalar(1)])]), g.scalar(0.5)])
    y = g.node("Add", [dense(g, weights, f"{p}output.dense", y), x])
    return norm(g, weights, f"{p}output.LayerNorm", y, outputs)
