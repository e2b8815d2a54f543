// Pages, packages and models under one origin, and pages of real browsers to open them in.

import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { launch } from "../browser/browsers.mjs";
import { serve } from "../browser/server.mjs";

/**
 * Serves folders, each under its name, with the headers that isolate pages.
 *
 * @param {Record<string, string>} folders
 * @returns `url`, `log` of requests, and `close()`
 */
export async function serveFolders(folders) {
  const root = mkdtempSync(path.join(tmpdir(), "gristmill-serve-"));
  for (const [name, folder] of Object.entries(folders)) symlinkSync(path.resolve(folder), path.join(root, name));
  const server = await serve(root);
  const close = async () => {
    await server.close();
    rmSync(root, { recursive: true });
  };
  return { url: server.url, log: server.log, close };
}

/** Opens a page in a new browser, gives it to `use`, and ends the browser whatever happens. */
export async function inFreshBrowser(kind, url, use) {
  const browser = await launch(kind);
  try {
    const page = await browser.newPage();
    const said = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    try {
      await page.goto(url, { waitUntil: "load" });
      await page.waitForFunction(() => window.ready === true, { timeout: 60_000 });
      return { version: browser.version, ...(await use(page)) };
    } catch (error) {
      throw new Error([error.message, ...said.slice(-10)].join("\n"));
    }
  } finally {
    await browser.close();
  }
}
