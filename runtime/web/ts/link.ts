// Calls over a message port: results, ordered streams, events, aborts and errors between the page and its worker.

import { fromPlain, makeError, toPlain, type GristmillError, type PlainError } from "./errors";

/** What a call takes and brings, for the types of both ends. */
export interface CallShape {
  args: unknown;
  result: unknown;
  /** What the other end may report meanwhile, in order. */
  event?: unknown;
}

/** The calls of an interface: `interface Calls { load: { args: ..; result: ..; event: .. } }`. */
export type Shapes<C> = { [K in keyof C]: CallShape };
type EventOf<S> = S extends { event: infer E } ? E : never;

/** A Worker, a MessagePort, or a worker's own global scope. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  removeEventListener(type: string, listener: (event: Event) => void): void;
  /** Message ports deliver nothing before. */
  start?(): void;
}

/** What a handler has besides its arguments. */
export interface CallContext<E> {
  /** Aborted when the caller aborts. */
  signal: AbortSignal;
  /** Reports something to the caller. */
  emit(event: E, transfer?: Transferable[]): void;
  /** Hands these over with the result instead of copying them. */
  transfer(objects: Transferable[]): void;
}

/** The functions behind the calls. */
export type Handlers<C extends Shapes<C>> = {
  [K in keyof C]: (args: C[K]["args"], context: CallContext<EventOf<C[K]>>) => Promise<C[K]["result"]>;
};

/** How a call is made. */
export interface CallOptions<E> {
  /** Passed on to the handler, which decides what an abort means; the call ends when the handler does. */
  signal?: AbortSignal | undefined;
  onEvent?: ((event: E) => void) | undefined;
  /** Handed over with the arguments instead of being copied. */
  transfer?: Transferable[] | undefined;
}

/** A stream of the events of a call. Leaving it early aborts the call. */
export interface Stream<E, R> extends AsyncIterable<E> {
  /** What the call brought. Rejections are reported by the iteration as well, and need no handler here. */
  result: Promise<R>;
}

/** The calling end. */
export interface Link<C extends Shapes<C>> {
  call<K extends keyof C & string>(
    name: K,
    args: C[K]["args"],
    options?: CallOptions<EventOf<C[K]>>,
  ): Promise<C[K]["result"]>;
  stream<K extends keyof C & string>(
    name: K,
    args: C[K]["args"],
    options?: Omit<CallOptions<EventOf<C[K]>>, "onEvent">,
  ): Stream<EventOf<C[K]>, C[K]["result"]>;
  /** Rejects all calls, now and later, with this error. */
  close(reason: GristmillError): void;
}

type Request = { gristmill: "call"; id: number; name: string; args: unknown } | { gristmill: "abort"; id: number };
type Reply =
  | { gristmill: "event"; id: number; event: unknown }
  | { gristmill: "received"; id: number }
  | { gristmill: "result"; id: number; result: unknown }
  | { gristmill: "error"; id: number; error: PlainError };

/** Answers the calls that come through a port, until the function that it gives is called. */
export function serve<C extends Shapes<C>>(port: Port, handlers: Handlers<C>): () => void {
  const running = new Map<number, AbortController>();
  const post = (reply: Reply, transfer: Transferable[] = []): void => port.postMessage(reply, transfer);
  const run = async (id: number, name: string, args: unknown): Promise<void> => {
    const stop = new AbortController();
    running.set(id, stop);
    const objects: Transferable[] = [];
    const context: CallContext<unknown> = {
      signal: stop.signal,
      emit: (event, transfer) => post({ gristmill: "event", id, event }, transfer),
      transfer: (more) => void objects.push(...more),
    };
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name as keyof C] : undefined;
      if (!handler) throw makeError("internal", `unknown call ${name}; page and worker have different versions`);
      const result = await handler(args, context as CallContext<never>);
      // A result that cannot be copied is an error of the call, too.
      post({ gristmill: "result", id, result }, objects);
    } catch (e) {
      post({ gristmill: "error", id, error: toPlain(e) });
    } finally {
      running.delete(id);
    }
  };
  const listener = (event: Event): void => {
    const request = (event as MessageEvent<Request | null>).data;
    if (request?.gristmill === "call") void run(request.id, request.name, request.args);
    else if (request?.gristmill === "abort") {
      post({ gristmill: "received", id: request.id });
      running.get(request.id)?.abort();
    }
  };
  port.addEventListener("message", listener);
  port.start?.();
  return () => {
    port.removeEventListener("message", listener);
    for (const stop of running.values()) stop.abort();
  };
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: GristmillError): void;
  onEvent: (event: unknown) => void;
  /** Ends when the other end receives an abort. */
  unanswered?: ReturnType<typeof setTimeout>;
}

/** The other end looks at messages between kernels. One that receives no abort for so long is in an endless loop. */
const PATIENCE_MS = 20_000;

/**
 * Makes calls through a port. If the other end dies, all of them reject; also if it does not respond to an abort, and then
 * `onStuck` is to end it. `whyNot` finds out why an end never began, if that can be found out.
 */
export function connect<C extends Shapes<C>>(
  port: Port,
  onStuck = (): void => {},
  patience = PATIENCE_MS,
  whyNot = (): Promise<GristmillError | null> => Promise.resolve(null),
): Link<C> {
  const pending = new Map<number, Pending>();
  let next = 0;
  let dead: GristmillError | null = null;
  let answered = false;

  const close = (reason: GristmillError): void => {
    dead ??= reason;
    for (const [type, listener] of listeners) port.removeEventListener(type, listener);
    for (const call of pending.values()) call.reject(dead);
    pending.clear();
  };
  const stuck = (): void => {
    const seconds = patience / 1000;
    close(makeError("aborted", `the model did not respond within ${seconds} s and was ended; load it again`));
    onStuck();
  };
  const onMessage = (event: Event): void => {
    answered = true;
    const reply = (event as MessageEvent<Reply | null>).data;
    const call = reply && pending.get(reply.id);
    if (!call) return;
    if (reply.gristmill === "event") return call.onEvent(reply.event);
    if (reply.gristmill === "received") return clearTimeout(call.unanswered);
    pending.delete(reply.id);
    if (reply.gristmill === "result") call.resolve(reply.result);
    else call.reject(fromPlain(reply.error));
  };
  const onError = (event: Event): void => {
    // A script that could not be loaded gives an event without a message.
    const { message } = event as Partial<ErrorEvent>;
    const why = message || "its script could not be loaded or run";
    const failed = makeError("internal", `the model's worker failed: ${why}`);
    if (answered || message) close(failed);
    else void whyNot().then((found) => close(found ?? failed), () => close(failed));
  };
  const onGarbled = (): void => close(makeError("internal", "a message between page and worker could not be read"));
  const onClose = (): void => close(makeError("internal", "the model's worker has ended"));
  const listeners = [
    ["message", onMessage],
    ["error", onError],
    ["messageerror", onGarbled],
    ["close", onClose],
  ] as const;
  for (const [type, listener] of listeners) port.addEventListener(type, listener);
  port.start?.();

  const call: Link<C>["call"] = (name, args, options = {}) => {
    const { signal, onEvent, transfer = [] } = options;
    return new Promise<unknown>((resolve, reject) => {
      if (dead) return reject(dead);
      const id = next++;
      port.postMessage({ gristmill: "call", id, name, args } satisfies Request, transfer);
      const abort = (): void => {
        if (!pending.has(id)) return;
        port.postMessage({ gristmill: "abort", id } satisfies Request, []);
        waiting.unanswered = setTimeout(stuck, patience);
      };
      const done = (): void => {
        signal?.removeEventListener("abort", abort);
        clearTimeout(waiting.unanswered);
      };
      const waiting: Pending = {
        resolve: (result) => (done(), resolve(result)),
        reject: (error) => (done(), reject(error)),
        onEvent: (onEvent as ((event: unknown) => void) | undefined) ?? (() => {}),
      };
      pending.set(id, waiting);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) abort();
    });
  };
  const stream: Link<C>["stream"] = (name, args, options = {}) =>
    streamOf((signal, onEvent) => call(name, args, { ...options, signal, onEvent }), options.signal);
  return { call, close, stream };
}

/** The events of a call as an iteration. The signal that `start` gets is aborted by `signal`, and at an early end. */
export function streamOf<E, R>(
  start: (signal: AbortSignal, onEvent: (event: E) => void) => Promise<R>,
  signal?: AbortSignal,
): Stream<E, R> {
  const queue: E[] = [];
  let wake = (): void => {};
  let ended = false;
  const stop = new AbortController();
  const forward = (): void => stop.abort();
  signal?.addEventListener("abort", forward);
  if (signal?.aborted) forward();
  const onEvent = (event: E): void => {
    queue.push(event);
    wake();
  };
  const result = start(stop.signal, onEvent).finally(() => {
    ended = true;
    signal?.removeEventListener("abort", forward);
    wake();
  });
  result.catch(() => {});
  async function* iterate(): AsyncGenerator<E, void> {
    try {
      for (;;) {
        while (queue.length > 0) yield queue.shift() as E;
        if (ended) break;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      await result;
    } finally {
      stop.abort();
    }
  }
  const iterator = leaving(iterate(), () => stop.abort());
  return { result, [Symbol.asyncIterator]: () => iterator };
}

/**
 * A generator that can be left while it waits for its next value: `leave` is to end the waiting. By itself a generator
 * looks at nothing before that value is there.
 */
export function leaving<T>(generator: AsyncGenerator<T, void>, leave: () => void): AsyncIterator<T, void> {
  return {
    next: () => generator.next(),
    return: () => {
      leave();
      return generator.return();
    },
  };
}
