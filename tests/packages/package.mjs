// The package as npm packs it, and as those who install it have it.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = path.dirname(fileURLToPath(import.meta.url));
const SOURCE = path.resolve(HERE, "../../runtime/web");
/** Where users live: below it, `gristmill` is installed. */
export const HOME = path.resolve(HERE, "../../target/packages");
/** What npm packed. */
export const TARBALL = path.join(HOME, "gristmill.tgz");
/** The package as it is installed. */
export const INSTALLED = path.join(HOME, "node_modules/gristmill");

/** Packs the package and installs it, in place of an earlier one. */
export function install() {
  rmSync(HOME, { recursive: true, force: true });
  mkdirSync(INSTALLED, { recursive: true });
  const command = ["pack", "--silent", "--pack-destination", HOME];
  const name = execFileSync("npm", command, { cwd: SOURCE, encoding: "utf8" }).trim();
  cpSync(path.join(HOME, name), TARBALL);
  execFileSync("tar", ["-xzf", TARBALL, "-C", INSTALLED, "--strip-components=1"]);
  const project = { type: "module", dependencies: { gristmill: "*" } };
  writeFileSync(path.join(HOME, "package.json"), JSON.stringify(project));
}

/** The examples of the package's README, word for word: for a page, and for servers. */
export function examples() {
  const readme = readFileSync(path.join(INSTALLED, "README.md"), "utf8");
  const [page, server] = Array.from(readme.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
  if (!page?.includes('Model.load("/dist/"') || !server?.includes('Model.load("./dist")')) {
    throw new Error("README.md: expected an example for pages, and then one for servers");
  }
  return { page, server };
}

/** A folder of somebody who uses the package, with these files. */
export function project(name, files) {
  const folder = path.join(HOME, name);
  rmSync(folder, { recursive: true, force: true });
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
  return folder;
}
