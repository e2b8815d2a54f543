// Processes that outlive whoever started them, and the folders they write to: ended and removed with this process,
// however it ends.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const groups = new Set();
const folders = new Set();
process.on("exit", () => {
  for (const group of groups) endGroup(group);
  for (const folder of folders) removeFolder(folder);
});
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
]) {
  process.on(signal, () => process.exit(128 + number));
}

/** Ends a group of processes, now or at the end. */
export function watchGroup(group) {
  if (group) groups.add(group);
}

export function endGroup(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It ended by itself.
  }
  groups.delete(group);
}

/** Starts a program as a group of its own. */
export function start(program, args, env, stdio = "ignore") {
  const child = spawn(program, args, { detached: true, env: { ...process.env, ...env }, stdio });
  child.on("error", () => {});
  watchGroup(child.pid);
  return child;
}

/** A folder for a profile that is not kept. */
export function newFolder(kind) {
  const folder = mkdtempSync(path.join(tmpdir(), `gristmill-${kind}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  try {
    // A browser may still write a moment after its end.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    folders.delete(folder);
  } catch {
    // Tried again at the end.
  }
}

/** Waits for a promise, but not for ever. */
export async function within(milliseconds, work) {
  let timer;
  const late = new Promise((done) => (timer = setTimeout(done, milliseconds)));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
