"""Tokenizers made at random of all parts that the tokenizers library has, against that library.

    python tests/tokenizers/fuzz.py FOLDER [--count 200] [--seed 1] [--probe COMMAND]

makes as many directories, asks the library (0.23) for the ids and decoded texts of 60 texts, and compares those of the
native runtime (examples/tokenize.rs) and of the page (page.mjs) with them. A tokenizer may be refused by name. The exit
code is 1 if anything differs.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from texts import PROSE, TEXTS
from toys import charsmaps

HERE = Path(__file__).parent
PROBE = "cargo run -q -p gristmill-tests --example tokenize --"
REGEXES = [
    r"\s+",
    r"\d",
    r"[^\w\s]+",
    r"\w+|[^\w\s]+",
    r" {2,}",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*+[\r\n]|\s+(?!\S)|\s",
    r"\bthe\b",
    r"^a|b$",
    r"\A\s+|\s+\z",
    r"[\p{Han}\p{Hiragana}\p{Katakana}]+",
    r"(?<=\d)(?=\d)",
    r"(?i)HELLO",
    r"[[:punct:]]",
    r"\p{Lu}\p{Ll}*",
    r"(a)\1",
    r"\R",
    r"(?>a|ab)c",
    r"[\u4e00-\u9fa5]",
    r".",
    r"[a-z&&[^aeiou]]",
    r"\p{M}",
    r"\h+",
]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


class Maker:
    """Parts at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.maps = charsmaps()

    def one(self, *options):
        return self.random.choice(options)

    def flag(self):
        return self.random.random() < 0.5

    def pattern(self):
        return Regex(self.one(*REGEXES)) if self.flag() else self.one(" ", "a", "▁", "the", "''", ".", "-")

    def normalizer(self, depth=0):
        flag = self.flag
        return self.one(
            lambda: normalizers.NFC(),
            lambda: normalizers.NFD(),
            lambda: normalizers.NFKC(),
            lambda: normalizers.NFKD(),
            lambda: normalizers.Nmt(),
            lambda: normalizers.Lowercase(),
            lambda: normalizers.Strip(flag(), flag()),
            lambda: normalizers.StripAccents(),
            lambda: normalizers.Prepend(self.one("▁", "x", " ")),
            lambda: normalizers.Replace(self.pattern(), self.one("", " ", "▁", "ab", "$1")),
            lambda: normalizers.ByteLevel(),
            lambda: normalizers.Precompiled(self.one(*self.maps)),
            lambda: normalizers.BertNormalizer(flag(), flag(), self.one(True, False, None), flag()),
            *(
                [lambda: normalizers.Sequence([self.normalizer(1) for _ in range(self.one(0, 1, 2, 3))])] * 3
                if not depth
                else []
            ),
        )()

    def pre_tokenizer(self, depth=0):
        flag = self.flag
        return self.one(
            lambda: pre_tokenizers.BertPreTokenizer(),
            lambda: pre_tokenizers.Whitespace(),
            lambda: pre_tokenizers.WhitespaceSplit(),
            lambda: pre_tokenizers.ByteLevel(add_prefix_space=flag(), use_regex=flag()),
            lambda: pre_tokenizers.CharDelimiterSplit(self.one(" ", "a", "-")),
            lambda: pre_tokenizers.Metaspace(self.one("▁", "_"), self.one("always", "never", "first"), flag()),
            lambda: pre_tokenizers.Split(self.pattern(), self.one(*BEHAVIORS), flag()),
            lambda: pre_tokenizers.Punctuation(self.one(*BEHAVIORS)),
            lambda: pre_tokenizers.Digits(flag()),
            lambda: pre_tokenizers.UnicodeScripts(),
            lambda: pre_tokenizers.FixedLength(self.one(1, 3, 5)),
            *(
                [lambda: pre_tokenizers.Sequence([self.pre_tokenizer(1) for _ in range(self.one(1, 2, 3))])] * 4
                if not depth
                else []
            ),
        )()

    def decoder(self, depth=0):
        flag = self.flag
        return self.one(
            lambda: decoders.ByteLevel(),
            lambda: decoders.ByteFallback(),
            lambda: decoders.Fuse(),
            lambda: decoders.WordPiece(self.one("##", "▁"), flag()),
            lambda: decoders.Metaspace(self.one("▁", "_"), self.one("always", "never", "first"), flag()),
            lambda: decoders.BPEDecoder("</w>"),
            lambda: decoders.CTC(self.one("[PAD]", "a"), self.one("|", "▁"), flag()),
            lambda: decoders.Strip(self.one(" ", "a", "▁"), self.one(0, 1, 2), 0),
            lambda: decoders.Replace(self.pattern(), self.one("", " ", "x")),
            *(
                [lambda: decoders.Sequence([self.decoder(1) for _ in range(self.one(0, 1, 2, 3))])] * 4
                if not depth
                else []
            ),
        )()

    def post_processor(self, tokenizer, depth=0):
        begin, end = [(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
        flag = self.flag
        return self.one(
            lambda: processors.BertProcessing(end, begin),
            lambda: processors.RobertaProcessing(end, begin, flag(), flag()),
            lambda: processors.ByteLevel(trim_offsets=flag()),
            lambda: processors.TemplateProcessing(
                single=self.one("[CLS] $A [SEP]", "[CLS] $A", "$A [SEP] [SEP]", "$A"),
                pair="$A $B:1",
                special_tokens=[begin, end],
            ),
            *(
                [lambda: processors.Sequence([self.post_processor(tokenizer, 1) for _ in range(self.one(1, 2))])] * 2
                if not depth
                else []
            ),
        )()

    def model(self):
        """An empty model and its trainer."""
        specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
        common = {"special_tokens": specials, "show_progress": False}
        kind = self.one("BPE", "BPE", "WordPiece", "WordLevel", "Unigram", "Unigram")
        if kind == "BPE":
            fallback = self.flag()
            if fallback:
                common["special_tokens"] = specials + [f"<0x{b:02X}>" for b in range(256)]
            extra = {}
            if self.flag():
                extra = self.one({"end_of_word_suffix": "</w>"}, {"continuing_subword_prefix": "##"}, {})
            options = {**extra, **({"unk_token": "[UNK]"} if self.flag() else {})}
            model = models.BPE(fuse_unk=self.flag(), byte_fallback=fallback, ignore_merges=self.flag(), **options)
            trainer = trainers.BpeTrainer(
                vocab_size=self.one(350, 600),
                initial_alphabet=self.one(pre_tokenizers.ByteLevel.alphabet(), []),
                **extra,
                **common,
            )
            return model, trainer
        if kind == "WordPiece":
            prefix = self.one("##", "@@")
            model = models.WordPiece(
                unk_token="[UNK]", max_input_chars_per_word=self.one(100, 10), continuing_subword_prefix=prefix
            )
            return model, trainers.WordPieceTrainer(vocab_size=400, continuing_subword_prefix=prefix, **common)
        if kind == "WordLevel":
            return models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, **common)
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=300, unk_token="[UNK]", **common)

    def tokenizer(self):
        model, trainer = self.model()
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = self.normalizer() if self.flag() else None
        if self.random.random() < 0.85:
            tokenizer.pre_tokenizer = self.pre_tokenizer()
        tokenizer.train_from_iterator(PROSE, trainer)
        if self.flag() and isinstance(trainer, trainers.UnigramTrainer):
            file = json.loads(tokenizer.to_str())
            file["model"]["byte_fallback"] = True
            file["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
            tokenizer = Tokenizer.from_str(json.dumps(file))
        for content in ["fox", "<mask>", "THE", "a b", "café", "▁", "\n"]:
            if self.random.random() < 0.3:
                special = self.flag()
                token = AddedToken(
                    content,
                    single_word=self.flag(),
                    lstrip=self.flag(),
                    rstrip=self.flag(),
                    normalized=self.flag(),
                    special=special,
                )
                (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
        if self.random.random() < 0.7:
            tokenizer.post_processor = self.post_processor(tokenizer)
        if self.random.random() < 0.85:
            tokenizer.decoder = self.decoder()
        return tokenizer


def describe(json_text):
    """The kinds of the parts."""

    def kinds(part):
        if not part:
            return "-"
        inner = next((part[k] for k in ("normalizers", "pretokenizers", "processors", "decoders") if k in part), None)
        return part.get("type", "?") + (f"({', '.join(map(kinds, inner))})" if inner is not None else "")

    file = json.loads(json_text)
    return " | ".join(kinds(file[p]) for p in ("model", "normalizer", "pre_tokenizer", "post_processor", "decoder"))


def rows(tokenizer):
    """What the library says; a text that it cannot encode or decode gives a message."""
    found = []
    for text in TEXTS:
        try:
            ids = tokenizer.encode(text).ids
            found.append([ids, tokenizer.encode(text, add_special_tokens=False).ids, tokenizer.decode(ids)])
        except BaseException as error:  # panics of the library are no Exception
            found.append(f"{type(error).__name__}: {error}")
    return found


def differs(found, wanted):
    """The first text of which something else is said; where the library fails, so may everybody."""
    for text, here, there in zip(TEXTS, found, wanted, strict=True):
        if isinstance(there, list) and here != there:
            return f"{text!r}\n    here  {here}\n    there {there}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--probe", default=PROBE)
    arguments = parser.parse_args()
    maker = Maker(arguments.seed)
    made = []
    while len(made) < arguments.count:
        try:
            tokenizer = maker.tokenizer()
            wanted = rows(Tokenizer.from_str(tokenizer.to_str()))
            if any(isinstance(row, str) and "Panic" in row for row in wanted):
                continue
        except BaseException as error:  # parts that do not go together
            if isinstance(error, KeyboardInterrupt):
                raise
            continue
        path = arguments.folder / f"{len(made):03}"
        path.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(path / "tokenizer.json"))
        (path / "config.json").write_text("{}")
        made.append((path, wanted))
    asked = arguments.folder / "list.json"
    asked.write_text(json.dumps([{"dir": str(path), "texts": TEXTS} for path, _ in made]))
    native = [
        json.loads(line)
        for line in subprocess.run(
            [*arguments.probe.split(), str(asked)], stdout=subprocess.PIPE, check=True
        ).stdout.splitlines()
    ]
    folded = arguments.folder / "folded.jsonl"
    folded.write_text("".join(json.dumps({"json": n.get("json"), "texts": TEXTS}) + "\n" for n in native))
    lines = subprocess.run(
        ["node", str(HERE / "page.mjs"), str(folded)], stdout=subprocess.PIPE, check=True
    ).stdout.splitlines()
    page = [json.loads(line) for line in lines]
    counts = {"native": Counter(), "page": Counter()}
    for (path, wanted), here, there in zip(made, native, page, strict=True):
        for side, found in (("native", here), ("page", there)):
            refused = here.get("error") or found.get("error")
            wrong = "panicked" if found.get("panicked") else None if refused else differs(found["rows"], wanted)
            counts[side]["refused" if refused else "different" if wrong else "equal"] += 1
            if wrong or (refused and side == "native"):
                print(f"{side} {path.name} {describe((path / 'tokenizer.json').read_text())}\n  {refused or wrong}")
            if found.get("error") and not here.get("error"):
                print(f"page alone refuses {path.name}: {found['error']}")
                counts["page"]["different"] += 1
    for side, count in counts.items():
        print(
            f"{side}: {len(made)} tokenizers x {len(TEXTS)} texts: "
            + ", ".join(f"{n} {what}" for what, n in sorted(count.items()))
        )
    sys.exit(1 if any(count["different"] for count in counts.values()) else 0)


if __name__ == "__main__":
    main()
