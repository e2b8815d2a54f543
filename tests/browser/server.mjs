// A static server for a bundle that counts what is asked for and can do what networks do: break, refuse, damage, delay.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".ts": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".wgsl": "text/plain; charset=utf-8",
};

/**
 * The port of the last server. Each gets one that none had before: a browser keeps files by their origin, and would give
 * a page what another server had there. Below those that systems give to connections, and none that browsers refuse.
 */
let lastPort = 20_000 + Math.floor(Math.random() * 8000);

/** Listens on a port that is free, and that no server of this process has had. */
async function listen(server) {
  for (;;) {
    lastPort += 1;
    const taken = await new Promise((done, fail) => {
      const refused = (error) => (error.code === "EADDRINUSE" ? done(true) : fail(error));
      server.once("error", refused).listen(lastPort, "127.0.0.1", () => {
        server.off("error", refused);
        done(false);
      });
    });
    if (!taken) return lastPort;
  }
}

/**
 * Serves a folder.
 *
 * @param {string} root the folder
 * @param {{ isolate?: boolean, extra?: Record<string, string>, cors?: boolean, headers?: Record<string, string>,
 *   first?: string }} options `isolate`: with the headers that isolate the page (default true). `extra`: further files, by
 *   path, such as a blank page. `cors`: with those that let pages of other origins read files. `headers`: further headers
 *   of all answers. `first`: a script that pages and workers run before their own
 * @returns an object with `url` and `port`; `log`, one entry per request with path, range, status and bytes sent;
 *   `asked(path)`, a promise that a request for the path keeps; and `faults`, a list to which tests add what goes wrong,
 *   see {@link findFault}
 */
export async function serve(root, { isolate = true, extra = {}, cors = false, headers = {}, first = null } = {}) {
  const folder = path.resolve(root);
  const sockets = new Set();
  const all = { ...extra };
  const state = { folder, isolate, extra: all, cors, headers, log: [], faults: [], waiting: [], off: false, sockets };
  if (first !== null) await addFirst(state, first);
  const server = createServer((request, response) => {
    answer(state, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  server.on("connection", (socket) => {
    // "Network off" closes connections instead of the port, so that it can be switched on again at the same address.
    if (state.off) return socket.destroy();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/`,
    port,
    log: state.log,
    faults: state.faults,
    /** The network is gone: no connection is accepted, and those there are end. */
    setOff(off) {
      state.off = off;
      if (off) for (const socket of sockets) socket.destroy();
    },
    /** Requests for paths that a pattern matches. */
    requests: (pattern) => state.log.filter((entry) => pattern.test(entry.path)),
    /** Resolves at the next request for a path. */
    asked: (name) => new Promise((done) => state.waiting.push({ name, done })),
    /** Bytes of bodies that were sent since the log was last emptied. */
    bytes: () => state.log.reduce((sum, entry) => sum + entry.sent, 0),
    reset() {
      state.log.length = 0;
      state.faults.length = 0;
      this.setOff(false);
    },
    close: () =>
      new Promise((done) => {
        for (const socket of sockets) socket.destroy();
        server.close(done);
      }),
  };
}

/**
 * The fault that concerns a path. A fault is `{ path: RegExp, times?: number, ... }` with one of
 * `status: 404` (answers that), `refuse: true` (drops the connection without an answer, as a network that is gone),
 * `cutAfter: 1000` (sends so many bytes of the body, then drops the connection, or does so when the promise `until` is
 * kept),
 * `flip: 17` (that byte of the file is wrong), `delay: 500` (milliseconds before the answer), `rate: 1e6` (bytes per
 * second), `type: "text/html"` (calls it that).
 * It applies `times` times, else always.
 */
function findFault(faults, name) {
  const fault = faults.find((candidate) => candidate.path.test(name) && (candidate.times ?? 1) > 0);
  if (fault?.times !== undefined) fault.times -= 1;
  return fault ?? {};
}

async function answer(state, request, response) {
  const { pathname } = new URL(request.url, "http://host");
  const name = decodeURIComponent(pathname).slice(1);
  const entry = { path: name, range: request.headers.range ?? null, status: 0, sent: 0, method: request.method };
  state.log.push(entry);
  for (const waiting of state.waiting.filter((one) => one.name === name)) waiting.done();
  const fault = findFault(state.faults, name);
  if (fault.refuse) return response.destroy();
  if (fault.delay) await sleep(fault.delay);
  const content = fault.status ? null : await open(state, name);
  if (!content) {
    entry.status = fault.status ?? 404;
    response.writeHead(entry.status, { ...common(state), "content-type": "text/plain" });
    response.end("no such thing\n");
    return;
  }
  const head = { ...common(state), "content-type": TYPES[path.extname(content.name)] ?? "application/octet-stream" };
  head.etag = content.etag;
  if (fault.type) head["content-type"] = fault.type;
  // What is damaged on the way is not what the browser has.
  if (fault.flip === undefined && request.headers["if-none-match"] === content.etag) {
    entry.status = 304;
    response.writeHead(304, head).end();
    return;
  }
  const part = rangeOf(request.headers.range, content.size);
  if (part === null) {
    entry.status = 416;
    response.writeHead(416, { ...head, "content-range": `bytes */${content.size}` }).end();
    return;
  }
  entry.status = part.whole ? 200 : 206;
  if (!part.whole) head["content-range"] = `bytes ${part.start}-${part.end - 1}/${content.size}`;
  response.writeHead(entry.status, { ...head, "content-length": part.end - part.start });
  if (request.method === "HEAD" || part.end === part.start) response.end();
  else await send(content.read(part.start, part.end), part.start, response, fault, entry);
}

function common(state) {
  const always = { "cache-control": "no-cache", "accept-ranges": "bytes", "x-content-type-options": "nosniff" };
  const head = { ...always, ...state.headers };
  if (state.cors) Object.assign(head, { "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin" });
  if (!state.isolate) return head;
  return { ...head, "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
}

/** Puts a script in front of those of pages, and of the worker. Modules run in the order of their imports. */
async function addFirst(state, first) {
  const text = (name) => state.extra[name] ?? readFile(path.join(state.folder, name), "utf8");
  for (const name of ["blank.html", "index.html"]) {
    const page = await text(name);
    state.extra[name] = page.replace("<script", '<script src="test/first.js"></script><script');
  }
  state.extra["runtime/engine.js"] = `import "../test/first.js";${await text("runtime/engine.js")}`;
  state.extra["test/first.js"] = first;
}

/** A file of the folder, or one of the extra ones; null if there is none. */
async function open(state, name) {
  const added = name === "" ? "index.html" : name;
  if (added in state.extra) {
    const body = Buffer.from(state.extra[added]);
    return {
      name: added,
      size: body.length,
      etag: `"${createHash("sha256").update(body).digest("hex")}"`,
      read: (start, end) => [body.subarray(start, end)],
    };
  }
  let file = path.join(state.folder, name);
  if (file !== state.folder && !file.startsWith(state.folder + path.sep)) return null;
  let info = await stat(file).catch(() => null);
  if (info?.isDirectory()) {
    file = path.join(file, "index.html");
    info = await stat(file).catch(() => null);
  }
  if (!info?.isFile()) return null;
  return {
    name: file,
    size: info.size,
    etag: `"${info.size.toString(16)}-${Math.floor(info.mtimeMs).toString(16)}"`,
    read: (start, end) => createReadStream(file, { start, end: end - 1 }),
  };
}

/** The part of a file that a header asks for: all of it if it cannot be read, null if there is no such part. */
function rangeOf(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return { start: 0, end: size, whole: true };
  const start = match[1] === "" ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? size : Math.min(size, Number(match[2]) + 1);
  return start < end ? { start, end, whole: false } : null;
}

/** Sends a body as the fault wants it. */
async function send(chunks, start, response, fault, entry) {
  let at = start;
  for await (let chunk of chunks) {
    if (fault.flip !== undefined && fault.flip >= at && fault.flip < at + chunk.length) {
      chunk = Buffer.from(chunk);
      chunk[fault.flip - at] ^= 1;
    }
    const left = (fault.cutAfter ?? Infinity) - entry.sent;
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    if (part.length > 0 && !response.write(part)) await drained(response);
    if (response.destroyed) return;
    at += chunk.length;
    entry.sent += part.length;
    if (entry.sent >= (fault.cutAfter ?? Infinity)) {
      // A stream that breaks forgets what nobody has read yet: only the other side knows when it has.
      await fault.until;
      response.destroy();
      return;
    }
    if (fault.rate) await sleep((part.length / fault.rate) * 1000);
  }
  response.end();
}

function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

/** The manifest of a bundle. */
export async function manifestOf(bundle) {
  return JSON.parse(await readFile(path.join(bundle, "manifest.json"), "utf8"));
}
