// A worker with a model in it.

import { serveEngine } from "./engine";
import type { Port } from "./link";
import { startByOwner } from "./wasm/threads";

const owner = self as unknown as Port;
startByOwner(owner);
serveEngine(owner);
