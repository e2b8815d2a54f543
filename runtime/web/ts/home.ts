// Where the engine of a model is: in a worker of its own, or in the thread of the caller.

import { makeError, type GristmillError } from "./errors";
import { connect, type Link, type Port } from "./link";
import { ownFile } from "./own";
import type { Parts } from "./parts";
import { hasWorkers, isA, startWorker, type StartedWorker } from "./platform";
import type { Calls } from "./protocol";
import { hostThreads } from "./wasm/threads";
import { noWorkers, whyNoWorker } from "./why";

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
  let directive = "";
  const note = ({ effectiveDirective }: SecurityPolicyViolationEvent): void => {
    if (/^(worker|child|script|default)-src/.test(effectiveDirective)) directive = effectiveDirective;
  };
  const { document } = globalThis as { document?: Document };
  document?.addEventListener("securitypolicyviolation", note);
  const deaf = (): void => document?.removeEventListener("securitypolicyviolation", note);
  let worker: StartedWorker;
  try {
    worker = startWorker(engine, "engine");
  } catch (e) {
    deaf();
    // Safari's engine says at once that the policy does not allow it.
    throw (e as Error).name === "SecurityError" ? noWorkers("worker-src") : e;
  }
  const endThreads = hostThreads(worker, engine);
  const end = (): void => {
    deaf();
    worker.terminate();
    endThreads();
  };
  const whyNot = async (): Promise<GristmillError | null> => (directive ? noWorkers(directive) : whyNoWorker(engine));
  return { link: connect(worker, end, undefined, whyNot), end };
}

/** For those who have a worker of their own, or who do not mind. */
async function beside({ engine }: Parts): Promise<Home> {
  let module: EngineModule;
  try {
    // Bundlers are told to leave this to the browser (xtask/src/js.rs): the script was copied as it is.
    module = (await import(engine)) as EngineModule;
  } catch (e) {
    throw ownFile(engine, `cannot be loaded (${(e as Error).message})`, {}, e);
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
