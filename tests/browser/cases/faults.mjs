// Networks and servers that do not do what they should.

import { readFileSync } from "node:fs";
import path from "node:path";

const prompt = ({ prompt, messages }) => prompt ?? messages;

async function opened(t, fault) {
  const bundle = t.bundle("generate");
  const server = await t.serve(bundle.folder);
  const [shard] = bundle.shards;
  server.faults.push({ path: new RegExp(`^${shard.path}$`), ...fault(shard, server) });
  return { bundle, server, shard, page: await t.blank(server) };
}

async function works(t, page, bundle) {
  const [expected] = bundle.generate;
  const options = { maxNewTokens: expected.tokens.length };
  const { result } = t.ok(await t.call(page, "generate", prompt(expected), options));
  t.assert.deepEqual(result.tokens, expected.tokens);
}

export default [
  {
    name: "a damaged shard is named",
    wasm: true,
    async run(t) {
      const { bundle, server, page, shard } = await opened(t, ({ bytes }) => ({ flip: bytes >> 1 }));
      const error = t.failed(await t.call(page, "load"), "integrity");
      t.assert.equal(error.details.file, shard.path);
      t.assert.match(error.message, new RegExp(shard.path));
      server.reset();
      t.ok(await t.call(page, "load"));
      await works(t, page, bundle);
    },
  },
  {
    name: "a missing shard is named",
    wasm: true,
    async run(t) {
      const { bundle, server, page, shard } = await opened(t, () => ({ status: 404 }));
      const error = t.failed(await t.call(page, "load"), "network");
      t.assert.equal(error.details.file, shard.path);
      t.assert.equal(error.details.status, 404);
      server.reset();
      t.ok(await t.call(page, "load"));
      await works(t, page, bundle);
    },
  },
  {
    name: "a busy server is asked again",
    wasm: true,
    async run(t) {
      const { bundle, server, page, shard } = await opened(t, () => ({ status: 503, times: 2 }));
      t.ok(await t.call(page, "load"));
      const asked = server.log.filter((entry) => entry.path === shard.path).map((entry) => entry.status);
      t.assert.deepEqual(asked.slice(0, 2), [503, 503]);
      await works(t, page, bundle);
    },
  },
  {
    name: "a cut connection goes on where it broke",
    wasm: true,
    async run(t) {
      const cut = ({ bytes }, server) => ({ cutAfter: bytes >> 1, times: 1, until: server.asked("test/told") });
      const { bundle, server, page, shard } = await opened(t, cut);
      t.assert.equal(bundle.shards.length, 1, "all else is there when the page has some of the shard");
      t.ok(await t.call(page, "load", { tellWithin: shard.bytes }));
      const asked = server.log.filter((entry) => entry.path === shard.path);
      t.assert.equal(asked.length, 2, "the shard was asked for twice");
      const from = Number(/^bytes=(\d+)-/.exec(asked[1].range ?? "")?.[1]);
      t.assert.ok(
        from > 0 && from <= shard.bytes >> 1,
        `expected the rest to be asked for, found range ${asked[1].range}`,
      );
      t.assert.equal(asked[1].status, 206);
      t.note("went on at", `${from} of ${shard.bytes}`);
      await works(t, page, bundle);
    },
  },
  {
    name: "a damaged manifest is refused",
    async run(t) {
      const bundle = t.bundle("generate");
      const text = readFileSync(path.join(bundle.folder, "manifest.json"), "utf8");
      const wrong = [
        ["not JSON", text.slice(0, text.length >> 1)],
        ["another format", text.replace(/"format": ?\d+/, '"format": 999')],
        ["a path out of the bundle", text.replace(/"sha256": ?"[0-9a-f]{64}"/, '"sha256": "../../x"')],
      ];
      for (const [label, body] of wrong) {
        t.assert.notEqual(body, text, label);
        const server = await t.serve(bundle.folder, { extra: { "manifest.json": body } });
        const page = await t.blank(server);
        const error = t.failed(await t.call(page, "load"), "bundle");
        t.assert.ok(error.message.length > 20, `${label}: a message that says something`);
        await page.close();
      }
    },
  },
];
