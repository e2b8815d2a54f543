"""Texts that tokenizers disagree on, and a little prose to train toy tokenizers on."""

TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "a",
    "Hello, world!",
    "hello   world",
    " leading",
    "trailing ",
    "\tTabs\tand\n\nlines\r\n\r\nend",
    "HELLO Héllo hello ÀÉÎõü",
    "e\u0301a\u0300 combining n\u0303",
    "don't I'll we've it's they're I'm you'd",
    "DON'T I'LL WE'VE",
    "12345 3.14159 1,000,000 ½ ² ٣٤ Ⅷ",
    "中文字符和English混排",
    "日本語のテキスト、カタカナとひらがな。",
    "한국어 문장입니다.",
    "ไทย ภาษา",
    "नमस्ते दुनिया",
    "العربية مرحبا",
    "שלום עולם",
    "Привет, мир! ЁЖ",
    "Ελληνικά ΣΊΣΥΦΟΣ σς",
    "İstanbul ıI iİ",
    "straße STRASSE ẞ",
    "👍🏽 family 👨‍👩‍👧‍👦 flag 🇩🇪 heart ❤️",
    "emoji😀in😀words",
    "zero\u200bwidth\u200djoiner\ufeffbom",
    "nbsp\u00a0thin\u2009em\u2003space",
    "soft\u00adhyphen",
    "control \x00\x01\x07\x1b chars",
    "\u0085next\u2028line\u2029para",
    "<s>written</s> out",
    "[CLS] a [SEP] b [MASK] [PAD]",
    "<|endoftext|>x<|endoftext|>",
    "<unk><pad><mask>",
    " <mask> ",
    "a<mask>b",
    "<extra_id_0> text <extra_id_99>",
    "<|im_start|>user\nHi<|im_end|>",
    "▁lower ▁▁ one",
    "``quoted'' ''text``",
    "snake_case camelCase kebab-case",
    "http://example.com/a?b=c&d=e#f",
    "foo@bar.com $100 50% #tag",
    "a.b,c;d:e!f?g(h)i[j]k{l}m<n>o",
    "…—–‘’“”«»",
    "x" * 150,
    "ab " * 60,
    "the quick brown fox jumps over the lazy dog " * 3,
    "ﬁ ﬂ ① ㍿ ｆｕｌｌ ﾊﾝｶｸ",
    "Ａ1ａ",
    "\u1100\u1161\u11a8 jamo",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠀀𠀁",
    "ſtop K Å",
    "\ufffd replacement",
    "line1\r\nline2\rline3\n",
    "    indented:\n        code()",
    "The cat sat, the dog ran .  I do n't know ' s ?",
    "antidisestablishmentarianism unbelievable",
]
assert len(TEXTS) == 61 and len(set(TEXTS)) == 61

PROSE = """The quick brown fox jumps over the lazy dog. Hello world, hello again! Once upon a time there was a little girl
who lived near the forest and liked to read books about cats, dogs and birds. Don't worry, she said, it's only the wind.
They are walking to the house; we've seen them there before. I'm not sure what you'd like: tea, coffee or water?
In 1999 there were 365 days, 52 weeks and 12 months. The price is 3.14 dollars, or 50% of 6.28. Ünïcödé and café, naïve.
Der schnelle braune Fuchs springt über den faulen Hund. Le renard brun saute par-dessus le chien paresseux.
unbelievable antidisestablishment running runner runs walked walking walks lower lowest newer newest wider widest
中文字符 日本語 한국어 Привет мир Ελληνικά العربية שלום
""".strip().split(
    "\n"
)
