// A process that gives files to the page's code, and says what became of each.

import { openSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { wrapped } from "./templates.mjs";

/** Further calls of a file are left out once one took so long: the parent would take the sum for a fault. */
const SLOW_MS = 700;
/** What a bundle or a caller may be told; other codes are faults of the program. */
const CODES = ["bundle", "input", "unsupported"];

process.setSourceMapsEnabled(true);
const [bundle, notes] = process.argv.slice(2);
const { loadText, GristmillError } = await import(pathToFileURL(bundle).href);
const stage = openSync(notes, "w");

const TEXTS = [
  "",
  "Hello, world! don't 123",
  "  two  spaces\n\n\tand lines\r\n ",
  "\u{1f44d}\u{1f3fd} \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f1e9}\u{1f1ea}",
  "e\u0301 \u1e9b\u0323 \u0301" + "\u0300".repeat(300),
  "nul \0 and \u0001\ufffd\ufeff\u200b",
  "\u4e2d\u6587 \u0939\u093f\u0928\u094d\u0926\u0940 \ufdfa \u0390 \u0130 \u023a",
  "half \ud83d and \udc4d",
  "a".repeat(1000),
  "ab ".repeat(300) + "!",
  // What is looked at again from each of its characters on takes long.
  "a" + " ".repeat(2 ** 12) + "a",
  "<s>[CLS]</s><unk>[UNK]<0x0A><|endoftext|>##a</w>\u2581",
];

const MESSAGES = [
  { messages: [{ role: "user", content: "Hi" }] },
  {
    messages: [
      { role: "system", content: "You are \u{1f44d}." },
      {
        role: "user",
        content: [
          { type: "text", text: "What?" },
          { type: "image_url", image_url: { url: "x" } },
        ],
      },
      { role: "assistant", content: "e\u0301 \0 <b>", reasoning_content: "so" },
    ],
    options: { continueFinalMessage: true },
  },
  {
    messages: [
      { role: "user", content: "weather " + "a ".repeat(200) },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ type: "function", function: { name: "f", arguments: { a: 1.5 } } }],
      },
      { role: "tool", content: "\ud800", name: "f" },
    ],
    options: {
      tools: [
        { type: "function", function: { name: "f", description: "d", parameters: { type: "object", properties: {} } } },
      ],
      documents: [{ title: "t", text: "x" }],
      templateVariables: { x: 1, s: "text", l: [1, [2, null]], d: { a: { b: 1e300 } }, enable_thinking: true },
    },
  },
];

/** Calls something, or not if the calls so far took long. Gives undefined if it was refused, and notes faults. */
async function attempt(outcome, what, call) {
  if (outcome.fault || outcome.ms > SLOW_MS) return undefined;
  // The parent finds it when no answer comes.
  writeSync(stage, what.padEnd(20), 0);
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  try {
    return await call();
  } catch (e) {
    if (isRefusal(e)) outcome.refusal ??= e.message;
    else outcome.fault = describe(e);
    return undefined;
  } finally {
    const { user, system } = process.cpuUsage(cpu);
    // On a busy machine the clock says too much, and helpers of the engine make the CPU's time too long.
    const ms = Math.min(performance.now() - began, (user + system) / 1000);
    if (ms > outcome.longest.ms) outcome.longest = { ms, what };
    outcome.ms += ms;
  }
}

/** An error that tells of a bad file. One of the engine's own behind it is none: it ended the engine for good. */
function isRefusal(e) {
  if (!(e instanceof GristmillError) || !CODES.includes(e.code)) return false;
  return !(e.cause instanceof Error) || e.cause instanceof SyntaxError;
}

function describe(e) {
  const inner = e instanceof GristmillError && e.cause instanceof Error ? e.cause : e;
  return {
    kind: inner?.name ?? typeof inner,
    message: String(inner?.message ?? inner),
    stack: String(inner?.stack ?? ""),
  };
}

/** What the page makes of a file of a bundle. */
function load(outcome, file, text) {
  return attempt(outcome, "load", () => loadText((path) => Promise.resolve(path === file ? text : null)));
}

async function tryTokenizer(outcome, { text }) {
  const { tokenizer } = (await load(outcome, "tokenizer.json", text)) ?? {};
  if (!tokenizer) return;
  outcome.accepted = true;
  for (const [i, t] of TEXTS.entries()) {
    const ids = await attempt(outcome, `encode text ${i}`, () => tokenizer.encode(t, true));
    if (ids) await attempt(outcome, `decode text ${i}`, () => checked(tokenizer, t, ids));
  }
}

/** What holds for the ids of a text whatever the file says. */
function checked(tokenizer, text, ids) {
  if (ids.some((id) => !Number.isSafeInteger(id) || id < 0)) throw new Error("an id is no whole number");
  if (typeof tokenizer.decode(ids) !== "string") throw new Error("decoding gives no text");
  const within = tokenizer.encodeWithin(text, false, 5).length;
  const none = tokenizer.encodeWithin("", false, 5).length;
  if (within > Math.max(5, none)) throw new Error("encodeWithin gives too many ids");
  const count = tokenizer.promptTokens(text, 5);
  if (!Number.isInteger(count) || count < 0) throw new Error("promptTokens gives no count");
}

async function tryTemplate(outcome, { text, json }) {
  const { template } = (await load(outcome, "chat_template.json", json ? text : wrapped(text))) ?? {};
  if (!template) return;
  for (const [i, { messages, options = {} }] of MESSAGES.entries()) {
    const render = () => template.render(messages, i !== 1, 1_700_000_000, options);
    if ((await attempt(outcome, `render messages ${i}`, render)) !== undefined) outcome.accepted = true;
  }
}

process.on("message", async (input) => {
  const before = process.memoryUsage().rss;
  const outcome = { accepted: false, refusal: null, fault: null, ms: 0, longest: { ms: 0, what: "" } };
  await (input.target === "tokenizer" ? tryTokenizer : tryTemplate)(outcome, input);
  const rss = process.memoryUsage().rss;
  process.send({ ...outcome, rss, grown: rss - before });
});
process.send("ready");
