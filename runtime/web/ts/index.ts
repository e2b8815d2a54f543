// gristmill in the browser: loads a bundle and runs it.

export { Model, deleteStored, storedBundles, type Generation, type Transcription, type Writing } from "./model";
export { chat } from "./chat";
export type * from "./chat";
export type * from "./api";
export {
  GristmillError,
  NoWebGPUError,
  NoWasmError,
  BlockedError,
  RuntimeFileError,
  LimitError,
  OutOfMemoryError,
  DeviceLostError,
  IntegrityError,
  NetworkError,
  AbortedError,
  type ErrorCode,
  type ErrorDetails,
} from "./errors";
