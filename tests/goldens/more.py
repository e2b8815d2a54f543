"""Makes further golden cases, of every family that ships and of other shapes and seeds than the kept ones.

    VENV/bin/python tests/goldens/more.py OUT [--seed N] [FAMILY ..]
    cargo run -p gristmill-tests --example goldens -- OUT

VENV as for make.py. Each case begins with the config of a kept one, changes its sizes and switches, and gets weights and
inputs by the seed. They are not kept, because they are many and take no longer to make than to fetch.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig

KEPT = Path(__file__).parent
STEPS = 8
PARTS = ("text_config", "vision_config", "audio_config")

# Family: the kept case, and what becomes of its config. `part.key` reaches into a part of it.
DECODERS = {
    "llama": ("llama/gqa_untied", dict(hidden_size=72, intermediate_size=136, num_attention_heads=6, head_dim=12,
                                       num_key_value_heads=3, num_hidden_layers=3, rope_theta=50000.0)),
    "mistral": ("mistral/sliding", dict(sliding_window=4, num_hidden_layers=3)),
    "qwen2": ("qwen2/tied", dict(tie_word_embeddings=False, num_hidden_layers=1)),
    "qwen3": ("qwen3/qk_norm", dict(num_hidden_layers=1, rms_norm_eps=1e-5)),
    "gemma": ("gemma/base", dict(num_attention_heads=2, num_key_value_heads=2, head_dim=16)),
    "gemma2": ("gemma2/softcap", dict(sliding_window=3, final_logit_softcapping=8.0)),
    "gemma3": ("gemma3/text", dict(sliding_window=7, rope_scaling=None)),
    "phi3": ("phi3/plain", dict(num_hidden_layers=3, intermediate_size=76)),
    "gpt2": ("gpt2/base", dict(n_embd=48, n_head=4, n_layer=2, n_inner=100)),
}
ENCODERS = {
    "bert": ("bert/base", dict(hidden_size=48, num_attention_heads=3, intermediate_size=100, hidden_act="relu")),
    "roberta": ("roberta/mlm", dict(num_hidden_layers=3)),
    "distilbert": ("distilbert/cls", dict(dim=36, n_heads=3, n_layers=3)),
    "mobilebert": ("mobilebert/mlm", dict(num_feedforward_networks=2, use_bottleneck_attention=True)),
}
SEQUENCES = {
    "t5": ("t5/v1_0", dict(num_heads=3, num_layers=2, num_decoder_layers=2, relative_attention_num_buckets=12)),
    "t5_gated": ("t5/v1_0", dict(feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", is_gated_act=True,
                                 tie_word_embeddings=False, num_decoder_layers=2)),
    "bart": ("bart/base", dict(encoder_layers=1, decoder_layers=3, scale_embedding=True, d_model=36)),
}
IMAGES = {
    "vit": ("vit/cls", dict(image_size=48, patch_size=6, num_hidden_layers=2), (2, 3, 48, 48)),
    "resnet": ("resnet/bottleneck", dict(depths=[2, 1, 1, 1], hidden_sizes=[16, 24, 32, 48]), (2, 3, 53, 41)),
    "mobilenet": ("mobilenet_v1/same", dict(image_size=50, depth_multiplier=0.15, hidden_act="relu6"), (2, 3, 50, 50)),
}


def build(kept, changes, generator):
    """A model of that config, with weights of about unit gain; f16, which is how they are stored."""
    config = AutoConfig.from_pretrained(KEPT / kept / "model")
    for key, value in changes.items():
        *parts, last = key.split(".")
        owner = config
        for part in parts:
            owner = getattr(owner, part)
        setattr(owner, last, value)
    config._attn_implementation = "eager"
    for part in PARTS:
        if getattr(config, part, None) is not None:
            getattr(config, part)._attn_implementation = "eager"
    model = getattr(transformers, config.architectures[0])(config).float().eval()
    # Buffers that are not stored are computed from the config.
    stored = model.state_dict()
    buffers = [(n, b) for n, b in model.named_buffers() if b.is_floating_point() and n in stored]
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *buffers]:
            noise = torch.randn(tensor.shape, generator=generator)
            if "running_var" in name:
                value = 0.5 + torch.rand(tensor.shape, generator=generator)
            elif "logit_scale" in name:
                value = torch.full(tensor.shape, 1.5)
            elif tensor.dim() <= 1:
                value = (0.0 if name.endswith("bias") or "mean" in name else 1.0) + 0.2 * noise
            elif "embed" in name and tensor.dim() == 2:
                value = 0.7 * noise
            else:
                value = 1.2 * noise / max(tensor[0].numel(), 1) ** 0.5
            tensor.copy_(value.half().float())
    model.tie_weights()
    return model


def save(folder, model, inputs, outputs, masks=None, start=None):
    """Writes a case with one run; `masks` names the input with padding for an output."""
    (folder / "main").mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder / "model")
    (folder / "model/generation_config.json").unlink(missing_ok=True)
    outputs = {k: v.float() if v.is_floating_point() else v for k, v in outputs.items()}
    save_file({k: v.contiguous() for k, v in inputs.items()}, folder / "main/inputs.safetensors")
    save_file({k: v.contiguous().clone() for k, v in outputs.items()}, folder / "main/outputs.safetensors")
    run = {"outputs": {k: {"role": "final"} for k in outputs}}
    for name, mask in (masks or {}).items():
        run["outputs"][name]["mask"] = mask
    if start is not None:
        run["greedy"] = {"decoder_start_ids": start}
    (folder / "meta.json").write_text(json.dumps({"runs": {"main": run}}, indent=1) + "\n")


def greedy(model, inputs, **more):
    """The tokens that follow, and the logits they were chosen from."""
    out = model.generate(**inputs, **more, do_sample=False, num_beams=1, max_new_tokens=STEPS, output_logits=True,
                         return_dict_in_generate=True, eos_token_id=None, pad_token_id=0, forced_eos_token_id=None)
    logits = torch.stack(out.logits, 1)
    best = logits.topk(2, dim=-1).values
    if (best[..., 0] - best[..., 1]).min() < 0.01:
        return {}  # Rounding might exchange two tokens.
    return {"greedy.tokens": out.sequences[:, -STEPS:], "greedy.logits": logits}


class Dice:
    """Inputs by a seed."""

    def __init__(self, generator):
        self.generator = generator

    def floats(self, *shape):
        return torch.randn(shape, generator=self.generator)

    def tokens(self, count, high, low=3):
        return torch.randint(low, high, (count,), generator=self.generator).tolist()

    @staticmethod
    def rows(parts, pad, left):
        """Rows of unequal lengths, padded in front or behind, and their mask."""
        longest = max(map(len, parts))
        ids = torch.full((len(parts), longest), pad)
        mask = torch.zeros(len(parts), longest, dtype=torch.long)
        for i, part in enumerate(parts):
            at = longest - len(part) if left else 0
            ids[i, at:at + len(part)] = torch.tensor(part)
            mask[i, at:at + len(part)] = 1
        return {"input_ids": ids, "attention_mask": mask}


def decoders(family, dice):
    kept, changes = DECODERS[family]
    model = build(kept, changes, dice.generator)
    vocabulary = model.config.vocab_size
    pad = model.config.pad_token_id or 0
    inputs = dice.rows([dice.tokens(n, vocabulary) for n in (13, 5, 9)], pad, left=True)
    given = dict(inputs)
    if family == "gpt2":  # `forward` alone does not derive positions from the mask.
        given["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    logits = model(**given).logits
    return model, given, {"logits": logits, **greedy(model, inputs)}, {"logits": "attention_mask"}


def encoders(family, dice):
    kept, changes = ENCODERS[family]
    model = build(kept, changes, dice.generator)
    rows = [dice.tokens(n, model.config.vocab_size) for n in (11, 4, 7)]
    inputs = dice.rows(rows, model.config.pad_token_id, left=False)
    out = model(**inputs)
    outputs = {k: v for k, v in out.items() if v is not None}
    return model, inputs, outputs, {k: "attention_mask" for k, v in outputs.items() if v.dim() == 3}


def sequences(family, dice):
    kept, changes = SEQUENCES[family]
    model = build(kept, changes, dice.generator)
    vocabulary, start = model.config.vocab_size, model.config.decoder_start_token_id
    inputs = dice.rows([dice.tokens(n, vocabulary) for n in (12, 7)], model.config.pad_token_id, left=False)
    written = torch.tensor([[start, *dice.tokens(5, vocabulary)] for _ in range(2)])
    logits = model(**inputs, decoder_input_ids=written).logits
    outputs = {"logits": logits, **greedy(model, inputs)}
    return model, {**inputs, "decoder_input_ids": written}, outputs, None, [start]


def whisper(_, dice):
    changes = dict(d_model=40, encoder_layers=1, decoder_layers=3, encoder_attention_heads=5, decoder_attention_heads=2,
                   max_source_positions=30, vocab_size=190, decoder_start_token_id=180)
    model = build("whisper/mel80", changes, dice.generator)
    features = 0.5 * dice.floats(2, 80, 60)
    written = torch.tensor([[180, *dice.tokens(4, 170)] for _ in range(2)])
    logits = model(input_features=features, decoder_input_ids=written).logits
    start = torch.full((2, 1), 180)
    past, tokens, steps = None, [], []
    for _ in range(STEPS):
        out = model(input_features=features, decoder_input_ids=start, past_key_values=past, use_cache=True)
        past, start = out.past_key_values, out.logits[:, -1:].argmax(-1)
        tokens.append(start)
        steps.append(out.logits[:, -1])
    best = torch.stack(steps, 1).topk(2, dim=-1).values
    outputs = {"logits": logits}
    if (best[..., 0] - best[..., 1]).min() >= 0.01:
        outputs |= {"greedy.tokens": torch.cat(tokens, 1), "greedy.logits": torch.stack(steps, 1)}
    return model, {"input_features": features, "decoder_input_ids": written}, outputs, None, [180]


def images(family, dice):
    kept, changes, shape = IMAGES[family]
    model = build(kept, changes, dice.generator)
    inputs = {"pixel_values": dice.floats(*shape)}
    return model, inputs, {"logits": model(**inputs).logits}, None


def detr(_, dice):
    changes = {"backbone_config.layer_type": "bottleneck", "backbone_config.depths": [1, 2, 1, 1],
               "backbone_config.hidden_sizes": [16, 24, 32, 48], "backbone_config.embedding_size": 8, "d_model": 32,
               "num_queries": 5, "encoder_attention_heads": 2, "decoder_attention_heads": 4}
    model = build("detr/resnet", changes, dice.generator)
    pixels, mask = dice.floats(3, 3, 97, 135), torch.ones(3, 97, 135, dtype=torch.uint8)
    mask[1, 60:] = 0
    mask[2, :, 101:] = 0
    pixels = pixels * mask[:, None]
    out = model(pixel_values=pixels, pixel_mask=mask.long())
    return model, {"pixel_values": pixels, "pixel_mask": mask}, {"logits": out.logits, "pred_boxes": out.pred_boxes}, None


def wav2vec2(_, dice):
    changes = dict(hidden_size=48, num_attention_heads=4, intermediate_size=72, num_conv_pos_embeddings=6,
                   num_conv_pos_embedding_groups=4, num_hidden_layers=3)
    model = build("wav2vec2/ctc_layer_norm", changes, dice.generator)
    inputs = {"input_values": dice.floats(2, 3700)}
    return model, inputs, {"logits": model(**inputs).logits}, None


def clip(_, dice):
    changes = {"vision_config.image_size": 36, "vision_config.hidden_size": 48, "vision_config.num_hidden_layers": 2,
               "text_config.hidden_size": 48, "text_config.num_attention_heads": 4, "projection_dim": 20}
    model = build("clip/eos_first", changes, dice.generator)
    end = model.config.text_config.eos_token_id
    inputs = dice.rows([[*dice.tokens(n, 80), end] for n in (6, 3, 9)], end, left=False)
    inputs["pixel_values"] = dice.floats(2, 3, 36, 36)
    out = model(**inputs)
    names = ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
    return model, inputs, {name: out[name] for name in names}, None


def xclip(_, dice):
    changes = {"vision_config.num_frames": 3, "vision_config.image_size": 32, "vision_config.hidden_size": 48,
               "vision_config.num_attention_heads": 3, "vision_config.mit_num_hidden_layers": 2,
               "vision_config.mit_num_attention_heads": 2}
    model = build("xclip/base", changes, dice.generator)
    ids = torch.tensor([dice.tokens(7, 100) for _ in range(2)])
    inputs = {"input_ids": ids, "pixel_values": dice.floats(3, 3, 3, 32, 32)}
    out = model(**inputs)
    return model, inputs, {k: out[k] for k in ("logits_per_video", "text_embeds", "video_embeds")}, None


def clap(family, dice):
    fused = family == "clap_fused"
    changes = {"depths": [2, 2], "num_attention_heads": [4, 2], "spec_size": 48, "num_mel_bins": 24, "window_size": 3,
               "patch_embeds_hidden_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "patch_size": 4}
    changes = {f"audio_config.{k}": v for k, v in changes.items()}
    changes |= {"text_config.hidden_size": 24, "text_config.num_attention_heads": 4}
    model = build("clap/fused" if fused else "clap/unfused", changes, dice.generator)
    inputs = dice.rows([dice.tokens(n, 140) for n in (9, 6, 9, 2)], 1, left=False)
    inputs["input_features"] = dice.floats(2, 4 if fused else 1, 77, 24)
    if fused:
        inputs["is_longer"] = torch.tensor([[1], [0]])
    given = {k: v.bool() if k == "is_longer" else v for k, v in inputs.items()}
    out = model(**given)
    names = ["logits_per_audio", "logits_per_text", "audio_embeds", "text_embeds"]
    return model, inputs, {name: out[name] for name in names}, None


def llava(_, dice):
    changes = {"text_config.num_key_value_heads": 4, "text_config.num_hidden_layers": 3, "vision_config.image_size": 24,
               "vision_feature_layer": -1, "vision_feature_select_strategy": "full", "projector_hidden_act": "gelu"}
    model = build("llava/base", changes, dice.generator)
    image = [250] * 17
    rows = [dice.tokens(4, 240) + image + dice.tokens(2, 240) + image + dice.tokens(3, 240), dice.tokens(9, 240),
            dice.tokens(1, 240) + image + dice.tokens(5, 240)]
    inputs = {**dice.rows(rows, 0, left=True), "pixel_values": dice.floats(3, 3, 24, 24)}
    return model, inputs, {"logits": model(**inputs).logits, **greedy(model, inputs)}, {"logits": "attention_mask"}


def llava_next(_, dice):
    changes = {"vision_config.image_size": 30, "image_grid_pinpoints": [[30, 60], [60, 30], [60, 60], [90, 30]]}
    model = build("llava_next/anyres", changes, dice.generator)
    sizes, pixels = torch.tensor([[71, 23], [40, 41], [25, 80]]), dice.floats(3, 5, 3, 30, 30)
    counts = [len(f) for f in model.model.get_image_features(pixels, sizes)]
    image = [[250] * n for n in counts]
    rows = [dice.tokens(3, 240) + image[0] + dice.tokens(4, 240) + image[1] + dice.tokens(2, 240),
            dice.tokens(2, 240) + image[2] + dice.tokens(6, 240)]
    inputs = {**dice.rows(rows, 0, left=True), "pixel_values": pixels, "image_sizes": sizes}
    return model, inputs, {"logits": model(**inputs).logits, **greedy(model, inputs)}, {"logits": "attention_mask"}


def qwen2_vl(_, dice):
    changes = {"vision_config.embed_dim": 48, "vision_config.num_heads": 3, "vision_config.depth": 3}
    model = build("qwen2_vl/mrope", changes, dice.generator)
    grid = torch.tensor([[1, 4, 6], [1, 8, 2], [1, 6, 6], [2, 2, 4]])
    image = [[242] + [240] * n + [243] for n in (grid.prod(1) // 4).tolist()]
    rows = [dice.tokens(3, 230) + image[0] + dice.tokens(4, 230) + image[1] + dice.tokens(2, 230),
            dice.tokens(7, 230), dice.tokens(2, 230) + image[2] + image[3] + dice.tokens(6, 230)]
    inputs = {**dice.rows(rows, 0, left=True), "pixel_values": dice.floats(int(grid.prod(1).sum()), 96),
              "image_grid_thw": grid}
    return model, inputs, {"logits": model(**inputs).logits, **greedy(model, inputs)}, {"logits": "attention_mask"}


MAKERS = {
    **{family: decoders for family in DECODERS}, **{family: encoders for family in ENCODERS},
    **{family: sequences for family in SEQUENCES}, **{family: images for family in IMAGES},
    "whisper": whisper, "detr": detr, "wav2vec2": wav2vec2, "clip": clip, "xclip": xclip, "clap": clap,
    "clap_fused": clap, "llava": llava, "llava_next": llava_next, "qwen2_vl": qwen2_vl,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("family", nargs="*", help=f"of {', '.join(MAKERS)}")
    args = parser.parse_args()
    unknown = [f for f in args.family if f not in MAKERS]
    if unknown:
        parser.error(f"no family {', '.join(unknown)}; there are {', '.join(MAKERS)}")
    with torch.no_grad():
        for family in args.family or MAKERS:
            dice = Dice(torch.Generator().manual_seed(args.seed))
            model, inputs, outputs, *rest = MAKERS[family](family, dice)
            save(args.out / family / f"seed{args.seed}", model, inputs, outputs, *rest)
            print(f"{family}: {', '.join(outputs)}", flush=True)


if __name__ == "__main__":
    main()
