// An HTTP server with faults, for what fetches files.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createHash } from "node:crypto";
import type { FileRef } from "../ts/load/contract";

/** One request that came. */
export interface Seen {
  path: string;
  range: string | undefined;
  cache: string | undefined;
}

/** Answers one request. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that takes its answers from a list; when the list is empty it answers as a good server does. */
export interface TestServer {
  base: URL;
  files: Map<string, Uint8Array>;
  answers: Answer[];
  seen: Seen[];
  close(): Promise<void>;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").replace(/^\/bundle\//, "");
}

/** Starts a server on a free port. */
export async function startServer(): Promise<TestServer> {
  const files = new Map<string, Uint8Array>();
  const answers: Answer[] = [];
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const path = pathOf(request);
    seen.push({ path, range: request.headers.range, cache: request.headers["cache-control"] });
    const answer = answers.shift() ?? good(files);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: new URL(`http://127.0.0.1:${port}/bundle/`),
    files,
    answers,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What a good server answers, ranges included. */
export function good(files: Map<string, Uint8Array>): Answer {
  return (request, response) => {
    const content = files.get(pathOf(request));
    if (!content) return void response.writeHead(404).end("not here");
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
    if (first === undefined) return void response.writeHead(200, { "content-length": content.length }).end(content);
    const from = Number(first);
    if (from >= content.length) {
      return void response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    }
    partial(response, content, from);
  };
}

/** A partial answer that claims what it is told to claim. */
export function partial(response: ServerResponse, content: Uint8Array, from: number, claims?: string): void {
  const range = claims ?? `bytes ${from}-${content.length - 1}/${content.length}`;
  response.writeHead(206, { "content-range": range, "content-length": content.length - from });
  response.end(content.subarray(from));
}

/** Sends the bytes from `from` up to `to`, then cuts the connection. */
export function cut(content: Uint8Array, from: number, to: number): Answer {
  return (_, response) => {
    const length = content.length - from;
    if (from > 0) {
      const range = `bytes ${from}-${content.length - 1}/${content.length}`;
      response.writeHead(206, { "content-range": range, "content-length": length });
    } else {
      response.writeHead(200, { "content-length": length });
    }
    response.write(content.subarray(from, to), () => setTimeout(() => response.destroy(), 20));
  };
}

/** An answer of a status. */
export function status(code: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => void response.writeHead(code, headers).end("trouble");
}

/** A whole answer with this content, whatever was asked. */
export function whole(content: Uint8Array): Answer {
  return (_, response) => void response.writeHead(200, { "content-length": content.length }).end(content);
}

/** Bytes that look random, the same each time. */
export function bytesOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  });
}

/** What a manifest says of a content. */
export function refOf(path: string, content: Uint8Array): FileRef {
  return { path, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}
