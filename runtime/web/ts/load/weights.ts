// Weights straight from shards into buffers of the device.
//
// Nothing here keeps a copy of the model: a shard is let go as soon as its bytes are in the buffers' mapped memory, and
// a buffer is unmapped as soon as it is complete.

import { aborted, makeError } from "../errors";
import type { FileRef, Source } from "./contract";

/** Bytes of a shard that belong to a tensor. */
export interface Piece {
  /** Index of the tensor. */
  tensor: number;
  /** Where the bytes go in the tensor. */
  offset: number;
  /** The bytes in the shard: from `begin` up to `end`, without it. */
  begin: number;
  end: number;
}

/** A tensor to load. */
export interface WeightTensor {
  bytes: number;
  /** Name for errors and debuggers. */
  label: string;
}

/** What loading needs of a device. */
export interface WeightDevice {
  /** A storage buffer of at least so many bytes, mapped as a whole. Rejects if there is no memory. */
  createMapped(label: string, bytes: number): Promise<GPUBuffer>;
  /** A storage buffer that `write` can fill. Rejects if there is no memory. */
  create(label: string, bytes: number): Promise<GPUBuffer>;
  /** Writes to a buffer of `create`. The content may be changed as soon as this resolves. */
  write(buffer: GPUBuffer, offset: number, content: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** What to fetch, and from where. */
export interface StreamOptions {
  source: Source;
  /** In the order of the stream of weights. */
  shards: FileRef[];
  /** The pieces of each shard. Each byte of each tensor must be in exactly one. */
  pieces: Piece[][];
  tensors: WeightTensor[];
  /** Most shards that are fetched at a time. Default: 4. */
  inFlight?: number | undefined;
  /** Most bytes of shards in memory at a time, unless a single one has more. Default: 128 MiB. */
  inFlightBytes?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What to load into buffers of a GPU. */
export interface WeightOptions extends StreamOptions {
  device: WeightDevice;
  /** Larger tensors are written piece by piece instead of being mapped. Default: 256 MiB. */
  mapBytes?: number | undefined;
}

const MIB = 1 << 20;

/** A tensor that is being filled. */
interface Slot {
  buffer: Promise<GPUBuffer> | null;
  mapped: Uint8Array<ArrayBuffer> | null;
  left: number;
}

/** Loads all tensors; the buffers are in their order. After a failure or an abort no buffer is left. */
export async function loadWeights(options: WeightOptions): Promise<GPUBuffer[]> {
  const { device, tensors, signal } = options;
  const mapBytes = options.mapBytes ?? 256 * MIB;
  check(options);
  checkWords(options, mapBytes);
  if (signal?.aborted) throw aborted();
  const slots: Slot[] = tensors.map((tensor) => ({ buffer: null, mapped: null, left: tensor.bytes }));

  const open = (index: number): Promise<GPUBuffer> => {
    const { label, bytes } = at(tensors, index);
    const slot = at(slots, index);
    slot.buffer ??= bytes > mapBytes ? device.create(label, bytes) : device.createMapped(label, bytes);
    return slot.buffer;
  };
  const place = async (piece: Piece, shard: Uint8Array<ArrayBuffer>): Promise<void> => {
    const slot = at(slots, piece.tensor);
    const buffer = await open(piece.tensor);
    const content = shard.subarray(piece.begin, piece.end);
    if (at(tensors, piece.tensor).bytes > mapBytes) {
      await device.write(buffer, piece.offset, content);
    } else {
      slot.mapped ??= new Uint8Array(buffer.getMappedRange());
      slot.mapped.set(content, piece.offset);
    }
    slot.left -= content.length;
    if (slot.left > 0 || !slot.mapped) return;
    slot.mapped = null;
    buffer.unmap();
  };

  try {
    await eachShard(options, place);
    for (const [index, tensor] of tensors.entries()) {
      if (tensor.bytes === 0) (await open(index)).unmap();
    }
    return await Promise.all(slots.map((_, index) => open(index)));
  } catch (e) {
    // Every creation under way is waited for, so that none is left over.
    const made = await Promise.allSettled(slots.map((slot) => slot.buffer));
    for (const result of made) if (result.status === "fulfilled") result.value?.destroy();
    throw e;
  }
}

/** Loads all tensors into memory of the caller: `place` copies a part of a tensor to where it belongs. */
export async function placeWeights(
  options: StreamOptions,
  place: (tensor: number, offset: number, content: Uint8Array) => void,
): Promise<void> {
  check(options);
  if (options.signal?.aborted) throw aborted();
  await eachShard(options, async ({ tensor, offset, begin, end }, shard) => {
    place(tensor, offset, shard.subarray(begin, end));
  });
}

/** Fetches the shards, a bounded number at a time, and places their pieces as they arrive. */
async function eachShard(
  options: StreamOptions,
  place: (piece: Piece, shard: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  const { source, shards, pieces, inFlight = 4, inFlightBytes = 128 * MIB } = options;
  // One failure ends the others.
  const stop = new AbortController();
  const forward = (): void => stop.abort();
  options.signal?.addEventListener("abort", forward);
  const failures: unknown[] = [];
  const active = new Set<Promise<void>>();
  let bytes = 0;
  const load = async (index: number): Promise<void> => {
    const ref = at(shards, index);
    try {
      const shard = await source.file(ref, stop.signal);
      for (const piece of at(pieces, index)) {
        if (stop.signal.aborted) throw aborted();
        await place(piece, shard);
      }
    } catch (e) {
      failures.push(e);
      stop.abort();
    }
    bytes -= ref.bytes;
  };
  try {
    for (const [index, ref] of shards.entries()) {
      while (active.size > 0 && (active.size >= inFlight || bytes + ref.bytes > inFlightBytes)) {
        await Promise.race(active);
      }
      if (stop.signal.aborted) break;
      bytes += ref.bytes;
      const task = load(index).then(() => void active.delete(task));
      active.add(task);
    }
    await Promise.all(active);
  } finally {
    options.signal?.removeEventListener("abort", forward);
  }
  if (failures.length > 0) throw failures[0];
  if (options.signal?.aborted) throw aborted();
}

/** Rejects pieces that lie outside of their shard or tensor, and tensors that they do not cover exactly. */
function check(options: StreamOptions): void {
  const { shards, pieces, tensors } = options;
  const fail = (message: string, file?: string): never => {
    throw makeError("bundle", `weights: ${message}`, file === undefined ? {} : { file });
  };
  if (pieces.length !== shards.length) fail(`expected pieces for ${shards.length} shards, found ${pieces.length}`);
  const parts: Piece[][] = tensors.map(() => []);
  for (const [index, shard] of shards.entries()) {
    for (const piece of at(pieces, index)) {
      const { begin, end, offset } = piece;
      const whole = [begin, end, offset].every((n) => Number.isSafeInteger(n) && n >= 0);
      const part = parts[piece.tensor];
      if (!whole || begin >= end || end > shard.bytes || !part) {
        fail(`bytes ${begin} to ${end} of tensor ${piece.tensor} are not in ${shard.path}`, shard.path);
      }
      part?.push(piece);
    }
  }
  for (const [index, { bytes, label }] of tensors.entries()) {
    let filled = 0;
    for (const { begin, end, offset } of at(parts, index).sort((a, b) => a.offset - b.offset)) {
      if (offset !== filled) fail(`${label}: expected bytes from ${filled}, found bytes from ${offset}`);
      filled += end - begin;
    }
    if (filled !== bytes) fail(`${label}: expected ${bytes} bytes, found ${filled}`);
  }
}

/** Rejects pieces of tensors that are written piece by piece if they do not consist of words, which devices write. */
function checkWords({ pieces, tensors }: WeightOptions, mapBytes: number): void {
  for (const { tensor, offset, begin, end } of pieces.flat()) {
    const { bytes, label } = at(tensors, tensor);
    if (bytes > mapBytes && (offset % 4 !== 0 || (end - begin) % 4 !== 0)) {
      throw makeError("bundle", `weights: ${label}: cut in the middle of a word`);
    }
  }
}

/** An element that is known to exist. */
function at<T>(list: T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw makeError("internal", `no element ${index} of ${list.length}`);
  return found;
}
