// The script with the engine. It is a module for those who import it, and what runs in all workers that this package
// starts: one file to copy, whatever a page does with it.

import { serveEngine } from "./engine";
import { ownRole } from "./platform";
import { serveThread } from "./wasm/compute";
import { startByOwner, startFrom } from "./wasm/threads";

export { serveEngine };

startFrom(import.meta.url);
const started = ownRole();
if (started?.role === "engine") {
  startByOwner(started.port);
  serveEngine(started.port);
} else if (started?.role === "compute") {
  serveThread(started.port);
}
