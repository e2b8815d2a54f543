// Images in prompts, and where they are sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isText, withoutImages } from "../ts/prompt";

const [A, B] = ["a.png", "b.png"] as const;
const text = (words: string): { type: "text"; text: string } => ({ type: "text", text: words });
const image = (source: string): { type: "image"; image: string } => ({ type: "image", image: source });

test("images are sent beside what mentions them, in its order", () => {
  assert.ok(isText("x", []) && isText([{ role: "user", content: "x" }], []));
  assert.ok(!isText("x", [A]) && !isText([{ role: "user", content: [text("x")] }], []));
  assert.deepEqual(withoutImages("x", [A]), { prompt: "x", images: [A] });
  const messages = [
    { role: "user", content: [text("one"), image(B)] },
    { role: "assistant", content: "two" },
    { role: "user", content: "three" },
  ];
  const plain = [text("three")];
  const sent = [
    { role: "user", content: [text("one"), { type: "image" }] },
    { role: "assistant", content: "two" },
  ];
  const with_ = (content: unknown): unknown => [...sent, { role: "user", content }];
  assert.deepEqual(withoutImages(messages, []), { prompt: with_("three"), images: [B] });
  assert.deepEqual(withoutImages(messages, [A]), { prompt: with_([{ type: "image" }, ...plain]), images: [B, A] });
});

test("parts of other kinds are refused", () => {
  const content = [{ type: "video", video: A }] as never;
  assert.throws(() => withoutImages([{ role: "user", content }], []), { code: "input", message: /found video/ });
});
