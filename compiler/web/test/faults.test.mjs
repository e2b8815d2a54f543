// What is wrong with the functions that the module is given is an error with a message, and the next call is as good as the
// first.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

const pkg = new URL("../pkg/", import.meta.url);
const { compile, initSync } = await import(new URL("gristmill_compiler_web.js", pkg));
initSync({ module: fs.readFileSync(new URL("gristmill_compiler_web_bg.wasm", pkg)) });

const model = { name: "m", list: () => undefined, size: () => undefined, read: () => new Uint8Array(0) };
const nothing = () => {};
const bundle = { add: nothing, append: nothing, name: nothing };
const progress = { stage: nothing, bytes: nothing, warning: nothing, note: nothing };

function refused(changes, message, options = "{}") {
  const call = () => compile({ ...model, ...changes }, bundle, options, progress);
  assert.throws(call, (error) => error instanceof Error && message.test(error.message));
}

const config = "m/config.json: not found; a Hugging Face model directory must have one";

test("functions that throw", () => {
  const throws = () => {
    throw new Error("gone");
  };
  refused({ size: throws }, /^m\/adapter_config\.json: gone$/);
  refused({ list: throws }, /^m\/language_model: gone$/);
  refused({ size: () => 7, read: throws }, /^m\/adapter_config\.json: gone$/);
  refused({}, new RegExp(`^${config}$`));
});

test("values that are none", () => {
  refused({ name: undefined }, /undefined/);
  refused({ size: () => -1 }, /has a size of -1, which is not a number of bytes/);
  refused({ size: () => Number.NaN }, /has a size of NaN/);
  refused({ size: () => 7, read: () => new Uint8Array(3) }, /expected 7 bytes at 0, found 3/);
  refused({ size: () => 7, read: () => "1234567" }, /was not read as bytes/);
  refused({ size: () => 2 ** 31 }, /is larger than \d+ bytes, the maximum/);
  refused({}, new RegExp(`^${config}$`));
});

test("a call within a call", () => {
  const again = () => compile(model, bundle, "{}", progress);
  refused({ size: again }, /this module is compiling already/);
  refused({}, new RegExp(`^${config}$`));
});

test("progress that nobody wants", () => {
  const call = () => compile(model, bundle, "{}", {});
  assert.throws(call, { message: config });
});
