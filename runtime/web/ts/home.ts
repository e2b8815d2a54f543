// Where the engine of a model is: in a worker of its own, or in the thread of the caller.

import { makeError } from "./errors";
import { connect, type Link, type Port } from "./link";
import type { Parts } from "./parts";
import { hasWorkers, isA, startWorker } from "./platform";
import type { Calls } from "./protocol";
import { hostThreads } from "./wasm/threads";

/** An engine. */
export interface Home {
  link: Link<Calls>;
  end(): void;
}

/** The script with the engine, as a module. */
type EngineModule = Pick<typeof import("./worker"), "serveEngine">;

/** Opens an engine; without a wish it lives in a worker if there are workers. */
export async function openHome(parts: Parts, worker: boolean | undefined): Promise<Home> {
  if (isA("ServiceWorkerGlobalScope")) {
    const remedy = "load the model in a page and send it messages; extensions have offscreen documents for that";
    throw makeError("unsupported", `service workers can start no workers and import no scripts: ${remedy}`);
  }
  if (worker ?? hasWorkers()) return inWorker(parts);
  return beside(parts);
}

function inWorker({ engine }: Parts): Home {
  if (!hasWorkers()) {
    const remedy = "leave the option worker out, and the model runs in this thread";
    throw makeError("unsupported", `no workers can be started here: ${remedy}`);
  }
  const worker = startWorker(engine, "engine");
  const endThreads = hostThreads(worker, engine);
  const end = (): void => {
    worker.terminate();
    endThreads();
  };
  return { link: connect(worker, end), end };
}

/** For those who have a worker of their own, or who do not mind. */
async function beside({ engine }: Parts): Promise<Home> {
  let module: EngineModule;
  try {
    // Bundlers are told to leave this to the browser (xtask/src/js.rs): the script was copied as it is.
    module = (await import(engine)) as EngineModule;
  } catch (e) {
    throw makeError("network", `${engine} could not be loaded: ${(e as Error).message}`, {}, e);
  }
  const { port1, port2 } = new MessageChannel();
  const stop = module.serveEngine(port1 as unknown as Port);
  const end = (): void => {
    stop();
    port1.close();
    port2.close();
  };
  return { link: connect(port2 as unknown as Port), end };
}
