/** The files of a model. Paths are relative to its directory, with `/` between their parts. */
export interface ModelFiles {
  /** What the model is called, and what its paths begin with in messages: the name of its directory. */
  readonly name: string;
  /** The GGUF file that is the model, unless that is a directory as Hugging Face has them. */
  readonly file?: string;
  /** The names of the files in a folder (`""` is the directory itself); undefined if there is no such folder. */
  list(folder: string): string[] | undefined;
  /** The size of a file in bytes; undefined if there is no such file. */
  size(path: string): number | undefined;
  /** So many bytes of a file, from `offset` on. */
  read(path: string, offset: number, length: number): Uint8Array;
}

/** Takes the files of a bundle. `manifest.json` comes last: without it they are no bundle. */
export interface BundleFiles {
  /** Adds a file. The bytes are a copy. */
  add(path: string, content: Uint8Array): void;
  /** Appends to the file that is being written, which has no name yet; begins it if there is none. */
  append(content: Uint8Array): void;
  /** Ends that file and gives it its name, which an equal one may have already. */
  name(path: string): void;
}

/** Is told about long work. */
export interface CompileProgress {
  /** A stage begins: `reading`, `preparing`, `kernels for native`, `weights`, `finishing`. */
  stage(name: string): void;
  /** Bytes of the weight stream made so far. */
  bytes(done: number, total: number): void;
  /** Something in the model has no effect, or another one than its author may expect. */
  warning(text: string): void;
  /** Something that a model may have is missing. */
  note(text: string): void;
}

/** As the options of `gristmill compile`. */
export interface CompileOptions {
  precision?: string;
  group?: 16 | 32 | 64 | 128;
  asymmetric?: boolean;
  kv?: "f32" | "f16";
  targets?: string[];
  maxContext?: number;
  allowUnused?: boolean;
}

/** What was compiled. */
export interface CompileReport {
  /** Whether a browser is among the targets. */
  browser: boolean;
  /** Sizes and errors of the weights. */
  weights: { weights: number; bytes: number; payload_bits: number; real_bits: number; tensors: object[] };
  /** Number of distinct kernels, by target. */
  kernels: Record<string, number>;
  /** Number of dispatches of each entry of the first target. */
  dispatches: Record<string, number>;
  warnings: string[];
}
