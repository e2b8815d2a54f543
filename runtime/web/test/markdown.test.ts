// Answers in Markdown: what becomes of them, also while they are half written, and what does not become of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createParser } from "../page/text/markdown/markdown_parser";
import type { Piece } from "../page/text/markdown/tree";

/** What is on the screen in the end if a text comes in such pieces. */
function shown(...texts: string[]): Piece[] {
  const parser = createParser();
  const settled: Piece[] = [];
  let growing: Piece[] = [];
  for (const [index] of texts.entries()) {
    const reading = parser.read(texts.slice(0, index + 1).join(""));
    settled.push(...reading.settled);
    ({ growing } = reading);
  }
  return [...settled, ...growing];
}

/** A short way to write it down. */
function say(pieces: readonly Piece[]): string {
  const one = (piece: Piece): string => {
    if (typeof piece === "string") return piece;
    if ("code" in piece) return `[code ${piece.language}|${piece.code}]`;
    const { href, start, "data-align": align } = piece.attributes ?? {};
    const more = [href, start, align].filter((value) => value !== undefined).map((value) => ` ${value}`);
    return `<${piece.tag}${more.join("")}>${piece.children.map(one).join("")}</>`;
  };
  return pieces.map(one).join("");
}

const all = (pieces: readonly Piece[]): Exclude<Piece, string>[] =>
  pieces.flatMap((piece) =>
    typeof piece === "string" ? [] : "code" in piece ? [piece] : [piece, ...all(piece.children)],
  );

const EXAMPLES: [string, string][] = [
  ["one *two* **three** ~~four~~ `five`", "<p>one <em>two</> <strong>three</> <del>four</> <code>five</></>"],
  ["a line\nand another", "<p>a line\nand another</>"],
  ["one\n\ntwo", "<p>one</><p>two</>"],
  ["## First\n\n#### Below\n\n# Next", "<h3>First</><h4>Below</><h3>Next</>"],
  ["# 1\n## 2\n### 3\n#### 4\n##### 5", "<h3>1</><h4>2</><h5>3</><h6>4</><h6>5</>"],
  ["above\n---\nbelow", "<p>above</><hr></><p>below</>"],
  ["- a\n- b\n  1. c", "<ul><li>a</><li>b<ol><li>c</></></></>"],
  ["3. a\n4. b", "<ol 3><li>a</><li>b</></>"],
  ["- a\n\n- b\n\n  c", "<ul><li><p>a</></><li><p>b</><p>c</></></>"],
  ["- [x] done\n- [ ] open", "<ul><li>☑ done</><li>☐ open</></>"],
  ["> a\n> > b", "<blockquote><p>a</><blockquote><p>b</></></>"],
  ["```py\nprint(1)\n```\nafter", "[code py|print(1)]<p>after</>"],
  ["    indented", "[code |indented]"],
  [
    "|a|b|\n|-|:-:|\n|1|x<br>y|",
    "<div><table><thead><tr><th>a</><th center>b</></></><tbody><tr><td>1</><td center>x<br></>y</></></></></>",
  ],
  ["[a](https://b.example/?c&amp;d)", "<p><a https://b.example/?c&d>a</></>"],
  ["see https://b.example.", "<p>see <a https://b.example/>https://b.example</>.</>"],
  ["[a][1]\n\n[1]: https://b.example/", "<p><a https://b.example/>a</></>"],
  ["![a *cat*](https://b.example/cat.png)", "<p><a https://b.example/cat.png>a *cat*</></>"],
  ["[![b](https://c.example/b.png)](https://d.example/)", "<p><a https://d.example/>b</></>"],
  ["a &lt;b&gt; &amp;&#33;&#x3f; &unknown; \\*c\\*", "<p>a <b> &!? &unknown; *c*</>"],
];

test("texts become what they mean, whole and letter by letter", () => {
  for (const [text, expected] of EXAMPLES) {
    assert.equal(say(shown(text)), expected, text);
    // Addresses below are known when all is there.
    if (!text.includes("[1]")) assert.equal(say(shown(...text)), expected, `${text}, letter by letter`);
    assert.equal(say(shown(text.replaceAll("\n", "\r\n"))), expected, `${text}, with other line breaks`);
  }
});

test("what is half written is shown as what it becomes, or as it is", () => {
  assert.equal(say(shown("so:\n\n```js\nlet a = [")), "<p>so:</>[code js|let a = []");
  assert.equal(say(shown("```")), "[code |]");
  assert.equal(say(shown("a **b")), "<p>a **b</>");
  assert.equal(say(shown("a [b](https://c")), "<p>a [b](<a https://c/>https://c</></>");
  assert.equal(say(shown("a\n-")), "<p>a\n-</>");
  assert.equal(say(shown("|a|b|\n|-")), "<p>|a|b|\n|-</>");
  assert.equal(say(shown("> ")), "<blockquote></>");
});

test("complete blocks are told once, and only the last one is told again", () => {
  const parser = createParser();
  const first = parser.read("# A\n\nb");
  assert.deepEqual([say(first.settled), say(first.growing)], ["", "<h3>A</><p>b</>"], "a line that may become another");
  assert.equal(say(parser.read("# A\n\nb c\n").settled), "<h3>A</>");
  const next = parser.read("# A\n\nb c\n\n");
  assert.deepEqual([say(next.settled), say(next.growing)], ["", "<p>b c</>"]);
  const more = parser.read("# A\n\nb c\n\n## D\n");
  assert.deepEqual([say(more.settled), say(more.growing)], ["<p>b c</>", "<h4>D</>"]);
  // A list goes on behind an empty line.
  assert.equal(say(shown("- a\n", "\n", "- b")), "<ul><li><p>a</></><li><p>b</></></>");
});

const REFUSED = [
  "javascript:alert(1)",
  "JavaScript:alert(1)",
  "&#106;avascript:alert(1)",
  "&#x6A;avascript&#58;alert(1)",
  "java&#10;script:alert(1)",
  "vbscript:x",
  "data:text/html,<script>alert(1)</script>",
  "file:///etc/passwd",
  "blob:https://a.example/1",
  "//a.example/x",
  "/x",
  "x.html",
  "#x",
  "chrome://settings",
  "http://",
];

test("no link leads anywhere but to the web or a mailbox", () => {
  for (const address of REFUSED) {
    for (const text of [
      `[a](${address})`,
      `[a](<${address}>)`,
      `![a](${address})`,
      `<${address}>`,
      `[a]\n\n[a]: ${address}`,
    ]) {
      const made = all(shown(text)).filter((piece) => "tag" in piece && piece.tag === "a");
      assert.deepEqual(made, [], text);
    }
  }
  const [link] = all(shown("[a](HTTPS://b.example 'title')")).filter((piece) => "tag" in piece && piece.tag === "a");
  assert.ok(link && "tag" in link);
  const address = "https://b.example/";
  assert.deepEqual(link.attributes, { href: address, title: address, target: "_blank", rel: "noopener noreferrer" });
  assert.equal(say(shown("[a](mailto:b@c.example)")), "<p><a mailto:b@c.example>a</></>");
});

const HTML = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "a <img src=x onerror=alert(1)> b",
  "<svg/onload=alert(1)>",
  "<iframe srcdoc='<script>alert(1)</script>'>",
  "<a href='javascript:alert(1)'>x</a>",
  "<style>*{display:none}</style>",
  "<!-- a -->",
  "<![CDATA[x]]>",
  "<details><summary>a</summary></details>",
  "# <b onclick=x>a</b>",
  "- <i>a</i>",
  "|<b>a</b>|\n|-|\n|<i>b</i>|",
  "*<b>*a*</b>*",
  "`<b>`",
];

test("HTML is shown as text", () => {
  const plain = (pieces: readonly Piece[]): string =>
    pieces
      .map((piece) => (typeof piece === "string" ? piece : "code" in piece ? piece.code : plain(piece.children)))
      .join("");
  const known = new Set(["p", "h3", "ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td", "em", "code"]);
  for (const text of HTML) {
    const made = shown(text);
    const tags = /<[^<>]*>/g;
    assert.deepEqual(plain(made).match(tags), text.match(tags), text);
    for (const piece of all(made))
      assert.ok("tag" in piece && known.has(piece.tag), `${text}: ${JSON.stringify(piece)}`);
    const names = all(made).flatMap((piece) => ("tag" in piece ? Object.keys(piece.attributes ?? {}) : []));
    for (const name of names) assert.match(name, /^(class|tabindex|role|aria-label|scope)$/, text);
  }
});

/** How often what is repeated is. Whoever does quadratic work, or recurs that deeply, does not return in time. */
const MANY = 50_000;
const many = (text: string, count = MANY): string => text.repeat(count);
const HOSTILE: Record<string, string> = {
  quotes: `${many("> ", 10_000)}a`,
  "tight quotes": many(">"),
  "quotes in lists": many("> - ", 10_000),
  lists: many("- "),
  numbers: many("1. "),
  "deeper lists": Array.from({ length: 400 }, (_, depth) => `${" ".repeat(2 * depth)}- a`).join("\n"),
  stars: many("*"),
  emphasis: many("*a **b "),
  "closed emphasis": many("*a **b ", 5000) + many("** * ", 5000),
  underscores: many("_a"),
  strikes: many("~~a "),
  brackets: many("["),
  "closed brackets": many("[") + many("]"),
  links: many("[a](b"),
  images: many("![[]()"),
  backticks: many("`"),
  "other backticks": Array.from({ length: 400 }, (_, length) => "`".repeat(length)).join(" a "),
  tags: many("<a "),
  comments: many("<!--"),
  rows: `|a|b|\n|-|-|\n${many("|\n")}`,
  columns: `${many("a|")}\n${many("-|")}\n${many("x\n", 5000)}`,
  mail: `${many("a.")}@`,
  definitions: many("[a]: b\n") + many("[a] "),
  "other definitions": `${Array.from({ length: 5000 }, (_, at) => `[a${at}]: b`).join("\n")}\n\na`,
  code: many("```\na\n"),
  "open code": `\`\`\`\n${many("a\n")}`,
  escapes: many("\\"),
  references: many("&#"),
  rules: many("* * *  a\n"),
  spaces: `a${many(" ")}b`,
  lines: many("\n"),
  tabs: many("\t- a\n"),
  mixed: many("*_[`<!>|#"),
};

for (const [name, text] of Object.entries(HOSTILE)) {
  test(`what is made to be slow is shown: ${name}`, { timeout: 20_000 }, () => {
    const parser = createParser();
    const { settled, growing } = parser.read(text);
    const depth = (pieces: readonly Piece[]): number =>
      1 +
      Math.max(0, ...pieces.map((piece) => (typeof piece === "string" || "code" in piece ? 0 : depth(piece.children))));
    assert.ok(depth([...settled, ...growing].slice(0, 1000)) < 100);
    // All blocks but those at the end are done with: the next letter costs little.
    const begin = performance.now();
    const more = parser.read(`${text}a`);
    assert.ok(performance.now() - begin < 1000, `one letter took ${performance.now() - begin} ms`);
    assert.ok(settled.length + more.settled.length + more.growing.length > 0);
  });
}

test("nothing of a text is lost, wherever it is cut", () => {
  const parts = [
    "word",
    " ",
    "\n",
    "\n\n",
    "- ",
    "1. ",
    "> ",
    "    ",
    "`",
    "```\n",
    "*",
    "# ",
    "|",
    "\n-|-\n",
    "---",
    "\t",
    "<b>",
    "[x]",
    "é",
  ];
  let state = 7;
  const random = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  for (let round = 0; round < 300; round++) {
    const pieces = Array.from({ length: 1 + random(60) }, () => parts[random(parts.length)] ?? "");
    const text = pieces.join("");
    // What settles before the end of a text may only be what stands in front of it.
    assert.equal(say(shown(...pieces)), say(shown(text)), JSON.stringify(text));
    const letters = (of: string): number => of.match(/word/g)?.length ?? 0;
    assert.equal(letters(say(shown(text))), letters(text), JSON.stringify(text));
  }
});

test("a long list and long code are cut where they can be", () => {
  const items = Array.from({ length: 2000 }, (_, at) => `- item ${at}`);
  const lists = shown(items.join("\n"));
  const names = all(lists).flatMap((piece) => ("tag" in piece && piece.tag === "li" ? [piece.children.join("")] : []));
  assert.deepEqual(
    names,
    items.map((item) => item.slice(2)),
  );
  const code = Array.from({ length: 5000 }, (_, at) => `line ${at}`).join("\n");
  assert.deepEqual(shown(`\`\`\`\n${code}\n\`\`\`\n\nafter`), [
    { code, language: "" },
    { tag: "p", children: ["after"] },
  ]);
});
