"""Saves the settings of golden models again with transformers 5, and checks that they still mean the same.

    VENV/bin/python tests/goldens/resave.py GRISTMILL [GOLDENS ..] [--only TEXT] [--keep]

VENV has torch, safetensors, pillow and transformers 5; GRISTMILL is the binary, GOLDENS (this folder) are laid out like it.
For each case three questions are asked:

    again     config.json, generation_config.json and what prepares inputs are saved by transformers 5, the latter in
              one processor_config.json: are tasks and outputs those of the kept directory?
    NAME      a variation of config.json as transformers 4 writes it: are the outputs those of transformers 5?
    NAME/5    the same config, saved by transformers 5: are the outputs those of transformers 5, too?

A table says which fail; the exit code is 1 unless all are right. --keep writes the files that transformers 5 has changed into
the folder `resaved` of each case, from which tests read them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Nothing is looked for in the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, GenerationConfig  # noqa: E402

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CONFIG, PREPROCESSOR, PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
GENERATION = "generation_config.json"
# What says nothing about a model.
SILENT = ("transformers_version", "_name_or_path")

YARN = dict(factor=4.0, original_max_position_embeddings=32)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

# Case: names of variations, and the entries of config.json that they change; None takes one away. `part.key` reaches into a
# part. They are such as transformers 4 wrote, and fit the weights of the case.
VARIATIONS = {
    "llama/gqa_untied": {
        "linear": {"rope_scaling": {"type": "linear", "factor": 2.5}},
        "linear_kind": {"rope_scaling": {"rope_type": "linear", "factor": 2.5}, "rope_theta": 500.0},
        "dynamic": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "llama3": {"rope_scaling": {"rope_type": "llama3", **LLAMA3}, "rope_theta": 2000.0},
        "yarn": {"rope_scaling": {"rope_type": "yarn", **YARN}},
        "yarn_bare": {"rope_scaling": {"type": "yarn", "factor": 2.0}},
        "yarn_strength": {"rope_scaling": {"type": "yarn", **YARN, "attention_factor": 0.7, "beta_fast": 16}},
        "yarn_mscale": {"rope_scaling": {"type": "yarn", **YARN, "mscale": 0.7, "mscale_all_dim": 1.0}},
        "no_theta": {"rope_theta": None, "rope_scaling": None},
        "torch_dtype": {"torch_dtype": "bfloat16", "dtype": None, "head_dim": None, "attention_bias": None},
    },
    "mistral/sliding": {
        "whole": {"sliding_window": "null"},
        "scaled": {"rope_scaling": {"type": "linear", "factor": 3.0}, "sliding_window": 4},
    },
    "qwen2/tied": {
        "yarn": {"rope_scaling": {"type": "yarn", **YARN}},
        "windowed": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1, "layer_types": None},
        "by_list": {"use_sliding_window": True, "sliding_window": 4,
                    "layer_types": lambda n: ["sliding_attention"] + ["full_attention"] * (n - 1)},
    },
    "qwen3/qk_norm": {
        "yarn": {"rope_scaling": {"rope_type": "yarn", **YARN}},
        "windowed": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1, "layer_types": None},
    },
    "gemma/base": {"gelu": {"hidden_act": "gelu", "hidden_activation": "null"}, "theta": {"rope_theta": 300.0}},
    "gemma2/softcap": {
        "uncapped": {"attn_logit_softcapping": "null", "final_logit_softcapping": "null"},
        "full": {"layer_types": lambda n: ["full_attention"] * n},
        "scaled": {"rope_scaling": {"type": "linear", "factor": 2.0}},
    },
    "gemma3/text": {
        "plain": {"rope_scaling": None, "rope_theta": None, "rope_local_base_freq": None},
        "near": {"rope_local_base_freq": 200.0, "rope_theta": 7000.0, "rope_scaling": None},
        "llama3": {"rope_scaling": {"rope_type": "llama3", **LLAMA3}},
        "pattern": {"layer_types": None, "sliding_window_pattern": 2},
        "capped": {"final_logit_softcapping": 4.0},
    },
    "phi3/plain": {
        "partial": {"partial_rotary_factor": 0.5},
        "windowed": {"sliding_window": 3},
    },
    "phi3/longrope": {
        "su": {"rope_scaling.type": "su", "rope_scaling.rope_type": None,
               "rope_scaling.original_max_position_embeddings": 40},
        "factor": {"rope_scaling.factor": 3.0, "rope_scaling.attention_factor": None},
        "strength": {"rope_scaling.attention_factor": 1.4},
    },
    "t5/v1_0": {"unscaled": {"tie_word_embeddings": False}, "untold": {"tie_word_embeddings": None}},
    "t5/v1_1": {"scaled": {"tie_word_embeddings": None}},
    "gpt2/base": {"plain": {"n_inner": None, "activation_function": None, "scale_attn_by_inverse_layer_idx": True}},
    "bart/base": {"scaled": {"scale_embedding": True}},
    "clip/eos_argmax": {
        "dicts": lambda config: {"text_config_dict": {**config["text_config"], "hidden_act": "gelu"},
                                 "vision_config_dict": {**config["vision_config"], "hidden_act": "gelu"}},
        "first": {"text_config.eos_token_id": 90},
    },
    "xclip/base": {"gelu": {"text_config.hidden_act": "gelu", "vision_config.hidden_act": "gelu"}},
    "clap/unfused": {"gelu": {"projection_hidden_act": "gelu", "text_config.hidden_act": "relu"}},
    "llava/base": {
        "scaled": {"text_config.rope_scaling": {"type": "linear", "factor": 2.0}, "text_config.rope_theta": 300.0},
        "yarn": {"text_config.rope_scaling": {"rope_type": "yarn", **YARN}},
        "layer": {"vision_feature_layer": -1},
        "mistral": lambda config: {"text_config": {
            **config["text_config"], "model_type": "mistral", "sliding_window": 6,
            "num_key_value_heads": config["text_config"].get("num_key_value_heads")
            or config["text_config"]["num_attention_heads"]}},
    },
    "llava_next/anyres": {"theta": {"text_config.rope_theta": 500.0}},
    "qwen2_vl/mrope": {
        "yarn": {"rope_scaling": {"type": "yarn", **YARN, "mrope_section": [2, 3, 3]}},
        "default": {"rope_scaling": {"rope_type": "default", "type": "default", "mrope_section": [3, 3, 2]}},
    },
    "qwen2_vl/rows": {"sections": {"text_config.rope_scaling": {"type": "mrope", "mrope_section": [3, 2, 3]}}},
    "whisper/mel80": {"scaled": {"scale_embedding": True}},
    "wav2vec2/ctc_layer_norm": {"relu": {"hidden_act": "relu"}},
    "vit/cls": {"relu": {"hidden_act": "relu"}, "named": {"pooler_act": "tanh", "layer_norm_eps": 1e-3}},
    "resnet/bottleneck": {"gelu": {"hidden_act": "gelu"}},
    "detr/resnet": {
        "plain": {}, "gelu": {"activation_function": "gelu"}, "backbone_gelu": {"backbone_config.hidden_act": "gelu"},
    },
    "bert/base": {"relu": {"hidden_act": "relu", "torch_dtype": "float32", "dtype": None}},
    "roberta/cls": {"relu": {"hidden_act": "relu"}},
    "distilbert/cls": {"relu": {"activation": "relu"}},
    "mobilebert/mlm": {"eps": {"layer_norm_eps": 1e-3}},
}


class Failed(Exception):
    """What gristmill said."""


def run(gristmill, *arguments):
    done = subprocess.run([gristmill, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Failed(next((line for line in last if line.startswith(("error", "FAIL"))), last[-1] if last else "no output"))


def offline():
    """Names of backbones are looked for in the network; here none of them is a repository."""
    import transformers.backbone_utils as backbones

    class Nothing:
        @staticmethod
        def repo_exists(_):
            return False

    backbones.hf_api = Nothing


def saved(source, target):
    """The settings of the directory `source` as transformers 5 saves them."""
    target.mkdir(parents=True, exist_ok=True)
    AutoConfig.from_pretrained(source).save_pretrained(target)
    if (source / GENERATION).exists():
        settings = json.loads((source / GENERATION).read_text())
        # With this, transformers 5 drops what only some classes have; published files are without it.
        settings.pop("_from_model_config", None)
        GenerationConfig.from_dict(settings).save_pretrained(target)
    if (source / PREPROCESSOR).exists():
        given = json.loads((source / PREPROCESSOR).read_text())
        if "feature_extractor_type" in given and "size" not in given:
            entry, processor = "feature_extractor", AutoFeatureExtractor.from_pretrained(source)
        else:
            entry, processor = "image_processor", AutoImageProcessor.from_pretrained(source)
        whole = {entry: json.loads(processor.to_json_string())}
        (target / PROCESSOR).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n")


def linked(source, target):
    """Weights, vocabulary and all else but the settings."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and file.name not in (CONFIG, GENERATION, PREPROCESSOR, PROCESSOR):
            (target / file.name).symlink_to(file.resolve())


def meaning(bundle):
    """What its entries are for, and what texts begin and end with."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    # What lies in files is compared by what comes out.
    manifest.pop("files")
    return manifest


class Case:
    """A golden model with its runs."""

    def __init__(self, folder, gristmill, scratch):
        self.folder, self.model, self.gristmill, self.scratch = folder, folder / "model", gristmill, scratch
        self.name = "/".join(folder.parts[-2:])
        self.meta = json.loads((folder / "meta.json").read_text())
        arch = self.meta.get("architecture_file")
        self.arch = ["--arch", ROOT / arch] if arch else []

    def bundle(self, model):
        out = model.parent / f"{model.name}.bundle"
        run(self.gristmill, "compile", model, "-o", out, "--precision", "f32", "--target", "native", *self.arch)
        return out

    def again(self):
        # A bundle is called after its directory.
        old, new = self.scratch / "old/model", self.scratch / "new/model"
        linked(self.model, old)
        for name in (CONFIG, GENERATION, PREPROCESSOR, PROCESSOR):
            if (self.model / name).exists():
                shutil.copy(self.model / name, old)
        linked(self.model, new)
        saved(self.model, new)
        before, after = self.bundle(old), self.bundle(new)
        a, b = meaning(before), meaning(after)
        if not a["model"]["eos_token_ids"]:
            # Where no file says what ends a text, transformers 5 writes the default of the class.
            b["model"]["eos_token_ids"] = []
        if a != b:
            raise Failed("the manifest differs in " + ", ".join(k for k in a | b if a.get(k) != b.get(k)))
        for name in self.meta["runs"]:
            inputs, outputs = self.folder / name / "inputs.safetensors", self.scratch / f"{name}.safetensors"
            run(self.gristmill, "run", before, "--entry", "forward", "--backend", "reference", "--inputs", inputs,
                "--outputs", outputs)
            run(self.gristmill, "verify", after, "--entry", "forward", "--backend", "reference", "--inputs", inputs,
                "--expect", outputs)

    def changed(self, changes):
        config = json.loads((self.model / CONFIG).read_text())
        if callable(changes):
            changes = changes(config)
        for key, value in changes.items():
            *parts, last = key.split(".")
            owner = config
            for part in parts:
                owner = owner[part]
            if value is None:
                owner.pop(last, None)
            else:
                layers = owner.get("num_hidden_layers")
                owner[last] = None if value == "null" else value(layers) if callable(value) else value
        return config

    def expected(self, directory):
        """Inputs without padding, and what transformers computes of them."""
        name = next(iter(self.meta["runs"]))
        given = load_file(self.folder / name / "inputs.safetensors")
        given = {k: v for k, v in given.items() if not k.startswith("ref.") and not k.endswith("mask")}
        wanted = {k for k, v in self.meta["runs"][name]["outputs"].items() if v.get("role") == "final"}
        config = AutoConfig.from_pretrained(directory)
        model = getattr(transformers, config.architectures[0]).from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager").eval()
        arguments = {k: v.bool() if k == "is_longer" else v for k, v in given.items()}
        if "image_token_id" in config and "image_grid_thw" in arguments:
            arguments["mm_token_type_ids"] = (arguments["input_ids"] == config.image_token_id).long()
        with torch.no_grad():
            out = model(**arguments)
        found = {k: out[k].float().contiguous().clone() for k in wanted if k in out and torch.is_tensor(out[k])}
        inputs, outputs = directory.parent / "in.safetensors", directory.parent / "out.safetensors"
        save_file(given, inputs)
        save_file(found, outputs)
        if not found:
            raise Failed("no output to compare")
        return inputs, outputs

    def variation(self, changes):
        """As transformers 4 writes it; and the place of what transformers 5 makes of it."""
        old = self.scratch / "old"
        linked(self.model, old)
        (old / CONFIG).write_text(json.dumps(self.changed(changes), indent=2))
        inputs, outputs = self.expected(old)
        new = self.scratch / "new"
        linked(self.model, new)
        saved(old, new)
        return [lambda model=model: run(self.gristmill, "verify", model, "--entry", "forward", "--backend", "reference",
                                        "--inputs", inputs, "--expect", outputs, *self.arch) for model in (old, new)]


def keep(case):
    """Writes what transformers 5 has changed."""
    target = case.folder / "resaved"
    shutil.rmtree(target, ignore_errors=True)
    saved(case.model, target)
    for file in target.iterdir():
        def read(path):
            return {k: v for k, v in json.loads(path.read_text()).items() if k not in SILENT}
        if (case.model / file.name).exists() and read(case.model / file.name) == read(file):
            file.unlink()
    if not any(target.iterdir()):
        target.rmdir()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gristmill", type=Path)
    parser.add_argument("goldens", type=Path, nargs="*", default=[HERE])
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    offline()
    gristmill, right, wrong = args.gristmill.resolve(), 0, 0

    def judge(name, question, check):
        nonlocal right, wrong
        try:
            check()
            right, verdict = right + 1, "ok"
        except Exception as error:  # Whatever it is, the others go on.
            wrong, verdict = wrong + 1, f"FAILED: {str(error).splitlines()[0] if str(error) else error!r}"
        print(f"{name:26} {question:18} {verdict}", flush=True)

    folders = [folder for goldens in args.goldens for folder in sorted(goldens.resolve().glob("*/*"))]
    for folder in folders:
        if not (folder / "model" / CONFIG).exists() or args.only not in "/".join(folder.parts[-2:]):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"
            case = Case(folder, gristmill, Path(scratch) / "again")
            if args.keep:
                keep(case)
            judge(case.name, "again", case.again)
            for name, changes in VARIATIONS.get(case.name, {}).items():
                case.scratch = Path(scratch) / name
                try:
                    checks = case.variation(changes)
                except Exception as error:
                    checks = [lambda error=error: (_ for _ in ()).throw(error)]
                for question, check in zip((name, f"{name}/5"), checks):
                    judge(case.name, question, check)
    total = right + wrong
    print(f"{right} of {total} are right: {100 * right / max(total, 1):.1f} %")
    return 0 if total and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
