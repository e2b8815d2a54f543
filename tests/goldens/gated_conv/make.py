"""Makes the golden cases of `gated_conv.ron`, a made-up architecture: plain Python, nothing but its library.

    python3 tests/goldens/gated_conv/make.py

Each row is computed by itself, without padding and without any state, in double precision.
"""

import json
import math
import random
import struct
from pathlib import Path

HERE = Path(__file__).parent
HIDDEN, FFN, VOCAB, WIDTH, HEADS, EPS, STEPS = 32, 52, 101, 4, 4, 1e-5, 16
HEAD = HIDDEN // HEADS
# The two best tokens of every step are so far apart.
MARGIN = 0.03
CASES = {
    "plain": (["conv", "conv", "conv"], 1),
    "mixed": (["conv", "attention", "conv", "shared"], 1),
}


def half(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, list) else [x]


def shape_of(x):
    return [len(x), *shape_of(x[0])] if isinstance(x, list) else []


def save(path, tensors, kinds):
    """A safetensors file."""
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        kind = kinds(name)
        raw = b"".join(struct.pack({"F16": "<e", "F32": "<f", "I64": "<q"}[kind], x) for x in flat(tensor))
        header[name] = {"dtype": kind, "shape": shape_of(tensor), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def random_weights(kinds, dice):
    def matrix(rows, columns, gain):
        return [[half(dice.gauss(0, gain)) for _ in range(columns)] for _ in range(rows)]

    def norm():
        return [half(1 + dice.gauss(0, 0.2)) for _ in range(HIDDEN)]

    unit, wide = 0.9 / HIDDEN**0.5, 0.9 / FFN**0.5
    weights = {"embed.weight": matrix(VOCAB, HIDDEN, 1.0), "final_norm.weight": norm()}
    for i, kind in enumerate(kinds):
        own = {"mix_norm": norm(), "ffn_norm": norm(), "mlp.gate_proj": matrix(FFN, HIDDEN, unit),
               "mlp.up_proj": matrix(FFN, HIDDEN, unit), "mlp.down_proj": matrix(HIDDEN, FFN, wide)}
        if kind == "conv":
            own |= {"conv.in_proj": matrix(3 * HIDDEN, HIDDEN, unit), "conv.out_proj": matrix(HIDDEN, HIDDEN, unit),
                    "conv.taps": [[row] for row in matrix(HIDDEN, WIDTH, 0.6)]}
        else:
            names = ["q_proj", "o_proj"] + (["k_proj", "v_proj"] if kind == "attention" else [])
            own |= {f"attention.{name}": matrix(HIDDEN, HIDDEN, unit) for name in names}
        weights |= {f"layers.{i}.{name}.weight": value for name, value in own.items()}
    return weights


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def linear(x, weight):
    return [[dot(row, w) for w in weight] for row in x]


def rms_norm(x, weight):
    scales = [1 / math.sqrt(dot(row, row) / len(row) + EPS) for row in x]
    return [[v * scale * w for v, w in zip(row, weight)] for row, scale in zip(x, scales)]


def attend(q, k, v):
    mixed = []
    for t, query in enumerate(q):
        row = []
        for h in range(0, HIDDEN, HEAD):
            scores = [dot(query[h:h + HEAD], key[h:h + HEAD]) / HEAD**0.5 for key in k[:t + 1]]
            powers = [math.exp(s - max(scores)) for s in scores]
            row += [sum(p * value[h + d] for p, value in zip(powers, v)) / sum(powers) for d in range(HEAD)]
        mixed.append(row)
    return mixed


def forward(kinds, weights, ids):
    """All taps and the logits of one row."""
    h, taps, keys, values = [weights["embed.weight"][i] for i in ids], [], None, None
    for i, kind in enumerate(kinds):
        own = {n.split(".", 2)[2][:-7]: w for n, w in weights.items() if n.startswith(f"layers.{i}.")}
        taps.append(h)
        a = rms_norm(h, own["mix_norm"])
        if kind == "conv":
            parts = linear(a, own["conv.in_proj"])
            x = [[p[c] * p[HIDDEN + c] for c in range(HIDDEN)] for p in parts]
            at = lambda t, c: x[t][c] if t >= 0 else 0.0
            mixed = [[sum(own["conv.taps"][c][0][j] * at(t - WIDTH + 1 + j, c) for j in range(WIDTH))
                      * parts[t][2 * HIDDEN + c] for c in range(HIDDEN)] for t in range(len(ids))]
            o = linear(mixed, own["conv.out_proj"])
        else:
            if kind == "attention":
                keys, values = linear(a, own["attention.k_proj"]), linear(a, own["attention.v_proj"])
            o = linear(attend(linear(a, own["attention.q_proj"]), keys, values), own["attention.o_proj"])
        residual = [[x + y for x, y in zip(p, q)] for p, q in zip(h, o)]
        f = rms_norm(residual, own["ffn_norm"])
        gate = [[x / (1 + math.exp(-x)) for x in row] for row in linear(f, own["mlp.gate_proj"])]
        inner = [[x * y for x, y in zip(p, q)] for p, q in zip(gate, linear(f, own["mlp.up_proj"]))]
        h = [[x + y for x, y in zip(p, q)] for p, q in zip(residual, linear(inner, own["mlp.down_proj"]))]
    states = rms_norm(h, weights["final_norm.weight"])
    return [*taps, states], linear(states, weights["embed.weight"])


def greedy(kinds, weights, ids):
    tokens, logits = [], []
    for _ in range(STEPS):
        last = forward(kinds, weights, ids + tokens)[1][-1]
        best = sorted(last)[-2:]
        assert best[1] - best[0] > MARGIN, f"another seed: {best}"
        tokens.append(last.index(best[1]))
        logits.append(last)
    return tokens, logits


def run(kinds, weights, rows, side=None):
    """Inputs and outputs of a batch; shorter rows are padded on a side."""
    longest = max(map(len, rows))

    def padded(row, filler):
        gap = [filler] * (longest - len(row))
        return gap + row if side == "left" else row + gap

    inputs = {"input_ids": [padded(row, 0) for row in rows]}
    if side:
        inputs["attention_mask"] = [padded([1] * len(row), 0) for row in rows]
    outputs = {}
    computed = [forward(kinds, weights, row) for row in rows]
    for i in range(len(kinds) + 1):
        outputs[f"hidden_states.{i}"] = [padded(taps[i], [0.0] * HIDDEN) for taps, _ in computed]
    outputs["logits"] = [padded(logits, [0.0] * VOCAB) for _, logits in computed]
    if side != "right":
        chosen = [greedy(kinds, weights, row) for row in rows]
        outputs["greedy.tokens"], outputs["greedy.logits"] = ([c[i] for c in chosen] for i in range(2))
    return inputs, outputs


def make(case, kinds, seed):
    dice = random.Random(seed)
    weights = random_weights(kinds, dice)
    folder = HERE / case
    config = {"architectures": ["GatedConvForCausalLM"], "model_type": "gated_conv", "vocab_size": VOCAB,
              "hidden_size": HIDDEN, "intermediate_size": FFN, "layer_types": kinds, "conv_width": WIDTH,
              "num_attention_heads": HEADS, "norm_eps": EPS, "max_position_embeddings": 64}
    save(folder / "model/model.safetensors", weights, lambda _: "F16")
    (folder / "model/config.json").write_text(json.dumps(config, indent=1) + "\n")
    ids = lambda n: [dice.randrange(VOCAB) for _ in range(n)]
    runs = {"main": ([ids(13)], None), "len1": ([ids(1), ids(1)], None), "leftpad": ([ids(3), ids(9)], "left"),
            "rightpad": ([ids(9), ids(2)], "right")}
    meta = {"architecture_file": "tests/goldens/gated_conv/gated_conv.ron", "seed": seed, "runs": {}}
    for name, (rows, side) in runs.items():
        inputs, outputs = run(kinds, weights, rows, side)
        save(folder / name / "inputs.safetensors", inputs, lambda _: "I64")
        save(folder / name / "outputs.safetensors", outputs, lambda n: "I64" if n == "greedy.tokens" else "F32")
        roles = {n: {"role": "inter" if n.startswith("hidden") else "final"} for n in outputs}
        for n in roles:
            if side and not n.startswith("greedy"):
                roles[n]["mask"] = "attention_mask"
        meta["runs"][name] = {"outputs": roles}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


for case, (kinds, seed) in CASES.items():
    make(case, kinds, seed)
