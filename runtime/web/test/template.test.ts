// Chat templates against the texts of Jinja in Python; the native ones are held to the same file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { strftime } from "../ts/text/strftime";
import { makeTemplate } from "../ts/text/template";

declare const TEST_FOLDER: string;

interface Row {
  template: string;
  messages: [string, string][];
  generate: boolean;
  text?: string;
  error?: string;
}

const fixture = JSON.parse(readFileSync(join(TEST_FOLDER, "fixtures/templates.json"), "utf8")) as {
  templates: Record<string, string>;
  rows: Row[];
};
const TOKENS = { bos_token: "<s>", eos_token: { content: "</s>" }, pad_token: null, add_bos_token: true };

for (const [name, source] of Object.entries(fixture.templates)) {
  test(`the template ${name} renders as in Python`, () => {
    const template = makeTemplate({ template: source, config: TOKENS });
    const rows = fixture.rows.filter((row) => row.template === name);
    assert.ok(rows.length > 5);
    for (const row of rows) {
      const messages = row.messages.map(([role, content]) => ({ role, content }));
      const render = (): string | undefined => template?.render(messages, row.generate, 1_700_000_000);
      if (row.text !== undefined) assert.equal(render(), row.text, JSON.stringify(row.messages));
      else assert.throws(render, JSON.stringify(row.messages));
    }
  });
}

test("faults carry the words of the template and name the file", () => {
  const config = { chat_template: fixture.templates.strict };
  const strict = makeTemplate({ template: null, config });
  assert.throws(() => strict?.render([{ role: "tool", content: "x" }], false, 0), {
    code: "input",
    message: "tokenizer_config.json: chat template: Unknown role tool",
  });
  assert.throws(() => makeTemplate({ template: "{% if %}", config: null }), {
    code: "bundle",
    message: /^chat_template\.jinja: chat template: /,
    details: { file: "chat_template.jinja" },
  });
  const endless = makeTemplate({ template: "{% for i in range(1000000000) %}x{% endfor %}", config: null });
  assert.throws(() => endless?.render([], false, 0), { code: "bundle", message: /range/ });
});

test("templates are found in both files and both forms", () => {
  const render = (template: string | null, config: unknown): string | undefined =>
    makeTemplate({ template, config })?.render([], false, 0);
  const named = [
    { name: "tool_use", template: "t" },
    { name: "default", template: "d{{ bos_token }}" },
  ];
  const tokens = "x{{ bos_token }}{{ eos_token }}{{ pad_token }}";
  assert.equal(render(null, { chat_template: tokens, ...TOKENS }), "x<s></s>");
  assert.equal(render(null, { chat_template: named, ...TOKENS }), "d<s>");
  assert.equal(render(null, { chat_template: named.slice(0, 1) }), "t");
  assert.equal(render("file", { chat_template: "config" }), "file");
  assert.equal(render(null, {}), undefined);
  assert.equal(render(null, null), undefined);
});

test("models of more than text have a template of their own", () => {
  const source =
    "{% for m in messages %}{% for p in m['content'] %}{% if p['type'] == 'image' %}<image>{% else %}{{ p['text'] }}" +
    "{% endif %}{% endfor %}{% endfor %}";
  const files = { template: null, processor: { chat_template: source }, config: { chat_template: "text only" } };
  const content = [{ type: "image" as const }, { type: "text" as const, text: " what?" }];
  assert.equal(makeTemplate(files)?.render([{ role: "user", content }], true, 0), "<image> what?");
});

test("dates", () => {
  // Expected values from Python's datetime.
  for (const [time, expected] of [
    [0, "Thu Thursday 1970-01-01 01 Jan 70 00:00:00"],
    [951_827_696, "Tue Tuesday 2000-02-29 29 Feb 00 12:34:56"],
    [1_735_689_599, "Tue Tuesday 2024-12-31 31 Dec 24 23:59:59"],
  ] as const) {
    assert.equal(strftime("%a %A %Y-%m-%d %d %b %y %H:%M:%S", time), expected);
  }
  assert.equal(strftime("100%% %q %", 0), "100% %q %");
  assert.equal(strftime("%F %T", 1e300), "9999-12-31 23:59:59");
});
