"""A decoder as ONNX, in the layout of onnxruntime-genai and transformers.js: fused attention, cache in and out."""

import math

import numpy as np

from onnx_graph import BLOCK, FLOAT, INT32, INT64, Graph


def write_decoder(s, weights, path, precision):
    """Writes the model with weights in `f32` or `q4`. It gives logits of the last position only."""
    g = Graph(precision)
    x = embed(g, s, weights)
    lengths, total = attention_lengths(g)
    angles = np.outer(np.arange(s.context), s.theta ** (-np.arange(0, s.head, 2, dtype=np.float64) / s.head))
    cos = g.constant("cos", np.cos(angles).astype(np.float32))
    sin = g.constant("sin", np.sin(angles).astype(np.float32))
    rest = None
    for i in range(s.layers):
        y, rest = add_norm(g, s, x, rest, f"{i}.n1", weights)
        q, k, v = (g.linear(y, f"{i}.{name}", weights[f"{i}.{name}"]) for name in "qkv")
        past = [f"past_key_values.{i}.{part}" for part in ("key", "value")]
        present = [f"present.{i}.{part}" for part in ("key", "value")]
        sizes = dict(num_heads=s.heads, kv_num_heads=s.kv_heads, scale=1 / math.sqrt(s.head))
        y = g.fused(
            "GroupQueryAttention",
            [q, k, v, *past, lengths, total, cos, sin],
            [f"attention.{i}", *present],
            do_rotary=1,
            rotary_interleaved=0,
            **sizes,
        )
        y = g.linear(y, f"{i}.o", weights[f"{i}.o"])
        y, rest = add_norm(g, s, y, rest, f"{i}.n2", weights)
        gate, up = (g.linear(y, f"{i}.{name}", weights[f"{i}.{name}"]) for name in ("gate", "up"))
        gate = g.node("Mul", [gate, g.node("Sigmoid", [gate])])
        x = g.linear(g.node("Mul", [gate, up]), f"{i}.down", weights[f"{i}.down"])
    y, _ = add_norm(g, s, x, rest, "norm", weights)
    y = g.node("Slice", [y, g.ints(-1), g.ints(2**31 - 1), g.ints(1)])
    output(g, s, y, weights)
    g.save(path, *interface(s))


def embed(g, s, weights):
    """Rows of the table, which the output layer uses as well."""
    if g.precision == "f32":
        return g.node("Gather", [g.constant("embed", weights["embed"]), "input_ids"], axis=0)
    codes, scales = g.table("embed", weights["embed"])
    flat = g.node("Reshape", [codes, g.ints(s.vocabulary, s.hidden // 2)])
    layout = dict(gather_axis=0, quantize_axis=1, block_size=BLOCK, bits=4)
    return g.fused("GatherBlockQuantized", [flat, "input_ids", scales], **layout)


def output(g, s, y, weights):
    """Logits, from the table."""
    if g.precision == "f32":
        g.node("MatMul", [y, g.node("Transpose", ["embed"], perm=[1, 0])], ["logits"])
    else:
        g.linear(y, "embed", weights["embed"], ["logits"])


def attention_lengths(g):
    """What fused attention wants to know of the mask: the last position of each row, and the length of all."""
    count = g.node("ReduceSum", ["attention_mask", g.ints(1)], keepdims=1)
    lengths = g.node("Cast", [g.node("Sub", [count, g.ints(1)])], to=INT32)
    shape = g.node("Shape", ["attention_mask"])
    one = g.constant("one", np.array(1, np.int64))
    return lengths, g.node("Cast", [g.node("Gather", [shape, one], axis=0)], to=INT32)


def add_norm(g, s, x, rest, name, weights):
    """The norm of x + rest, and x + rest."""
    scale = g.constant(name, weights[name])
    if rest is None:
        return g.node("SimplifiedLayerNormalization", [x, scale], epsilon=s.epsilon, axis=-1, stash_type=1), x
    names = [f"{name}.out", "", "", f"{name}.sum"]
    g.fused("SkipSimplifiedLayerNormalization", [rest, x, scale], names, epsilon=s.epsilon)
    return names[0], names[3]


def interface(s):
    """Inputs and outputs, as onnxruntime-genai names them."""
    inputs = [
        ("input_ids", INT64, ["batch_size", "sequence_length"]),
        ("attention_mask", INT64, ["batch_size", "total_sequence_length"]),
    ]
    outputs = [("logits", FLOAT, ["batch_size", 1, s.vocabulary])]
    for i in range(s.layers):
        for part in ("key", "value"):
            sizes = lambda length: ["batch_size", s.kv_heads, length, s.head]
            inputs.append((f"past_key_values.{i}.{part}", FLOAT, sizes("past_sequence_length")))
            outputs.append((f"present.{i}.{part}", FLOAT, sizes("total_sequence_length")))
    return inputs, outputs
