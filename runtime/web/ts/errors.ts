// Errors with a type and a code, which survive the way out of a worker.

/** What went wrong, for programs. */
export type ErrorCode =
  | "no-webgpu"
  | "no-wasm"
  | "blocked"
  | "runtime"
  | "limit"
  | "out-of-memory"
  | "device-lost"
  | "integrity"
  | "network"
  | "bundle"
  | "input"
  | "unsupported"
  | "aborted"
  | "internal";

/** Further facts of an error, by its code. */
export interface ErrorDetails {
  /** Path in the bundle: `integrity`, `network`, `bundle`. Address of a script or module: `runtime`. */
  file?: string;
  /** HTTP status, if there was an answer: `network`, `runtime`. */
  status?: number;
  /**
   * The tensor, state or kernel that needs it: `limit`, `out-of-memory`. The directive of the page's policy: `blocked`. What is
   * missing, `WebAssembly` or `SIMD`: `no-wasm`.
   */
  what?: string;
  /** WebGPU name of the limit: `limit`. `maxContext` if more tokens were given than fit: `input`. */
  limit?: string;
  /** Amount needed and amount offered: `limit`, and `input` where it has a limit. */
  needed?: number;
  offered?: number;
}

/** Base of all errors of this package. */
export class GristmillError extends Error {
  override name = "GristmillError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/** The browser offers no WebGPU, or no adapter. */
export class NoWebGPUError extends GristmillError {
  override name = "NoWebGPUError";
}
/** The browser has no WebAssembly, or none with what the model needs. */
export class NoWasmError extends GristmillError {
  override name = "NoWasmError";
}
/** The page's Content-Security-Policy forbids what the runtime does; `details.what` is the directive. */
export class BlockedError extends GristmillError {
  override name = "BlockedError";
}
/** A file of the runtime itself is not where it should be, or not what it should be: mostly a bundler's doing. */
export class RuntimeFileError extends GristmillError {
  override name = "RuntimeFileError";
}
/** A limit of the device is too small; `details` says which, and for what. */
export class LimitError extends GristmillError {
  override name = "LimitError";
}
/** The device has no memory left. */
export class OutOfMemoryError extends GristmillError {
  override name = "OutOfMemoryError";
}
/** The device went away, and could not be replaced. */
export class DeviceLostError extends GristmillError {
  override name = "DeviceLostError";
}
/** A file is not what the manifest says. */
export class IntegrityError extends GristmillError {
  override name = "IntegrityError";
}
/** A file could not be fetched. */
export class NetworkError extends GristmillError {
  override name = "NetworkError";
}
/** The caller ended it. Its name is that of the platform's own, so that handlers of those know it. */
export class AbortedError extends GristmillError {
  override name = "AbortError";
}

const CLASSES: Partial<Record<ErrorCode, typeof GristmillError>> = {
  "no-webgpu": NoWebGPUError,
  "no-wasm": NoWasmError,
  blocked: BlockedError,
  runtime: RuntimeFileError,
  limit: LimitError,
  "out-of-memory": OutOfMemoryError,
  "device-lost": DeviceLostError,
  integrity: IntegrityError,
  network: NetworkError,
  aborted: AbortedError,
};

/** An error as plain data, for messages between threads. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}

/** The error of a code, as an instance of its class. */
export function makeError(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown): GristmillError {
  return new (CLASSES[code] ?? GristmillError)(code, message, details, cause);
}

/** Whatever was thrown, as one of ours. */
export function asError(thrown: unknown): GristmillError {
  if (thrown instanceof GristmillError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return aborted();
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return makeError("internal", message, {}, thrown);
}

/** An error as data. */
export function toPlain(thrown: unknown): PlainError {
  const { code, message, details } = asError(thrown);
  return { code, message, details };
}

/** An error from data. */
export function fromPlain(plain: PlainError): GristmillError {
  return makeError(plain.code, plain.message, plain.details);
}

/** The caller ended it. */
export function aborted(): GristmillError {
  return makeError("aborted", "aborted by the caller");
}
