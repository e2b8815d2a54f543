// Chat templates against the texts of transformers (`tests/fixtures/chat/compare.py`); native programs are held to the same.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TemplateOptions } from "../ts/api";
import type { SentMessage } from "../ts/protocol";
import { bundledTemplate, makeTemplate } from "../ts/text/template";
import * as engine from "../ts/text/template_engine";

declare const TEST_FOLDER: string;

interface Request {
  messages: SentMessage[];
  add_generation_prompt?: boolean;
  continue_final_message?: boolean;
  tools?: object[];
  documents?: object[];
  variables?: Record<string, unknown>;
}

const fixture = JSON.parse(readFileSync(join(TEST_FOLDER, "fixtures/templates.json"), "utf8")) as {
  now: number;
  tokens: Record<string, string>;
  templates: Record<string, string>;
  conversations: Record<string, Request>;
  rows: { template: string; conversation: string; text?: string; error?: string }[];
};

for (const [name, template] of Object.entries(fixture.templates)) {
  test(`the template ${name} renders as in Python`, () => {
    const made = makeTemplate({ template, config: fixture.tokens }, engine);
    const rows = fixture.rows.filter((row) => row.template === name);
    assert.ok(rows.length > 10);
    for (const row of rows) {
      const request = fixture.conversations[row.conversation] as Request;
      const options: TemplateOptions = {
        ...(request.tools ? { tools: request.tools } : {}),
        ...(request.documents ? { documents: request.documents } : {}),
        ...(request.variables ? { templateVariables: request.variables } : {}),
        continueFinalMessage: request.continue_final_message === true,
      };
      const generate = request.add_generation_prompt === true;
      const render = (): string | undefined => made?.render(request.messages, generate, fixture.now, options);
      // Numbers of JavaScript do not know whether they have a point: what prints 1.0 is refused a comparison.
      if (row.text === undefined) assert.throws(render, row.conversation);
      else assert.equal(render(), row.text, row.conversation);
    }
  });
}

test("faults carry the words of the template and name the file", () => {
  const user = [{ role: "tool", content: "x" }];
  const refuse = "{{ raise_exception('Unknown role ' ~ messages[0].role) }}";
  const strict = makeTemplate({ template: null, config: { chat_template: refuse } }, engine);
  assert.throws(() => strict?.render(user, false, 0), {
    code: "input",
    message: "tokenizer_config.json:1: Unknown role tool",
  });
  const wrong = makeTemplate({ template: "a\n{% if %}", config: null }, engine);
  assert.throws(() => wrong?.render(user, false, 0), {
    code: "bundle",
    message: /^chat_template\.jinja:2: Expected an expression/,
    details: { file: "chat_template.jinja" },
  });
  assert.throws(() => wrong?.render([], false, 0), { code: "input", message: /empty conversation/ });
});

test("endless templates are ended, and the engine lives on", () => {
  const user = [{ role: "user", content: "x" }];
  const made = (template: string): (() => string | undefined) => {
    const found = makeTemplate({ template, config: null }, engine);
    return () => found?.render(user, false, 0);
  };
  const loops = "{% for a in range(100000) %}".repeat(3) + "{% endfor %}".repeat(3);
  assert.throws(made(loops), { code: "bundle", message: /the limit for chat templates/ });
  // The stack of a page is smaller than that of a program: the limit on nesting must come first.
  assert.throws(made("{% macro m() %}{% for a in [1] %}{% if 1 %}{{ (m() ~ 'x') | trim }}{% endif %}{% endfor %}{% endmacro %}{{ m() }}"), {
    code: "bundle",
    message: /deep, the limit/,
  });
  assert.throws(made(`{{ ${"[".repeat(99)}1${"]".repeat(99)} }}`.replace("}}", "| tojson | nope }}")), { message: /No filter/ });
  assert.equal(made(`{{ ${"[".repeat(90)}1${"]".repeat(90)} | tojson | length }}`)(), "181");
  assert.equal(made("{{ messages[0].content }}")(), "x");
});

test("templates are found in both files and both forms", () => {
  const user = [{ role: "user", content: "" }];
  const render = (template: string | null, config: unknown, options?: TemplateOptions): string | undefined =>
    makeTemplate({ template, config }, engine)?.render(user, false, 0, options);
  const named = [
    { name: "tool_use", template: "t" },
    { name: "default", template: "d{{ bos_token }}" },
  ];
  const config = { chat_template: named, bos_token: { content: "<s>" } };
  assert.equal(render(null, config), "d<s>");
  assert.equal(render(null, config, { tools: [] }), "t");
  assert.equal(render(null, config, { chatTemplate: "tool_use" }), "t");
  assert.throws(() => render(null, config, { chatTemplate: "x" }), { code: "input", message: /tool_use, default/ });
  assert.equal(render("file", { chat_template: "config" }), "file");
  assert.equal(render(null, {}), undefined);
});

test("contents have the form that the template needs", () => {
  const parts = "{% for m in messages %}{% for p in m.content %}<{{ p.type }}>{{ p.text }}{% endfor %}{% endfor %}";
  const text = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const made = (source: string, content: string): ReturnType<typeof bundledTemplate> =>
    bundledTemplate(JSON.stringify({ templates: [{ name: "default", file: "x", source }], variables: {}, content }), engine);
  const image = { role: "user", content: [{ type: "image" as const }, { type: "text" as const, text: "a" }] };
  const said = { role: "user", content: "b" };
  const pair = { role: "user", content: [{ type: "text" as const, text: "c" }, { type: "text" as const, text: "d" }] };
  assert.equal(made(parts, "parts").render([image, said, pair], true, 0), "<image><text>a<text>b<text>c<text>d");
  assert.equal(made(text, "text").render([said, pair], true, 0), "bcd");
});
