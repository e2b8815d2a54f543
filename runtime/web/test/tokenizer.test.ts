// The tokenizer against ids of the native one, which is held to the same file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeTokenizer } from "../ts/text/tokenizer";

declare const TEST_FOLDER: string;

interface Case {
  file: string;
  rows: { text: string; ids: number[]; special: number[]; within5: number[]; decoded: string }[];
}

function fixture(path: string): unknown {
  return JSON.parse(readFileSync(join(TEST_FOLDER, "fixtures", path), "utf8"));
}

const cases = fixture("token_ids.json") as Case[];

for (const { file, rows } of cases) {
  test(`ids and texts of ${file} are those of the native tokenizer`, () => {
    const tokenizer = makeTokenizer(fixture(file));
    assert.ok(rows.length > 30);
    for (const { text, ids, special, within5, decoded } of rows) {
      assert.deepEqual(tokenizer.encode(text, false), ids, JSON.stringify(text));
      assert.deepEqual(tokenizer.encode(text, true), special, JSON.stringify(text));
      assert.deepEqual(tokenizer.encodeWithin(text, true, 5), within5, JSON.stringify(text));
      assert.equal(tokenizer.decode(special), decoded, JSON.stringify(text));
    }
  });
}

/** A word-level tokenizer with these parts. */
function toy(parts: Record<string, unknown> = {}): Record<string, unknown> {
  const vocab = Object.fromEntries(["<unk>", "<s>", "</s>", "a", "b", "c", "d"].map((token, id) => [token, id]));
  return {
    added_tokens: [{ id: 1, content: "<s>", special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab, unk_token: "<unk>" },
    ...parts,
  };
}

const BOTH = {
  type: "TemplateProcessing",
  single: [
    { SpecialToken: { id: "<s>", type_id: 0 } },
    { Sequence: { id: "A", type_id: 0 } },
    { SpecialToken: { id: "</s>", type_id: 0 } },
  ],
  special_tokens: { "<s>": { id: "<s>", ids: [1] }, "</s>": { id: "</s>", ids: [2] } },
};

test("special tokens come once", () => {
  assert.deepEqual(makeTokenizer(toy()).encode("a b", true), [3, 4]);
  assert.deepEqual(makeTokenizer(toy()).encode("<s>a b", true), [1, 3, 4]);
  assert.equal(makeTokenizer(toy()).decode([1, 3, 4]), "a b");
  assert.equal(makeTokenizer(toy()).decode([1, 3, 4], true), "<s> a b");
  assert.deepEqual(makeTokenizer(toy({ post_processor: BOTH })).encode("a b", true), [1, 3, 4, 2]);
  assert.deepEqual(makeTokenizer(toy({ post_processor: BOTH })).encode("a b", false), [3, 4]);
});

test("special tokens are text where the file says so", () => {
  const tokenizer = makeTokenizer(toy({ split_special_tokens: true }));
  assert.deepEqual(tokenizer.encode("<s> a <s>a", false), [1, 3, 0]);
  assert.equal(tokenizer.decode([1, 3]), "a");
});

test("every kind of part that the compiler lets through is known", () => {
  const supported = JSON.parse(
    readFileSync(join(TEST_FOLDER, "../../../compiler/src/hf/tokenizer/supported.json"), "utf8"),
  ) as Record<string, string[]>;
  const fields = {
    normalizers: [],
    pretokenizers: [],
    processors: [],
    decoders: [],
    pattern: { String: "a" },
    content: "b",
    prepend: "c",
    delimiter: "d",
    behavior: "Isolated",
    cls: ["<s>", 1],
    sep: ["</s>", 2],
    single: [],
    vocab: {},
    merges: [],
  };
  assert.deepEqual(Object.keys(supported).sort(), ["decoder", "model", "normalizer", "post_processor", "pre_tokenizer"]);
  for (const [part, kinds] of Object.entries(supported)) {
    for (const type of kinds) {
      const made = type === "Unigram" ? { ...fields, vocab: [["a", 0]] } : fields;
      assert.ok(makeTokenizer(toy({ [part]: { ...made, type } })), `${part} ${type}`);
    }
  }
});

test("cutting keeps the tokens around", () => {
  const tokenizer = makeTokenizer(toy({ post_processor: BOTH }));
  const inside = [3, 4, 5, 6];
  for (let most = 2; most < 8; most++) {
    assert.deepEqual(tokenizer.encodeWithin("a b c d", true, most), [1, ...inside.slice(0, most - 2), 2]);
  }
  assert.deepEqual(tokenizer.encodeWithin("a b c d", true, 0), [1, 2]);
  assert.deepEqual(makeTokenizer(toy()).encodeWithin("a b c d", true, 3), [3, 4, 5]);
});

test("ids that do not exist give nothing", () => {
  const tokenizer = makeTokenizer(toy());
  assert.equal(tokenizer.decode([3, 99, -1, 1, 4]), "a b");
  assert.equal(tokenizer.decode([]), "");
  assert.equal(tokenizer.tokenToId("<s>"), 1);
  assert.equal(tokenizer.idToToken(6), "d");
});

test("halves of characters and long texts do no harm", () => {
  const tokenizer = makeTokenizer(fixture(cases[1]?.file ?? ""));
  assert.equal(tokenizer.decode(tokenizer.encode("a\ud83d b", false)), "a\ufffd b");
  const long = "ab ".repeat(100_000) + "x".repeat(100_000);
  assert.equal(tokenizer.decode(tokenizer.encode(long, false)), long);
});

test("damaged and unknown files are named", () => {
  const model = { type: "BPE", vocab: { a: 0 }, merges: ["a b"] };
  for (const [file, message] of [
    [null, /expected an object for the file/],
    [{}, /expected an object for model/],
    [toy({ model: { type: "Other" } }), /model Other is not supported/],
    [toy({ model }), /merge 0 has tokens/],
    [toy({ model: { ...model, merges: [3] } }), /merge 0|not a tokenizer/],
    [toy({ model: { type: "WordPiece", vocab: { a: "x" } } }), /expected an id for the token a/],
    [toy({ normalizer: { type: "Other" } }), /normalizer Other is not supported/],
    [toy({ pre_tokenizer: { type: "Other" } }), /pre-tokenizer Other/],
    [toy({ post_processor: { type: "Other" } }), /post-processor Other/],
    [toy({ decoder: { type: "Other" } }), /decoder Other/],
    [toy({ normalizer: { type: "Replace", pattern: { Regex: "(" }, content: "" } }), /regular expression \( cannot/],
    [toy({ normalizer: { type: "Precompiled", precompiled_charsmap: "/w==" } }), /precompiled_charsmap is damaged/],
  ] as [unknown, RegExp][]) {
    assert.throws(() => makeTokenizer(file), { code: "bundle", message, details: { file: "tokenizer.json" } });
  }
});

test("a text is cut at its beginning where the file says so", () => {
  const tokenizer = makeTokenizer(toy({ post_processor: BOTH, truncation_side: "left" }));
  assert.deepEqual(tokenizer.encodeWithin("a b c d", true, 4), [1, 5, 6, 2]);
  assert.deepEqual(tokenizer.encodeWithin("a b c d", true, 2), [1, 2]);
  assert.deepEqual(tokenizer.encodeWithin("a b c d", true, 6), [1, 3, 4, 5, 6, 2]);
  assert.throws(() => makeTokenizer(toy({ truncation_side: "middle" })), /expected left or right/);
});

test("what would fill the memory is refused with the limit", () => {
  const twice = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  const times = (kind: string, part: unknown): unknown => ({ type: "Sequence", [kind]: Array(40).fill(part) });
  for (const parts of [
    { normalizer: times("normalizers", twice) },
    { normalizer: times("normalizers", { type: "Replace", pattern: { String: "" }, content: "a" }) },
    { normalizer: { type: "Prepend", prepend: "a".repeat(5000) } },
    { pre_tokenizer: times("pretokenizers", bytes) },
    { decoder: times("decoders", twice) },
  ]) {
    assert.throws(() => makeTokenizer(toy(parts)), /times as long; at most 4096 times is supported/);
  }
});

test("what the native tokenizer refuses is refused", () => {
  for (const [parts, message] of [
    [{ decoder: { type: "Strip", content: "a", start: 0, stop: 1 } }, /decoder: Strip with `stop`/],
    [{ pre_tokenizer: { type: "FixedLength", length: 0 } }, /pre_tokenizer: FixedLength with the length 0/],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "/////w==" } }, /precompiled_charsmap is damaged/],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "BAAAAAEAAAAA" } }, /precompiled_charsmap is damaged/],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "*" } }, /precompiled_charsmap is damaged/],
  ] as const) {
    assert.throws(() => makeTokenizer(toy(parts)), message);
  }
});

test("long texts are errors where engines cannot hold them", () => {
  const twice = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const normalizer = { type: "Sequence", normalizers: Array(12).fill(twice) };
  const message = /makes a text of more than 67108864 characters/;
  assert.throws(() => makeTokenizer(toy({ normalizer })).encode("a".repeat(40_000), false), { code: "input", message });
  // One that does not grow, at a length at which arguments of a function are too many.
  const decoder = { type: "ByteFallback" };
  const bytes = makeTokenizer(toy({ model: { type: "BPE", vocab: { "<0xFF>": 0 }, merges: [] }, decoder }));
  assert.equal(bytes.decode(new Uint8Array(300_000)), "\ufffd".repeat(300_000));
  const model = { type: "BPE", vocab: { a: 0 }, merges: [], end_of_word_suffix: "x".repeat(257) };
  assert.throws(() => makeTokenizer(toy({ model })), /end_of_word_suffix has more than 256 bytes/);
});

test("an unknown token of Unigram is in the vocabulary", () => {
  for (const unk_id of [0.5, -1e300, 2 ** 53, 1]) {
    const model = { type: "Unigram", unk_id, vocab: [["a", -1]] };
    assert.throws(() => makeTokenizer(toy({ model, added_tokens: [] })), { code: "bundle" });
  }
});

test("what comes of the first character begins the text", () => {
  const metaspace = { type: "Metaspace", replacement: "_", prepend_scheme: "first", split: false };
  const pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "FixedLength", length: 1 }, metaspace] };
  const ids = (normalizer: unknown, text: string): number[] => {
    const vocab = Object.fromEntries(["<unk>", "_a", "a", "_\u0301", "\u0301"].map((token, id) => [token, id]));
    const model = { type: "WordLevel", vocab, unk_token: "<unk>" };
    return makeTokenizer(toy({ normalizer, pre_tokenizer, model })).encode(text, false);
  };
  assert.deepEqual(ids(null, "aa"), [1, 2]);
  assert.deepEqual(ids({ type: "NFD" }, "\u00e1a"), [1, 3, 2]);
  assert.deepEqual(ids({ type: "NFD" }, "a\u00e1"), [1, 2, 4]);
  assert.deepEqual(ids({ type: "Strip", strip_left: true, strip_right: false }, " aa"), [2, 2]);
  assert.deepEqual(ids({ type: "Nmt" }, "\u0001aa"), [2, 2]);
  assert.deepEqual(ids({ type: "Strip", strip_left: false, strip_right: true }, "\u0301a "), [3, 2]);
  assert.deepEqual(ids({ type: "Strip", strip_left: false, strip_right: true }, " a"), [0, 2]);
});

test("a text is cut where its script changes", () => {
  const scripts = [
    [0x61, 0x7a, 1],
    [0x3041, 0x30ff, 2],
    [0x1f600, 0x1f64f, 3],
  ];
  const vocab = Object.fromEntries(["<unk>", "ab ", "\u3042", "\u{1f600}", "a"].map((token, id) => [token, id]));
  const model = { type: "WordLevel", vocab, unk_token: "<unk>" };
  const tokenizer = makeTokenizer(toy({ pre_tokenizer: { type: "UnicodeScripts", scripts }, model }));
  assert.deepEqual(tokenizer.encode(" ab \u3042\u{1f600}a", false), [1, 2, 3, 4]);
  assert.deepEqual(tokenizer.encode(" ", false), []);
});
