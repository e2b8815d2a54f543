"""Random weights of language models: one set per shape, from a fixed seed, that all formats are written from."""

import json
import math
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import save_file

SEED = 7


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder. The output layer is the table of embeddings."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    context: int = 1024
    theta: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self):
        """Elements of one attention head."""
        return self.hidden // self.heads


SHAPES = {
    "S": Shape(hidden=288, layers=6, heads=6, kv_heads=6, ffn=768, vocabulary=32000),
    "M": Shape(hidden=768, layers=12, heads=12, kv_heads=12, ffn=2048, vocabulary=32000),
    "L": Shape(
        hidden=576, layers=30, heads=9, kv_heads=3, ffn=1536, vocabulary=49152, theta=100000.0
    ),
}

# Names of a layer's tensors here, and in Hugging Face's files.
MATRICES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
NORMS = {"n1": "input_layernorm", "n2": "post_attention_layernorm"}


def random_weights(s):
    """All tensors by name: `embed`, `norm`, and `<layer>.<name>` with the names above. Matrices are [out, in]."""
    rng = np.random.default_rng(SEED)

    def matrix(rows, columns):
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(1 / math.sqrt(columns))

    def norm():
        return (1 + 0.05 * rng.standard_normal(s.hidden)).astype(np.float32)

    rows = {
        "q": (s.heads * s.head, s.hidden),
        "k": (s.kv_heads * s.head, s.hidden),
        "v": (s.kv_heads * s.head, s.hidden),
        "o": (s.hidden, s.heads * s.head),
        "gate": (s.ffn, s.hidden),
        "up": (s.ffn, s.hidden),
        "down": (s.hidden, s.ffn),
    }
    table = rng.standard_normal((s.vocabulary, s.hidden), dtype=np.float32) * np.float32(0.05)
    weights = {"embed": table}
    for layer in range(s.layers):
        for name, size in rows.items():
            weights[f"{layer}.{name}"] = matrix(*size)
        for name in NORMS:
            weights[f"{layer}.{name}"] = norm()
    weights["norm"] = norm()
    return weights


def write_hugging_face(s, weights, folder):
    """config.json, model.safetensors and a tokenizer in which the word `t17` is token 17, so that text gives ids."""
    # Without a first token of its own, so that prompts are exactly what is given.
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": s.hidden,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "num_key_value_heads": s.kv_heads,
        "intermediate_size": s.ffn,
        "vocab_size": s.vocabulary,
        "max_position_embeddings": s.context,
        "rms_norm_eps": s.epsilon,
        "rope_theta": s.theta,
        "tie_word_embeddings": True,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "torch_dtype": "float32",
    }
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {f"t{i}": i for i in range(s.vocabulary)},
            "unk_token": "t0",
        },
    }
    names = {"model.embed_tokens.weight": "embed", "model.norm.weight": "norm"}
    for layer in range(s.layers):
        for short, long in {**MATRICES, **NORMS}.items():
            names[f"model.layers.{layer}.{long}.weight"] = f"{layer}.{short}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    save_file({long: weights[short] for long, short in names.items()}, folder / "model.safetensors")
