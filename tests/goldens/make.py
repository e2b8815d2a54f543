"""Makes some of the golden cases (see README.md for the layout).

    python3 -m venv VENV && VENV/bin/pip install torch==2.6.0 transformers==4.57.6 safetensors numpy
    VENV/bin/python tests/goldens/make.py tests/goldens

The same versions give the same tensors. Weights are random but well scaled: large enough that a wrong formula shows.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForImageClassification
from transformers import GemmaConfig, MobileNetV1Config, Olmo2Config

STEPS = 16
# Two tokens closer than this might change places by rounding; then the next seed is tried.
MARGIN = 0.03

# By name: the architecture file, from the root of the repository, if it does not ship; and the config.
CASES = {
    "gemma/base": (None, GemmaConfig(
        vocab_size=223, hidden_size=44, intermediate_size=92, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=12, max_position_embeddings=64, rms_norm_eps=1e-5,
        hidden_act="gelu_pytorch_tanh", pad_token_id=0, bos_token_id=2, eos_token_id=1,
    )),
    "olmo2/base": ("examples/olmo2.ron", Olmo2Config(
        vocab_size=211, hidden_size=48, intermediate_size=100, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=500000.0,
        attention_bias=False, tie_word_embeddings=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )),
}

# Models of images, with the size of theirs.
IMAGES = {
    "mobilenet_v1/same": (45, MobileNetV1Config(
        image_size=45, depth_multiplier=0.1, min_depth=6, tf_padding=True, hidden_act="relu", num_labels=3,
    )),
    "mobilenet_v1/both_sides": (40, MobileNetV1Config(
        image_size=40, depth_multiplier=0.07, min_depth=4, tf_padding=False, hidden_act="relu6", num_labels=2,
    )),
}


def randomize(model, seed, center):
    """Weights of about unit gain; norms around `center`. As f16, which is how they are stored."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                value = (0.0 if name.endswith("bias") else center) + 0.3 * noise
            elif "embed" in name:
                value = noise
            else:
                value = 1.5 * noise / parameter.shape[1] ** 0.5
            parameter.copy_(value.half().float())


def greedy(model, inputs):
    """Tokens and logits of decoding with the cache."""
    given = dict(inputs)
    prompt = given["input_ids"].shape[1]
    mask = given.get("attention_mask")
    past, tokens, logits = None, [], []
    for step in range(STEPS):
        out = model(**given, past_key_values=past, use_cache=True)
        past = out.past_key_values
        logits.append(out.logits[:, -1])
        tokens.append(logits[-1].argmax(-1))
        best = logits[-1].topk(2, dim=-1).values
        if (best[:, 0] - best[:, 1]).min() < MARGIN:
            return None
        given = {"input_ids": tokens[-1][:, None]}
        if mask is not None:
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            given["attention_mask"] = mask
            given["position_ids"] = inputs["position_ids"][:, -1:] + step + 1
    assert past.get_seq_length() == prompt + STEPS - 1
    return {"greedy.tokens": torch.stack(tokens, 1), "greedy.logits": torch.stack(logits, 1)}


def runs(vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = lambda *shape: torch.randint(3, vocab, shape, generator=generator)
    mask = torch.ones(2, 11, dtype=torch.long)
    mask[1, :4] = 0
    padded = torch.where(mask == 1, ids(2, 11), 0)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {
        "leftpad": {"input_ids": padded, "attention_mask": mask, "position_ids": positions},
        "main": {"input_ids": ids(1, 20)},
    }


def compute(model, name, inputs):
    with torch.no_grad():
        whole = model(**inputs, output_hidden_states=name == "main", use_cache=False)
        decoded = greedy(model, inputs)
    if decoded is None:
        return None
    outputs = {"logits": whole.logits, **decoded}
    for i, hidden in enumerate(whole.hidden_states or []):
        outputs[f"hidden_states.{i}"] = hidden
    return {key: value.contiguous() for key, value in outputs.items()}


def describe(key, value, inputs):
    if key == "greedy.tokens":
        return {"dtype": "int64", "exact": True, "role": "final", "shape": list(value.shape)}
    role = "inter" if key.startswith("hidden_states") else "final"
    about = {"dtype": "float32", "role": role, "shape": list(value.shape), "std": round(value.std().item(), 4), "tol": 1e-3}
    if "attention_mask" in inputs and key == "logits":
        about["mask"] = "attention_mask"
    return about


def make(folder, case, architecture, config):
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval()
    for seed in range(1000):
        randomize(model, seed, center=0.0 if "Gemma" in type(model).__name__ else 1.0)
        inputs = runs(config.vocab_size, seed)
        outputs = {name: compute(model, name, given) for name, given in inputs.items()}
        if None not in outputs.values():
            break
    target = folder / case
    described = {}
    for name, given in inputs.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        save_file(given, target / name / "inputs.safetensors")
        save_file(outputs[name], target / name / "outputs.safetensors")
        described[name] = {
            "inputs": {k: {"dtype": "int64", "shape": list(v.shape)} for k, v in given.items()},
            "outputs": {k: describe(k, v, given) for k, v in sorted(outputs[name].items())},
        }
    model.half().save_pretrained(target / "model")
    (target / "model" / "generation_config.json").unlink(missing_ok=True)
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    meta = {"architecture_file": architecture} if architecture else {}
    meta |= {
        "case": case, "family": case.split("/")[0], "made_with": versions,
        "runs": described, "seed": seed,
    }
    (target / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def randomize_filters(model, seed):
    """Filters of about unit gain, and norms as they are after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() > 1:
                value = 1.4 * noise / tensor[0].numel() ** 0.5
            elif name.endswith("var"):
                value = 1.0 + noise.abs()
            else:
                value = (1.0 if name.endswith("weight") else 0.0) + 0.3 * noise
            tensor.copy_(value.half().float())


def make_image(folder, case, side, config):
    model = AutoModelForImageClassification.from_config(config).eval()
    randomize_filters(model, 0)
    inputs = {"pixel_values": torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))}
    with torch.no_grad():
        whole = model(**inputs, output_hidden_states=True)
    # All of them would be large.
    outputs = {f"hidden_states.{i}": whole.hidden_states[i] for i in [0, 1, 2, 3, 24, 25]} | {"logits": whole.logits}
    outputs = {key: value.contiguous() for key, value in outputs.items()}
    target = folder / case
    (target / "main").mkdir(parents=True, exist_ok=True)
    save_file(inputs, target / "main" / "inputs.safetensors")
    save_file(outputs, target / "main" / "outputs.safetensors")
    model.half().save_pretrained(target / "model")
    described = {
        "inputs": {k: {"dtype": "float32", "shape": list(v.shape)} for k, v in inputs.items()},
        "outputs": {k: describe(k, v, inputs) for k, v in sorted(outputs.items())},
    }
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    meta = {"case": case, "family": case.split("/")[0], "made_with": versions, "runs": {"main": described}}
    (target / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make.py FOLDER")
    for case, (architecture, config) in CASES.items():
        make(Path(sys.argv[1]), case, architecture, config)
    for case, (side, config) in IMAGES.items():
        make_image(Path(sys.argv[1]), case, side, config)


main()
