"""Directories with settings of every kind, and what AutoTokenizer makes of them.

    python tests/tokenizers/settings.py FOLDER PROBE... [--only PART] [--fixture FILE]

makes the directories in FOLDER, asks transformers (5.24) for ids and decoded texts, and compares with those of PROBE: a
command that gets the path of a list of {"dir", "texts"} as its last argument and prints a line of JSON for each. It is
`cargo run -q -p gristmill-tests --example tokenize --`; README.md says more. A directory that transformers refuses may be
refused as well. With --fixture, what the tests of the compiler need is written to a file.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

from tokenizers import normalizers, processors
from transformers import AutoTokenizer

from texts import TEXTS
from toys import byte_level, charsmaps, merged_spaces, sentence_piece, unigram, word_piece, write

ADDED = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}


def added(content, **flags):
    return {"content": content, **ADDED, **flags}


def with_post(tokenizer, token, end=None):
    """The tokenizer with a token in front (and one behind)."""
    pairs = [(t, tokenizer.token_to_id(t)) for t in (token, end) if t]
    single = f"{token or ''} $A {end or ''}".strip()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} $B:1", special_tokens=pairs
    )
    return tokenizer


GPT2 = {"tokenizer_class": "GPT2Tokenizer"}
BERT = {"tokenizer_class": "BertTokenizer"}
LLAMA = {"tokenizer_class": "LlamaTokenizer"}
PLAIN = {"tokenizer_class": "PreTrainedTokenizerFast"}
T5 = {"tokenizer_class": "T5Tokenizer"}
XLMR = {"tokenizer_class": "XLMRobertaTokenizer"}
ALBERT = {"tokenizer_class": "AlbertTokenizer"}
BART_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
XLMR_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
T5_SPECIALS = ("<pad>", "</s>", "<unk>")
ALBERT_SPECIALS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
CLIP_SPECIALS = ("<|startoftext|>", "<|endoftext|>")
CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WHISPER = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|zh|>",
    "<|de|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|notimestamps|>",
)


def cases():
    """Name, tokenizer or None, tokenizer_config.json or None, further files, and a function that finishes the folder."""
    plain = byte_level()
    chat = byte_level(CHAT)
    bart = byte_level(BART_SPECIALS)
    bert = word_piece()
    # Settings of words.
    for lower in (True, False, None):
        for accents in (True, False, None):
            for chinese in (True, False):
                given = {"do_lower_case": lower, "strip_accents": accents, "tokenize_chinese_chars": chinese}
                given = {k: v for k, v in given.items() if v is not None or k == "strip_accents"}
                yield f"bert-{lower}-{accents}-{chinese}", bert, {**BERT, **given}, {}
    yield "bert-no-config", bert, None, {"config_dot_json": {"model_type": "bert"}}
    yield "bert-plain-ignores", bert, {**PLAIN, "do_lower_case": False}, {}
    yield "bert-model-type-plain", bert, {**PLAIN, "do_lower_case": False}, {"config_dot_json": {"model_type": "bert"}}
    yield "bert-electra", bert, {"tokenizer_class": "ElectraTokenizer", "do_lower_case": False}, {}
    yield "bert-mobilebert", bert, {"tokenizer_class": "MobileBertTokenizerFast", "do_lower_case": False}, {}
    yield "bert-distilbert", bert, {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}, {}
    yield "bert-convbert", bert, {"tokenizer_class": "ConvBertTokenizer", "do_lower_case": False}, {}
    yield "bert-clean-up", bert, {**BERT, "clean_up_tokenization_spaces": True}, {}
    yield "bert-tokens", bert, {**BERT, "cls_token": "[SEP]", "sep_token": "[CLS]", "mask_token": "[NEW]"}, {}
    yield "bert-mask-added", bert, {**BERT, "mask_token": {"__type": "AddedToken", **added("[MASK]", lstrip=True)}}, {}
    yield "bert-split-special", bert, {**BERT, "split_special_tokens": True}, {}
    yield "bert-mask-decoder", bert, {
        **BERT,
        "added_tokens_decoder": {"4": added("[MASK]", lstrip=True, rstrip=True)},
    }, {}
    yield "bert-normalized-added", bert, {
        **BERT,
        "added_tokens_decoder": {"400": added("Quick Brown", special=False, normalized=True)},
    }, {}
    yield "bert-left", bert, {**BERT, "truncation_side": "left", "model_max_length": 6}, {}
    yield "bert-max-length", bert, {**BERT, "model_max_length": 4, "padding_side": "left"}, {}
    yield "funnel", word_piece(("<pad>", "<unk>", "<cls>", "<sep>", "<mask>"), unknown="<unk>"), {
        "tokenizer_class": "FunnelTokenizer",
        "clean_text": False,
    }, {}
    mpnet = word_piece(("<pad>", "[UNK]", "<s>", "</s>", "<mask>"))
    yield "mpnet", mpnet, {"tokenizer_class": "MPNetTokenizer"}, {}
    yield "mpnet-cased", mpnet, {"tokenizer_class": "MPNetTokenizer", "do_lower_case": False}, {}
    # Spaces in front, for bytes.
    for name, base, settings in [
        ("gpt2", plain, GPT2),
        ("roberta", bart, {"tokenizer_class": "RobertaTokenizer"}),
        ("bart", bart, {"tokenizer_class": "BartTokenizer"}),
        ("neox", plain, {"tokenizer_class": "GPTNeoXTokenizer"}),
        ("codegen", plain, {"tokenizer_class": "CodeGenTokenizer"}),
        ("whisper", byte_level(WHISPER), {"tokenizer_class": "WhisperTokenizer"}),
        ("blenderbot", bart, {"tokenizer_class": "BlenderbotTokenizer"}),
        ("qwen2", chat, {"tokenizer_class": "Qwen2Tokenizer"}),
        ("cohere", bart, {"tokenizer_class": "CohereTokenizer"}),
        (
            "deberta",
            byte_level(("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")),
            {"tokenizer_class": "DebertaTokenizer"},
        ),
        ("plain", plain, PLAIN),
        ("phi3", plain, {"tokenizer_class": "GPT2Tokenizer"}),
    ]:
        config = {"config_dot_json": {"model_type": "phi3"}} if name == "phi3" else {}
        for space in (True, False):
            yield f"{name}-space-{space}", base, {**settings, "add_prefix_space": space}, config
        yield f"{name}-fast", base, {
            **settings,
            "tokenizer_class": settings["tokenizer_class"].removesuffix("Fast") + "Fast",
        }, config
        yield f"{name}-split", base, {**settings, "split_special_tokens": True}, config
        yield f"{name}-bos-asked", base, {**settings, "add_bos_token": True, "bos_token": "<|endoftext|>"}, config
        yield f"{name}-has-post", with_post(
            byte_level(BART_SPECIALS + CHAT + WHISPER[1:] + ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")),
            "<s>",
            "</s>",
        ), {**settings, "bos_token": "<s>"}, config
    yield "whisper-language", byte_level(WHISPER), {
        "tokenizer_class": "WhisperTokenizer",
        "language": "de",
        "task": "transcribe",
        "predict_timestamps": True,
    }, {}
    clip = byte_level(CLIP_SPECIALS, suffix="</w>", lower=True)
    yield "clip", clip, {"tokenizer_class": "CLIPTokenizer"}, {}
    yield "clip-unk", clip, {
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": added("<|startoftext|>") | {"__type": "AddedToken"},
    }, {}
    yield "clip-no-config", clip, None, {"config_dot_json": {"model_type": "clip"}}
    yield "qwen3-no-config", chat, None, {"config_dot_json": {"model_type": "qwen3"}}
    yield "qwen2-null-tokens", chat, {
        "tokenizer_class": "Qwen2Tokenizer",
        "bos_token": None,
        "unk_token": None,
        "errors": "replace",
    }, {}
    yield "qwen2-decoder", chat, {
        "tokenizer_class": "Qwen2Tokenizer",
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "added_tokens_decoder": {str(i): added(t) for i, t in enumerate(CHAT)},
    }, {}
    # Added tokens and special tokens from every file.
    size = plain.get_vocab_size()
    for name, base in [("plain", PLAIN), ("gpt2", GPT2), ("bert", BERT)]:
        tokenizer = bert if base is BERT else plain
        size = tokenizer.get_vocab_size()
        yield f"{name}-decoder", tokenizer, {
            **base,
            "added_tokens_decoder": {
                "0": added(tokenizer.id_to_token(0)),
                str(size): added("<|new|>"),
                str(size + 1): added("fox", special=False, single_word=True),
                str(size + 2): added("THE", special=False, normalized=True),
            },
        }, {}
        yield f"{name}-decoder-gap", tokenizer, {
            **base,
            "added_tokens_decoder": {str(size + 5): added("<|im_start|>")},
        }, {}
        yield f"{name}-added-json", tokenizer, dict(base), {"added_tokens_dot_json": {"<mask>": size, "dog": size + 1}}
        yield f"{name}-additional", tokenizer, {**base, "additional_special_tokens": ["<mask>", "lazy"]}, {}
        yield f"{name}-additional-added", tokenizer, {
            **base,
            "additional_special_tokens": [{"__type": "AddedToken", **added("<mask>", lstrip=True, rstrip=True)}],
        }, {}
        yield f"{name}-extra", tokenizer, {
            **base,
            "extra_special_tokens": ["<mask>", "lazy"],
            "additional_special_tokens": ["quick"],
        }, {}
        yield f"{name}-extra-dict", tokenizer, {
            **base,
            "extra_special_tokens": {"image_token": "<image>", "fox_token": "fox"},
        }, {}
        yield f"{name}-specific", tokenizer, {**base, "image_token": "<|im_start|>", "video_token": "brown"}, {}
        yield f"{name}-map", tokenizer, dict(base), {
            "special_tokens_map_dot_json": {
                "bos_token": "<s>",
                "mask_token": {"content": "<mask>", **{**ADDED, "lstrip": True}},
                "additional_special_tokens": ["jumps"],
            }
        }
        yield f"{name}-map-and-added", tokenizer, dict(base), {
            "special_tokens_map_dot_json": {"pad_token": "<pad>"},
            "added_tokens_dot_json": {"<pad>": size, "over": size + 1},
        }
        yield f"{name}-map-ignored", tokenizer, {**base, "added_tokens_decoder": {}}, {
            "special_tokens_map_dot_json": {"mask_token": "<mask>"},
            "added_tokens_dot_json": {"over": size},
        }
        yield f"{name}-named", tokenizer, {
            **base,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
            "sep_token": "[SEP]",
            "cls_token": "[CLS]",
        }, {}
        yield f"{name}-split-added", tokenizer, {
            **base,
            "split_special_tokens": True,
            "additional_special_tokens": ["<mask>"],
            "added_tokens_decoder": {str(size): added("fox", special=False)},
        }, {}
    # Spaces as `▁`.
    merged = merged_spaces()
    for legacy in (True, False, None):
        for space in (True, False, None):
            yield f"llama-{legacy}-{space}", merged, {**LLAMA, "legacy": legacy, "add_prefix_space": space}, {}
    yield "llama-default", merged, LLAMA, {"config_dot_json": {"model_type": "llama"}}
    yield "llama-plain", merged, PLAIN, {"config_dot_json": {"model_type": "llama"}}
    yield "llama-mistral", merged, LLAMA, {"config_dot_json": {"model_type": "mistral"}}
    yield "llama-bytes", with_post(byte_level(("<s>", "</s>")), "<s>"), LLAMA, {
        "config_dot_json": {"model_type": "llama"}
    }
    yield "llama-no-bos-asked", merged, {**LLAMA, "add_bos_token": False, "add_eos_token": True}, {}
    yield "llama-clean-up", merged, {**LLAMA, "clean_up_tokenization_spaces": True}, {}
    yield "llama-clean-up-forced", merged, {
        **LLAMA,
        "clean_up_tokenization_spaces": True,
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True,
    }, {}
    yield "codellama", merged, {"tokenizer_class": "CodeLlamaTokenizer"}, {}
    gemma = merged_spaces()
    gemma.normalizer = normalizers.Replace(" ", "▁")
    gemma.pre_tokenizer = None
    yield "gemma", gemma, {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}, {}
    yield "gemma-model-type", gemma, {"tokenizer_class": "GemmaTokenizerFast"}, {
        "config_dot_json": {"model_type": "gemma3"}
    }
    # Scores.
    t5 = with_post(unigram(T5_SPECIALS), None, "</s>")
    yield "t5", t5, T5, {}
    yield "t5-extra-ids", t5, {**T5, "extra_ids": 3}, {}
    yield "t5-additional", t5, {**T5, "additional_special_tokens": ["<extra_id_0>", "<mask>"]}, {}
    yield "t5-clean-up", t5, {**T5, "clean_up_tokenization_spaces": True}, {}
    yield "t5-plain", t5, PLAIN, {"config_dot_json": {"model_type": "t5"}}
    yield "t5-no-config", t5, None, {"config_dot_json": {"model_type": "t5"}}
    xlmr = with_post(unigram(XLMR_SPECIALS), "<s>", "</s>")
    for space in (True, False):
        yield f"xlmr-{space}", xlmr, {**XLMR, "add_prefix_space": space}, {}
        yield f"camembert-{space}", xlmr, {"tokenizer_class": "CamembertTokenizer", "add_prefix_space": space}, {}
        yield f"barthez-{space}", xlmr, {"tokenizer_class": "BarthezTokenizer", "add_prefix_space": space}, {}
    albert = with_post(unigram(ALBERT_SPECIALS), "[CLS]", "[SEP]")
    for lower in (True, False):
        for accents in (True, False):
            yield f"albert-{lower}-{accents}", albert, {**ALBERT, "do_lower_case": lower, "keep_accents": accents}, {}
    yield "fnet", albert, {"tokenizer_class": "FNetTokenizer", "do_lower_case": True}, {}
    deberta = unigram(("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"))
    for lower in (True, False):
        for punct in (True, False):
            yield f"debertav2-{lower}-{punct}", deberta, {
                "tokenizer_class": "DebertaV2Tokenizer",
                "do_lower_case": lower,
                "split_by_punct": punct,
            }, {}
    # Languages.
    nmt = charsmaps()[0]
    codes = ("en_XX", "de_DE", "ro_RO")
    for name, base in [
        ("MBart", unigram((*XLMR_SPECIALS[:4], *codes, "<mask>"))),
        ("MBart50", unigram((*XLMR_SPECIALS[:4], *codes, "<mask>"), charsmap=nmt)),
        ("Nllb", merged_spaces()),
    ]:
        settings = {"tokenizer_class": f"{name}Tokenizer"}
        yield f"{name}-plain", base, settings, {}
        yield f"{name}-language", base, {**settings, "src_lang": "deu_Latn" if name == "Nllb" else "de_DE"}, {}
        yield f"{name}-null", base, {**settings, "src_lang": None, "tgt_lang": "ro_RO"}, {}
        yield f"{name}-legacy", base, {**settings, "legacy_behaviour": True}, {}
        yield f"{name}-extra", base, {**settings, "extra_special_tokens": ["ro_RO", "<new>"]}, {}
        yield f"{name}-additional", base, {**settings, "additional_special_tokens": ["de_DE", "<new>"]}, {}
        if name == "MBart":
            yield f"{name}-model-type", base, None, {"config_dot_json": {"model_type": "mbart"}}
        yield f"{name}-unknown-language", base, {**settings, "src_lang": "xx_XX"}, {}
    # Others with scores.
    xlnet = unigram(("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"), charsmap=nmt)
    big_bird = unigram(("<pad>", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"))
    rembert = unigram(("<pad>", "[CLS]", "<unk>", "[SEP]", "[MASK]"), charsmap=nmt)
    yield "rembert-no-post", rembert, {"tokenizer_class": "RemBertTokenizer"}, {}
    rembert = with_post(rembert, "[SEP]", "[CLS]")
    yield "rembert-eos-asked", rembert, {"tokenizer_class": "RemBertTokenizer", "add_eos_token": True}, {}
    for lower in (True, False):
        for accents in (True, False):
            given = {"do_lower_case": lower, "keep_accents": accents}
            yield f"xlnet-{lower}-{accents}", xlnet, {"tokenizer_class": "XLNetTokenizer", **given}, {}
            yield f"rembert-{lower}-{accents}", rembert, {"tokenizer_class": "RemBertTokenizer", **given}, {}
    for space in (True, False):
        given = {"add_prefix_space": space}
        yield f"big-bird-{space}", big_bird, {"tokenizer_class": "BigBirdTokenizer", **given}, {}
        yield f"rembert-space-{space}", rembert, {"tokenizer_class": "RemBertTokenizer", **given}, {}
        yield f"xglm-{space}", xlmr, {"tokenizer_class": "XGLMTokenizer", **given}, {}
    yield "xlnet-model-type", xlnet, None, {"config_dot_json": {"model_type": "xlnet"}}
    yield "xlnet-additional", xlnet, {"tokenizer_class": "XLNetTokenizer", "additional_special_tokens": ["<new>"]}, {}
    yield "xglm-additional", xlmr, {"tokenizer_class": "XGLMTokenizer", "additional_special_tokens": ["<new>"]}, {}
    yield "big-bird-model-type", big_bird, None, {"config_dot_json": {"model_type": "big_bird"}}
    yield "reformer", merged, {"tokenizer_class": "ReformerTokenizer"}, {}
    yield "reformer-additional", merged, {"tokenizer_class": "ReformerTokenizer", "additional_special_tokens": ["<new>"]}, {}
    for lower in (True, False):
        given = {"do_lower_case": lower}
        yield f"splinter-{lower}", bert, {"tokenizer_class": "SplinterTokenizer", **given}, {}
        yield f"tipsv2-{lower}", merged, {"tokenizer_class": "Tipsv2Tokenizer", **given}, {}
    yield "splinter-question", bert, {"tokenizer_class": "SplinterTokenizer", "question_token": "fox"}, {}
    yield "splinter-vocab-txt", None, {"tokenizer_class": "SplinterTokenizer"}, {
        "vocab_dot_txt": "\n".join(sorted(bert.get_vocab(), key=bert.get_vocab().get)) + "\n"
    }
    yield "video-prism", t5, {"tokenizer_class": "VideoPrismTokenizer"}, {}
    yield "video-prism-ids", t5, {"tokenizer_class": "VideoPrismTokenizer", "extra_ids": 3}, {}
    # Others.
    yield "unknown-class", plain, {"tokenizer_class": "SomethingTokenizer", "add_prefix_space": True}, {}
    yield "nothing-said", plain, None, {}
    yield "padded", padded(plain), PLAIN, {}
    # Without tokenizer.json.
    yield "vocab-txt", None, BERT, {
        "vocab_dot_txt": "\n".join(sorted(bert.get_vocab(), key=bert.get_vocab().get)) + "\n"
    }
    yield "vocab-txt-cased", None, {**BERT, "do_lower_case": False}, {
        "vocab_dot_txt": "\n".join(sorted(bert.get_vocab(), key=bert.get_vocab().get))
    }
    yield "vocab-txt-no-config", None, None, {
        "config_dot_json": {"model_type": "bert"},
        "vocab_dot_txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##o\nthe  \n",
    }
    for name, base, settings in [
        ("gpt2", plain, GPT2),
        ("roberta", bart, {"tokenizer_class": "RobertaTokenizer"}),
        ("clip", clip, {"tokenizer_class": "CLIPTokenizer"}),
        ("qwen2", chat, {"tokenizer_class": "Qwen2Tokenizer"}),
        ("whisper", byte_level(WHISPER), {"tokenizer_class": "WhisperTokenizer"}),
        ("gpt2-bos", plain, {**GPT2, "add_bos_token": True}),
        ("gpt2-eos", plain, {**GPT2, "add_eos_token": True}),
    ]:
        model = json.loads(base.to_str())["model"]
        merges = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"])
        yield f"files-{name}", None, settings, {"vocab_dot_json": model["vocab"], "merges_dot_txt": merges}
    yield "files-gpt2-added", None, GPT2, {
        "vocab_dot_json": json.loads(plain.to_str())["model"]["vocab"],
        "merges_dot_txt": "#version: 0.2\n",
        "added_tokens_dot_json": {"<mask>": plain.get_vocab_size()},
    }


def padded(tokenizer):
    """A copy with settings of training that do not act."""
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.enable_padding(length=9)
    copy.enable_truncation(3)
    return copy


SPM = {
    "bpe": {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    },
    "bpe-spaces": {"model_type": "bpe", "byte_fallback": True, "remove_extra_whitespaces": True},
    "bpe-users": {
        "model_type": "bpe",
        "byte_fallback": True,
        "user_defined_symbols": ["<mask>", "fox", "  "],
        "control_symbols": ["<ctl>"],
    },
    "bpe-no-prefix": {"model_type": "bpe", "add_dummy_prefix": False, "normalization_rule_name": "nmt_nfkc_cf"},
    "bpe-small": {
        "model_type": "bpe",
        "byte_fallback": True,
        "user_defined_symbols": ["<mask>", "fox"],
        "normalization_rule_name": "identity",
    },
    "unigram-small": {"model_type": "unigram", "vocab_size": 300, "normalization_rule_name": "identity"},
    "unigram": {"model_type": "unigram", "vocab_size": 300},
    "unigram-nfkc": {
        "model_type": "unigram",
        "vocab_size": 300,
        "normalization_rule_name": "nmt_nfkc",
        "byte_fallback": False,
    },
    "unigram-bytes": {"model_type": "unigram", "vocab_size": 520, "byte_fallback": True},
    "unigram-users": {"model_type": "unigram", "vocab_size": 300, "user_defined_symbols": ["<mask>", "quick"]},
}
T5_IDS = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
ALBERT_IDS = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}


def models():
    """Name, options of SentencePiece, file name, tokenizer_config.json."""
    for name, options in SPM.items():
        yield f"spm-plain-{name}", options, "tokenizer.model", PLAIN
        yield f"spm-plain-{name}-new", options, "tokenizer.model", {**PLAIN, "legacy": False, "add_bos_token": True}
    for name in ("bpe", "bpe-spaces", "bpe-users"):
        yield f"spm-llama-{name}", SPM[name], "tokenizer.model", {**LLAMA, "add_bos_token": True}
        yield f"spm-llama-{name}-legacy", SPM[name], "tokenizer.model", {
            **LLAMA,
            "legacy": True,
            "add_eos_token": True,
        }
        yield f"spm-llama-{name}-none", SPM[name], "tokenizer.model", None
    yield "spm-gemma", SPM["bpe-users"], "tokenizer.model", {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_bos_token": True,
    }
    for name in ("unigram", "unigram-small", "unigram-nfkc", "unigram-users"):
        yield f"spm-t5-{name}", {**SPM[name], **T5_IDS}, "spiece.model", T5
        yield f"spm-t5-{name}-ids", {**SPM[name], **T5_IDS}, "spiece.model", {**T5, "extra_ids": 2}
        yield f"spm-xlmr-{name}", SPM[name], "sentencepiece.bpe.model", XLMR
        yield f"spm-albert-{name}", {**SPM[name], **ALBERT_IDS}, "spiece.model", ALBERT
    yield "spm-mbart", SPM["unigram"], "sentencepiece.bpe.model", {"tokenizer_class": "MBartTokenizer"}


def tekken(folder):
    """A tekken.json of bytes and a few merges."""
    import base64

    plain = byte_level()
    spell = {c: b for b, c in bytes_to_unicode().items()}
    vocab = sorted(plain.get_vocab().items(), key=lambda item: (len(item[0]) > 1, item[1]))
    tokens = [
        bytes(spell[c] for c in token)
        for token, _ in vocab
        if all(c in spell for c in token) and token != "<|endoftext|>"
    ]
    pattern = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    specials = [
        {"rank": i, "token_str": t, "is_control": True}
        for i, t in enumerate(["<unk>", "<s>", "</s>", "[INST]", "<mask>"])
    ]
    file = {
        "config": {
            "pattern": pattern,
            "num_vocab_tokens": len(tokens),
            "default_vocab_size": len(tokens) + 8 - 3,
            "default_num_special_tokens": 8,
            "version": "v7",
        },
        "vocab": [
            {"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None} for i, t in enumerate(tokens)
        ],
        "special_tokens": specials,
    }
    write(
        folder,
        None,
        tekken_dot_json=file,
        tokenizer_config_dot_json={**PLAIN, "bos_token": "<s>", "add_bos_token": True},
        config_dot_json={"model_type": "mistral"},
    )
    return [base64.b64encode(t).decode() + f" {i}" for i, t in enumerate(tokens)]


def bytes_to_unicode():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def make(root, only):
    """All directories."""
    folders = []
    for name, tokenizer, config, files in cases():
        files = dict(files)
        files.setdefault("config_dot_json", {"model_type": ""})
        if config is not None:
            files["tokenizer_config_dot_json"] = config
        folders.append((name, lambda p, t=tokenizer, f=files: write(p, t, **f)))
    for name, options, file, config in models():

        def spm(path, o=options, f=file, c=config):
            write(path, None, config_dot_json={"model_type": ""}, **({"tokenizer_config_dot_json": c} if c else {}))
            sentence_piece(path / f, **o)

        folders.append((name, spm))
    folders.append(("tekken", tekken))

    def tiktoken(path):
        lines = tekken(path)
        (path / "tekken.json").unlink()
        (path / "tokenizer.model").write_text("\n".join(lines) + "\n")
        size = len(lines)
        write(
            path,
            None,
            config_dot_json={"model_type": ""},
            tokenizer_config_dot_json={
                **PLAIN,
                "bos_token": "<s>",
                "add_bos_token": True,
                "added_tokens_decoder": {str(size): added("<s>"), str(size + 2): added("<mask>")},
            },
        )

    folders.append(("tiktoken", tiktoken))
    made = []
    for name, build in folders:
        if only and only not in name:
            continue
        path = root / name
        path.mkdir(parents=True, exist_ok=True)
        build(path)
        made.append((name, path))
    return made


def expected(path, texts=TEXTS):
    """Ids with and without the tokens around, and the decoded text, of every text; or the error."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        if not getattr(tokenizer, "is_fast", False):
            return f"{type(tokenizer).__name__} is not fast"
        rows = []
        for text in texts:
            ids = tokenizer(text).input_ids
            rows.append(
                [
                    ids,
                    tokenizer(text, add_special_tokens=False).input_ids,
                    tokenizer.decode(ids, skip_special_tokens=True),
                ]
            )
        return rows
    except Exception as error:  # whatever it is, the directory is refused
        return f"{type(error).__name__}: {error}"


# Texts and directories of the fixture: enough that every rule of the compiler is in there once.
FEW = [TEXTS[i] for i in (0, 5, 6, 7, 11, 12, 15, 26, 33, 35, 36, 38, 49, 60)]
CHOSEN = (
    """bert-True-False-True bert-False-None-False bert-None-True-True bert-no-config bert-plain-ignores bert-convbert
bert-clean-up bert-tokens bert-split-special bert-decoder mpnet-cased funnel gpt2-space-True roberta-space-True bart-fast
neox-has-post codegen-split whisper-language qwen2-space-True qwen2-decoder cohere-has-post deberta-space-True plain-bos-asked
phi3-space-True blenderbot-space-False clip clip-no-config plain-decoder plain-decoder-gap plain-added-json
plain-additional-added gpt2-extra gpt2-extra-dict bert-specific gpt2-map bert-map-and-added plain-map-ignored gpt2-named
gpt2-split-added llama-True-True llama-False-False llama-None-None llama-plain llama-mistral llama-bytes llama-clean-up-forced
codellama gemma t5 t5-extra-ids t5-additional t5-clean-up xlmr-False camembert-True barthez-True albert-False-True fnet
debertav2-True-True unknown-class padded vocab-txt files-gpt2-bos files-clip spm-plain-bpe-small spm-plain-unigram-small-new
spm-llama-bpe-legacy spm-t5-unigram-small spm-xlmr-unigram-small tekken tiktoken MBart-language Nllb-legacy Nllb-language
big-bird-True xglm-False splinter-False tipsv2-True""".split()
)


def write_fixture(path, made):
    """The chosen directories, with every file once, and what transformers says of a few texts."""
    contents, cases = [], []
    for name, folder in made:
        if name not in CHOSEN:
            continue
        files = {}
        for file in sorted(folder.iterdir()):
            try:
                content = file.read_text(encoding="utf-8")
                content = json.dumps(json.loads(content), ensure_ascii=False) if file.suffix == ".json" else content
            except UnicodeDecodeError:
                content = list(file.read_bytes())
            if content not in contents:
                contents.append(content)
            files[file.name] = contents.index(content)
        rows = expected(folder, FEW)
        if "clip" in name:  # which strips decoded texts in Python
            rows = [row[:2] for row in rows]
        cases.append({"name": name, "files": files, "rows": rows})
    names = [c["name"] for c in cases]
    assert sorted(names) == sorted(CHOSEN), (
        set(CHOSEN) ^ set(names),
        [n for n in CHOSEN if names.count(n) + CHOSEN.count(n) != 2],
    )
    lines = [json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in [*contents, *cases]]
    first, second = ",\n".join(lines[: len(contents)]), ",\n".join(lines[len(contents) :])
    texts = json.dumps(FEW, ensure_ascii=False)
    path.write_text(f'{{"texts":{texts},\n"contents":[\n{first}\n],\n"cases":[\n{second}\n]}}\n', encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("probe", nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--fixture", type=Path)
    arguments, more = parser.parse_known_args()
    made = make(arguments.folder, arguments.only)
    if arguments.fixture:
        write_fixture(arguments.fixture, made)
        return
    asked = arguments.folder / "list.json"
    asked.write_text(json.dumps([{"dir": str(path), "texts": TEXTS} for _, path in made]))
    lines = subprocess.run(
        [*arguments.probe, *more, str(asked)], stdout=subprocess.PIPE, check=True
    ).stdout.splitlines()
    counts = {"equal": 0, "refused by both": 0, "refused here": 0, "refused there": 0, "different": 0}
    for (name, path), line in zip(made, lines, strict=True):
        found, wanted = json.loads(line), expected(path)
        refused = found.get("error", "no tokenizer" if "none" in found else None)
        if isinstance(wanted, str):
            outcome = "refused by both" if refused else "refused there"
            note = wanted[:150]
        elif refused:
            outcome, note = "refused here", refused
        else:
            # A CLIP tokenizer strips its decoded text in Python.
            skip = "clip" in name
            wrong = [
                (t, f, w)
                for t, f, w in zip(TEXTS, found["rows"], wanted)
                if f[:2] != w[:2] or (f[2] != w[2] and not skip)
            ]
            outcome = "different" if wrong else "equal"
            note = "; ".join(found["warnings"])
            if wrong:
                text, f, w = wrong[0]
                note = f"{len(wrong)} of {len(TEXTS)} texts: {text!r}\n    here  {f}\n    there {w}"
        counts[outcome] += 1
        if outcome not in ("equal", "refused by both") or note:
            print(f"{outcome:16} {name}: {note}")
    print(f"{len(made)} directories x {len(TEXTS)} texts: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    sys.exit(1 if counts["different"] else 0)


if __name__ == "__main__":
    main()
