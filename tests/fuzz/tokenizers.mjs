// Changes of tokenizer files: of their values, and of the tokens of JSON that no value can express.

import { changeBytes } from "./random.mjs";

/** Longer files say nothing more. */
const MAX_LENGTH = 1 << 20;

const WORDS = [
  "",
  " ",
  "a",
  "\u2581",
  "##",
  "</w>",
  "ab",
  "[UNK]",
  "<0x0A>",
  "\0",
  "\u0301",
  "\u{1f44d}",
  "\ufdfa",
  "\ud800",
];
const NUMBERS = [
  0,
  1,
  -1,
  2,
  0.5,
  -0.5,
  1e300,
  -1e300,
  2 ** 26 - 1,
  2 ** 26,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  5e-324,
];
/** Patterns that engines take long for, that match nothing, that are none, or that other engines know. */
const PATTERNS = [
  "(a+)+$",
  "(a|a)*b",
  "(\\p{L}+)*\\d",
  "(.*)*x",
  "((ab?)*)*c",
  "(?:\\s*)*$",
  "",
  "^",
  "$",
  "\\b",
  "(?=a)",
  "(?<=a)",
  "a*",
  ".",
  "\\s+",
  "\\p{L}+",
  "[^\\p{L}]",
  "\\1(a)",
  "(?<n>a)\\k<n>",
  "a{0,1000}",
  "(a{1,100}){1,100}",
  "a{99999999}",
  "(",
  "[",
  "a**",
  "\\p{Nothing}",
  "(?i)a",
  "[[:punct:]]",
  "\\u{110000}",
  "(".repeat(200) + ")".repeat(200),
];
const BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous", "none"];
const SCHEMES = ["always", "first", "never", "none", null];

const LISTS = {
  normalizer: "normalizers",
  pre_tokenizer: "pretokenizers",
  post_processor: "processors",
  decoder: "decoders",
};

/** A tokenizer file made of one, with parts of another. */
export function changeTokenizer(random, text, other) {
  let changed = random.chance(0.25) ? text : changeValues(random, text, other);
  if (random.chance(0.3)) changed = changeTokens(random, changed);
  if (random.chance(0.2)) changed = changeBytes(random, changed, other);
  return changed.length > MAX_LENGTH ? changed.slice(0, MAX_LENGTH) : changed;
}

function changeValues(random, text, other) {
  const [file, giver] = [parsed(text), parsed(other)];
  if (typeof file !== "object" || file === null) return text;
  const deep = [];
  for (let left = 1 + random.below(random.chance(0.5) ? 2 : 6); left > 0; left--) {
    random.pick(CHANGES)(random, file, giver, deep);
  }
  // What is nested deeper than JSON.stringify goes is put in as a text.
  return deep.reduce((all, [mark, value]) => all.replace(`"${mark}"`, () => value), JSON.stringify(file));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isObject = (value) => typeof value === "object" && value !== null;

/** A place in a value: what holds it, and its key there. Near the top more often than in a vocabulary. */
function place(random, value, wanted = () => true) {
  let found = null;
  for (let at = value; isObject(at);) {
    const keys = Object.keys(at);
    if (keys.length === 0) break;
    const key = random.pick(keys);
    if (wanted(at, key)) found = [at, key];
    if (found && random.chance(0.25)) break;
    at = at[key];
  }
  return found;
}

function odd(random) {
  return random.pick([
    () => null,
    () => random.chance(0.5),
    () => random.pick(NUMBERS),
    () => random.pick(WORDS),
    () => random.pick(WORDS).repeat(random.pick([2, 100, 5000])),
    () => random.pick(PATTERNS),
    () => [],
    () => ({}),
    () => [random.pick(WORDS), random.pick(NUMBERS)],
    () => ({ String: random.pick(WORDS) }),
    () => ({ Regex: random.pick(PATTERNS) }),
    () => JSON.parse('{"__proto__": 1, "constructor": null, "toString": 2}'),
  ])();
}

const CHANGES = [
  function replace(random, file) {
    const [at, key] = place(random, file) ?? [];
    if (at) at[key] = odd(random);
  },
  function remove(random, file) {
    const [at, key] = place(random, file) ?? [];
    if (Array.isArray(at)) at.splice(Number(key), 1 + random.below(3));
    else if (at) delete at[key];
  },
  function repeat(random, file) {
    const [at, key] = place(random, file, Array.isArray) ?? [];
    const times = random.pick([1, 1, 2, 40, 1000]);
    if (at && (JSON.stringify(at[key])?.length ?? 0) * times < MAX_LENGTH) {
      at.splice(Number(key), 0, ...Array.from({ length: times }, () => at[key]));
    }
  },
  function swap(random, file, giver) {
    const [from, name] = place(random, giver) ?? [];
    if (!from) return;
    const same = random.chance(0.7) && place(random, file, (_, key) => key === name);
    const [at, key] = same || place(random, file) || [];
    if (at) at[key] = structuredClone(from[name]);
  },
  function move(random, file) {
    const [from, name] = place(random, file) ?? [];
    const [at, key] = place(random, file) ?? [];
    if (at) at[key] = structuredClone(from[name]);
  },
  function addPart(random, file) {
    const name = random.pick(Object.keys(LISTS));
    file[name] = part(random, name, 2);
  },
  function addPart(random, file) {
    const name = random.pick(Object.keys(LISTS));
    const before = file[name] ? [file[name]] : [];
    file[name] = { type: "Sequence", [LISTS[name]]: [...before, part(random, name, 1)] };
  },
  function nest(random, file, _, deep) {
    const name = random.pick(Object.keys(LISTS));
    const times = random.pick([1, 2, 15, 16, 32, 33, 200, 5000]);
    const mark = `nested ${deep.length}`;
    const inner = JSON.stringify(file[name] ?? part(random, name, 0));
    deep.push([mark, `{"type":"Sequence","${LISTS[name]}":[`.repeat(times) + inner + "]}".repeat(times)]);
    file[name] = mark;
  },
  function grow(random, file) {
    const name = random.pick(["normalizer", "decoder"]);
    const times = random.pick([3, 6, 10, 12, 13, 40]);
    const [from, to] = random.pick([
      ["a", "aa"],
      [" ", "  "],
      ["", "a"],
      ["a", "a".repeat(60)],
    ]);
    const pattern = random.chance(0.7) ? { String: from } : { Regex: from };
    const all = Array.from({ length: times }, () => ({ type: "Replace", pattern, content: to }));
    file[name] = { type: "Sequence", [LISTS[name]]: all };
  },
  function model(random, file) {
    if (!isObject(file.model)) file.model = {};
    const [key, value] = random.pick(MODEL)(random);
    file.model[key] = value;
  },
  function vocabulary(random, file) {
    const { vocab } = isObject(file.model) ? file.model : {};
    const word = random.pick(WORDS) + random.pick(WORDS).repeat(random.pick([1, 1, 50, 5000]));
    if (Array.isArray(vocab)) vocab.splice(random.below(vocab.length + 1), 0, [word, -random.number() * 20]);
    else if (isObject(vocab)) vocab[word] = random.pick([random.below(300), random.pick(NUMBERS)]);
  },
  function addToken(random, file) {
    if (!Array.isArray(file.added_tokens)) file.added_tokens = [];
    const names = ["special", "single_word", "lstrip", "rstrip", "normalized"];
    const flags = Object.fromEntries(names.map((name) => [name, random.chance(0.5)]));
    const content = random.pick(WORDS).repeat(random.pick([1, 1, 1, 3, 3000]));
    file.added_tokens.push({ id: random.pick([random.below(300), random.pick(NUMBERS)]), content, ...flags });
  },
];

const MODEL = [
  (r) => ["type", r.pick(["BPE", "WordPiece", "WordLevel", "Unigram", "none", undefined])],
  (r) => ["byte_fallback", r.chance(0.8)],
  (r) => ["fuse_unk", r.chance(0.8)],
  (r) => ["ignore_merges", r.chance(0.5)],
  (r) => ["unk_token", r.pick([...WORDS, "<unk>", null])],
  (r) => ["unk_id", r.pick([...NUMBERS, null])],
  (r) => ["continuing_subword_prefix", r.pick(WORDS).repeat(r.pick([1, 1, 200_000]))],
  (r) => ["end_of_word_suffix", r.pick(WORDS).repeat(r.pick([1, 1, 200_000]))],
  (r) => ["max_input_chars_per_word", r.pick(NUMBERS)],
  (r) => [
    "merges",
    Array.from({ length: r.pick([1, 5]) }, () => r.pick(["a b", "ab", ["a", "b"], "", 1, ["a"], ["", ""]])),
  ],
  (r) => ["vocab", Object.fromEntries(Array.from({ length: 256 }, (_, i) => [byteToken(i), r.chance(0.9) ? i : 0]))],
  (r) => ["vocab", WORDS.map((word) => [word, r.pick([...NUMBERS, -1, -2, -3])])],
];

const byteToken = (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

/** A part of a kind that there is. */
function part(random, name, depth) {
  if (depth > 0 && random.chance(0.4)) {
    const inner = Array.from({ length: random.below(4) }, () => part(random, name, depth - 1));
    return { type: "Sequence", [LISTS[name]]: inner };
  }
  return random.pick(PARTS[name])(random);
}

const flag = (r) => r.chance(0.5);
const pattern = (r) => (flag(r) ? { Regex: r.pick(PATTERNS) } : { String: r.pick(WORDS) });
const replace = (r) => ({ type: "Replace", pattern: pattern(r), content: r.pick([...WORDS, "$&$&"]) });
const metaspace = (r) => ({
  type: "Metaspace",
  replacement: r.pick(WORDS),
  prepend_scheme: r.pick(SCHEMES),
  add_prefix_space: flag(r),
  split: flag(r),
});
const plain = (...types) => types.map((type) => () => ({ type }));
const special = (id) => ({ SpecialToken: { id, type_id: 0 } });

const PARTS = {
  normalizer: [
    ...plain("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents", "ByteLevel"),
    (r) => ({ type: "Strip", strip_left: flag(r), strip_right: flag(r) }),
    (r) => ({ type: "Prepend", prepend: r.pick(WORDS) }),
    replace,
    (r) => ({ type: "BertNormalizer", clean_text: flag(r), strip_accents: r.pick([true, null]), lowercase: flag(r) }),
    (r) => ({ type: "Precompiled", precompiled_charsmap: charsmap(r) }),
  ],
  pre_tokenizer: [
    ...plain("Whitespace", "WhitespaceSplit", "BertPreTokenizer"),
    (r) => ({ type: "Punctuation", behavior: r.pick(BEHAVIORS) }),
    (r) => ({ type: "Digits", individual_digits: flag(r) }),
    (r) => ({ type: "CharDelimiterSplit", delimiter: r.pick(WORDS) }),
    (r) => ({ type: "Split", pattern: pattern(r), behavior: r.pick(BEHAVIORS), invert: flag(r) }),
    (r) => ({ type: "FixedLength", length: r.pick([1, 2, 5, ...NUMBERS]) }),
    (r) => ({ type: "ByteLevel", add_prefix_space: flag(r), use_regex: flag(r) }),
    metaspace,
    (r) => ({
      type: "UnicodeScripts",
      scripts: r.pick([
        [[0, 127, 1]],
        [
          [0, 9, 1],
          [5, 2, 3],
        ],
        [null],
        [[]],
        "x",
      ]),
    }),
  ],
  post_processor: [
    ...plain("ByteLevel"),
    (r) => ({
      type: r.pick(["BertProcessing", "RobertaProcessing"]),
      cls: ["a", r.below(9)],
      sep: ["b", r.pick(NUMBERS)],
    }),
    (r) => ({
      type: "TemplateProcessing",
      single: Array.from({ length: r.below(6) }, () =>
        r.pick([special("a"), special("__proto__"), { Sequence: { id: "A", type_id: 0 } }, {}]),
      ),
      special_tokens: { a: { id: "a", ids: [r.pick(NUMBERS), r.below(9)] } },
    }),
  ],
  decoder: [
    ...plain("ByteLevel", "ByteFallback", "Fuse"),
    replace,
    (r) => ({ type: "Strip", content: r.pick(WORDS), start: r.pick(NUMBERS), stop: r.pick([0, 0, 1]) }),
    (r) => ({ type: "WordPiece", prefix: r.pick(WORDS), cleanup: flag(r) }),
    metaspace,
    (r) => ({ type: "BPEDecoder", suffix: r.pick(WORDS) }),
    (r) => ({ type: "CTC", pad_token: r.pick(WORDS), word_delimiter_token: r.pick(WORDS), cleanup: flag(r) }),
  ],
};

/** A table of replacements at random: its size, units of a trie, and texts. */
function charsmap(random) {
  const units = random.pick([0, 1, 4, 256, 512]);
  const bytes = Buffer.alloc(4 + 4 * units + random.below(40));
  bytes.writeUInt32LE(random.chance(0.8) ? 4 * units : random.below(2 ** 32));
  for (let at = 4; at < bytes.length; at++) bytes[at] = random.pick([0, 0, 1, random.below(256)]);
  // Units that lead on from the byte that they stand for.
  for (let i = 0; i < units; i++) {
    if (random.chance(0.6))
      bytes.writeUInt32LE(((random.below(units) << 10) | (random.below(2) << 8) | (i % 256)) >>> 0, 4 + 4 * i);
  }
  return bytes.toString("base64");
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?[\d.]+(?:[eE][-+]?\d+)?|true|false|null|[[\]{}:,]/g;
/** What values do not become by JSON.stringify. */
const RAW = [
  "1e999",
  "-1e999",
  "-0",
  "1e-999",
  "9007199254740993",
  "0.1e1",
  '"\\ud800"',
  '"\\u0000"',
  '"__proto__":{"type":"NFC"},"a"',
  '"a":1,"a"',
  "null",
  "[".repeat(3000) + "]".repeat(3000),
];

/** A few tokens of the text replaced, doubled or gone. */
function changeTokens(random, text) {
  const tokens = Array.from(text.matchAll(TOKEN), ([token]) => token);
  // What is between tokens is white space.
  for (let left = 1 + random.below(3); left > 0 && tokens.length > 0; left--) {
    const at = random.below(tokens.length);
    const token = tokens[at];
    tokens[at] = random.pick([() => "", () => token + token, () => `${token},${token}`, () => random.pick(RAW)])();
  }
  return tokens.join("");
}
