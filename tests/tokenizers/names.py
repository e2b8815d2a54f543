"""Writes models/tokenizers/names.ron: which class of tokenizers transformers takes for which model.

    python tests/tokenizers/names.py

It needs transformers 5.24. Names of classes that only the Hub still uses are listed by hand below.
"""

import inspect
import textwrap
from pathlib import Path

import transformers
from transformers import PreTrainedTokenizerBase, TokenizersBackend
from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS
from transformers.models.auto import tokenization_auto as auto

PLAIN = "TokenizersBackend"
TARGET = Path(__file__).parents[2] / "models/tokenizers/names.ron"
HEAD = """\
// Which class of tokenizers transformers (5.24) takes when a directory does not say it, or says it wrongly: facts of
// its models/auto/tokenization_auto.py. `python tests/tokenizers/names.py` writes this file.
(
    // By class: the `model_type`s of config.json that have it.
    registered: {
"""


def strings(names, indent):
    """A list of RON, on one line if it fits."""
    text = ", ".join(f'"{n}"' for n in sorted(names))
    if len(text) + len(indent) < 80:
        return f"[{text}]"
    inner = textwrap.fill(
        text + ",",
        112,
        initial_indent=indent + "    ",
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"[\n{inner}\n{indent}]"


def plain(name):
    """The name that a class is found by."""
    return PLAIN if name in (None, "MistralCommonBackend") else name.removesuffix("Fast")


registered = {}
for model, name in auto.TOKENIZER_MAPPING_NAMES.items():
    registered.setdefault(plain(name), []).append(model)

# The first three only differ in how they are called.
aliases = {f"DPR{kind}Tokenizer": "BertTokenizer" for kind in ("ContextEncoder", "QuestionEncoder", "Reader")}
aliases |= {"BloomTokenizer": PLAIN, "DistilBertTokenizer": "BertTokenizer", "PythonBackend": PLAIN}
aliases |= {"PreTrainedTokenizer": PLAIN, "PreTrainedTokenizerFast": PLAIN}
listed = {n for n in dir(transformers) if "Tokenizer" in n} | set(SLOW_TO_FAST_CONVERTERS)
for name in sorted(listed | set(registered)):
    found = auto.tokenizer_class_from_name(name)
    if inspect.isclass(found) and issubclass(found, TokenizersBackend) and found is not TokenizersBackend:
        own = name.removesuffix("Fast")
        if own not in (found.__name__, found.__name__.removesuffix("Fast")):
            aliases[own] = found.__name__
assert issubclass(TokenizersBackend, PreTrainedTokenizerBase)

with TARGET.open("w", encoding="utf-8") as out:
    out.write(HEAD)
    for name in sorted(registered):
        out.write(f'        "{name}": {strings(registered[name], " " * 8)},\n')
    out.write("    },\n    // Models whose directories name a wrong class.\n")
    out.write(f"    overruled: {strings(auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS, ' ' * 4)},\n")
    out.write("    // Other names of classes.\n    aliases: {\n")
    for name in sorted(aliases):
        out.write(f'        "{name}": "{aliases[name]}",\n')
    out.write("    },\n)\n")
