// Answers in Markdown: shown as what they mean, while they come, and never as anything that runs or is fetched.

import { ANSWER, say, setField, withFake } from "../states.mjs";

/** What the browsers call the file of the parser. */
const PARSER = /markdown_parser-\w+\.js$/;

/** The page with a stand-in for the runtime, which answers with a text. */
async function answering(t, text, query, use) {
  await withFake(t, async (server) => {
    const page = await t.page(null, { viewport: { width: 320, height: 640 } });
    await page.goto(`${server.url}?task=chat&answer=${encodeURIComponent(text)}${query}`);
    await t.state(page, "ready");
    await use(page, server);
  });
}

/** How often a page fetched the parser. */
const fetched = (page) =>
  page.evaluate(
    () => performance.getEntriesByType("resource").filter(({ name }) => name.includes("markdown_parser-")).length,
  );

const answered = (page) => page.waitForFunction(() => document.querySelector("article .note:not(:empty)") !== null);
const requested = (server, name) => server.log.filter((entry) => name.test(entry.name)).length;

export default [
  {
    name: "an answer is shown as what it means, and nothing of it runs or is fetched",
    needsBundles: false,
    wasm: true,
    run: (t) =>
      answering(t, ANSWER, "", async (page, server) => {
        await say(page, "How?");
        await answered(page);
        const found = await page.$eval(".assistant .text", (text) => {
          const count = (selector) => text.querySelectorAll(selector).length;
          const { scrollWidth, clientWidth } = text.querySelector(".sideways");
          return {
            headings: [...text.querySelectorAll("h3, h4, h5, h6")].map((heading) => heading.tagName),
            counts: Object.fromEntries(
              ["strong", "ol > li", "ol ul > li", "blockquote blockquote", "th", "td", "pre code", "hr"].map(
                (selector) => [selector, count(selector)],
              ),
            ),
            foreign: count("img, script, iframe, object, embed, style, link, [style], [onerror]"),
            links: [...text.querySelectorAll("a")].map(({ href, rel, target }) => ({ href, rel, target })),
            language: text.querySelector("figcaption span").textContent,
            scrolls: scrollWidth > clientWidth,
            wide: document.documentElement.scrollWidth - window.innerWidth,
            whole: text.textContent,
          };
        });
        t.assert.deepEqual(found.headings, ["H3", "H4", "H5"], "below the heading of the answer, and without a gap");
        t.assert.deepEqual(found.counts, {
          strong: 1,
          "ol > li": 3,
          "ol ul > li": 2,
          "blockquote blockquote": 1,
          th: 4,
          td: 8,
          "pre code": 1,
          hr: 1,
        });
        t.assert.equal(found.foreign, 0);
        const link = { rel: "noopener noreferrer", target: "_blank" };
        t.assert.deepEqual(found.links, [
          { href: "https://example.org/mill", ...link },
          { href: "https://example.org/mill.png", ...link },
        ]);
        t.assert.equal(found.language, "python");
        t.assert.ok(found.scrolls, "the table is wider than its place, and scrolls there");
        t.assert.ok(found.wide <= 0, `the page is ${found.wide} px wider than the window`);
        t.assert.match(found.whole, /<script>window\.hacked = 1<\/script> \[a trap\]\(javascript:window\.hacked=1\)/);
        t.assert.equal(await page.evaluate(() => "hacked" in window), false);
        t.assert.ok(!t.log.some((line) => /Content.Security.Policy/i.test(line)), t.log.join("\n"));
        t.assert.equal(requested(server, /example/), 0);
        await t.shot(page, "markdown");
      }),
  },
  {
    name: "code of an answer is copied",
    needsBundles: false,
    wasm: true,
    run: (t) =>
      answering(t, "```js\nlet a = 1;\n\nlet b = 2;\n```\n", "", async (page) => {
        await page.evaluate(() => {
          const clipboard = { writeText: async (text) => void (window.copied = text) };
          Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
        });
        await say(page, "Code, please.");
        await answered(page);
        await page.$eval(".code button", (button) => button.click());
        await page.waitForFunction(() => document.querySelector(".code button").textContent === "Copied");
        t.assert.equal(await page.evaluate(() => window.copied), "let a = 1;\n\nlet b = 2;");
        // Pages that are not secure have no clipboard.
        await page.evaluate(() => {
          Object.defineProperty(navigator, "clipboard", { value: undefined });
          document.execCommand = () => {
            window.copied = `selected: ${document.activeElement.value}`;
            return true;
          };
        });
        await page.waitForFunction(() => document.querySelector(".code button").textContent === "Copy");
        await page.$eval(".code button", (button) => button.click());
        await page.waitForFunction(() => document.querySelector(".code button").textContent === "Copied");
        t.assert.equal(await page.evaluate(() => window.copied), "selected: let a = 1;\n\nlet b = 2;");
      }),
  },
  {
    name: "what is selected stays selected while an answer grows",
    needsBundles: false,
    wasm: true,
    run: (t) =>
      answering(t, `A **first** one.\n\nAnother ${"word ".repeat(200)}\n\n- a list\n`, "", async (page) => {
        await say(page, "Much, please.");
        await page.waitForFunction(() => {
          const [first, second] = document.querySelectorAll(".assistant .text > p");
          if (!second) return false;
          getSelection().selectAllChildren(first);
          first.seen = second.seen = true;
          const busy = document.querySelector(".text[aria-busy]") !== null;
          window.before = { length: second.textContent.length, busy };
          return true;
        });
        const { length, busy } = await page.evaluate(() => window.before);
        t.assert.ok(busy && length < 900, "the answer was growing");
        await answered(page);
        const after = await page.evaluate(() => {
          const blocks = [...document.querySelectorAll(".assistant .text > *")];
          return {
            tags: blocks.map((block) => block.tagName),
            same: blocks.map((block) => block.seen === true),
            selected: getSelection().toString().trim(),
            length: blocks[1].textContent.length,
          };
        });
        t.assert.deepEqual(after.tags, ["P", "P", "UL"]);
        t.assert.deepEqual(after.same, [true, true, false], "the same elements");
        t.assert.equal(after.selected, "A first one.");
        t.assert.ok(after.length > length);
      }),
  },
  {
    name: "what parses answers is fetched with the first of them, and a page without it shows text",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
      const { messages, tokens, text } = bundle.generate.find((expected) => expected.messages);
      const ask = async (server) => {
        const page = await t.page(`${server.url}?backend=${t.backend}`);
        await t.state(page, "ready");
        t.assert.equal(requested(server, PARSER) + (await fetched(page)), 0, "nobody has asked anything yet");
        await setField(page, "Maximum length", tokens.length);
        await setField(page, "Temperature", 0);
        await say(page, messages.at(-1).content);
        await answered(page);
        return page;
      };
      const server = await t.serve(bundle.folder);
      const page = await ask(server);
      await page.waitForSelector(".assistant .markdown");
      t.assert.equal(await fetched(page), 1);

      const without = await t.serve(bundle.folder);
      without.faults.push({ path: PARSER, status: 404 });
      const plain = await ask(without);
      t.assert.equal(await plain.$eval(".assistant .text", (answer) => answer.textContent), text);
      t.assert.equal(await plain.$(".markdown"), null);
    },
  },
];
