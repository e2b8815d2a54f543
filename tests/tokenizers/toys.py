"""Toy tokenizers as directories of every kind: made by the tokenizers and sentencepiece libraries from a little prose."""

import io
import json
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import PROSE


def byte_level(specials=("<|endoftext|>",), suffix="", lower=False):
    """BPE over bytes."""
    ending = {"end_of_word_suffix": suffix} if suffix else {}
    tokenizer = Tokenizer(models.BPE(**ending))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False, **ending
    )
    tokenizer.train_from_iterator(PROSE, trainer)
    return tokenizer


def word_piece(specials=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), lower=True, unknown="[UNK]"):
    """WordPiece, as BERT has it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=list(specials), show_progress=False)
    tokenizer.train_from_iterator([*PROSE, *(line.lower() for line in PROSE)], trainer)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    begin, end = specials[2], specials[3]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=f"{begin} $A {end} $B:1 {end}:1", special_tokens=[(begin, 2), (end, 3)]
    )
    return tokenizer


def sentence_piece(path, **options):
    """A SentencePiece model at `path`."""
    settings = {"vocab_size": 420, "hard_vocab_limit": False, "minloglevel": 9, "model_type": "bpe", **options}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(PROSE), model_writer=model, **settings)
    Path(path).write_bytes(model.getvalue())


def charsmaps():
    """Maps of characters that SentencePiece compiles."""
    maps = []
    for rule in ("nmt_nfkc", "nmt_nfkc_cf", "nfkc"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE),
            model_writer=model,
            vocab_size=300,
            minloglevel=9,
            hard_vocab_limit=False,
            normalization_rule_name=rule,
        )
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(model.getvalue())
        maps.append(proto.normalizer_spec.precompiled_charsmap)
    return maps


def merged_spaces():
    """BPE with spaces as `▁` and bytes for the rest, as tokenizer.json of Llama 2 has it."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=names, show_progress=False)
    tokenizer.train_from_iterator(PROSE, trainer)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = file["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(file))


def unigram(specials, charsmap=None):
    """A unigram model with `▁` for spaces."""
    tokenizer = Tokenizer(models.Unigram())
    if charsmap:
        tokenizer.normalizer = normalizers.Precompiled(charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    unknown = "<unk>" if "<unk>" in specials else "[UNK]"
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=list(specials), unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(PROSE, trainer)
    return tokenizer


def write(folder, tokenizer=None, **files):
    """A directory with config.json, tokenizer.json and further files by name (`.` is written `_dot_`)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        path = folder / name.replace("_dot_", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder
