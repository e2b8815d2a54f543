// A worker with a model in it.

import { serveEngine } from "./engine";
import type { Port } from "./link";

serveEngine(self as unknown as Port);
