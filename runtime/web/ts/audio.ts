// Audio files in whatever form the caller has them, as samples of one channel that can be sent to a worker.

import type { AudioSource, DecodedAudio, Samples } from "./api";
import { GristmillError, makeError } from "./errors";
import { fetchFile, type Files } from "./fetched";

/**
 * Samples at the rate of the model, which belong to whoever asked. The runtime reads WAV files, the browser all others;
 * that needs a page: workers decode no audio.
 */
export async function takeAudio(
  source: AudioSource,
  rate: number,
  files: Files,
  signal?: AbortSignal,
): Promise<Float32Array> {
  if (isSamples(source)) return atRate(source, rate);
  if (typeof AudioBuffer !== "undefined" && source instanceof AudioBuffer) {
    return atRate({ samples: mixed(source), rate: source.sampleRate }, rate);
  }
  const file =
    typeof source === "string" || source instanceof URL ? await fetchFile("audio file", source, signal) : source;
  if (!(file instanceof Blob) && !(file instanceof ArrayBuffer)) {
    const forms = "a file as Blob or ArrayBuffer, its address, an AudioBuffer, or { samples, rate }";
    throw makeError("input", `audio: expected ${forms}, found something else`);
  }
  const blob = file instanceof Blob ? file : new Blob([file]);
  const read = await files.readAudio(blob);
  if (read) {
    if (read.warning !== null) console.warn(`gristmill: ${read.warning}`);
    return atRate(read, rate);
  }
  const bytes = await blob.arrayBuffer();
  try {
    return mixed(await decode(bytes, rate));
  } catch (e) {
    throw await named(e, blob, files);
  }
}

/** An error that says what the file is, if that is known. */
async function named(thrown: unknown, file: Blob, files: Files): Promise<unknown> {
  const kind = thrown instanceof GristmillError && thrown.code === "input" ? await files.kindOf(file) : null;
  if (kind === null) return thrown;
  const message = `${(thrown as Error).message}; this is ${kind}: convert it to WAV or MP3`;
  return makeError("input", message, {}, thrown);
}

function isSamples(source: AudioSource): source is Samples {
  return typeof source === "object" && "samples" in source && source.samples instanceof Float32Array;
}

/** Decodes a file; the browser brings it to the rate on the way. */
async function decode(file: ArrayBuffer, rate: number): Promise<AudioBuffer> {
  if (typeof OfflineAudioContext === "undefined") {
    const remedy = `decode it in a page, or pass { samples, rate } with a rate of ${rate}`;
    throw makeError("unsupported", `audio files cannot be decoded here (workers have no decoders): ${remedy}`);
  }
  const size = file.byteLength;
  try {
    return await new OfflineAudioContext(1, 1, rate).decodeAudioData(file);
  } catch (e) {
    const kinds = "a format that this browser plays, such as WAV, MP3, AAC or Ogg";
    throw makeError("input", `the audio file (${size} bytes) cannot be decoded; expected ${kinds}`, {}, e);
  }
}

/** The mean of all channels. */
function mixed(buffer: DecodedAudio): Float32Array {
  const { length, numberOfChannels } = buffer;
  const samples = new Float32Array(length);
  for (let channel = 0; channel < numberOfChannels; channel++) {
    const own = buffer.getChannelData(channel);
    for (let at = 0; at < length; at++) samples[at] = (samples[at] ?? 0) + (own[at] ?? 0) / numberOfChannels;
  }
  return samples;
}

/** A copy with another rate, made by the browser's decoder: playing a buffer at another rate would not filter it. */
async function atRate({ samples, rate: own }: Samples, rate: number): Promise<Float32Array> {
  if (!Number.isInteger(own) || own < 1) {
    throw makeError("input", `rate: expected a whole number of samples per second, found ${String(own)}`);
  }
  if (own === rate || samples.length === 0) return samples.slice();
  return mixed(await decode(wave(samples, own), rate));
}

/** A WAV file of one channel in floats. */
function wave(samples: Float32Array, rate: number): ArrayBuffer {
  const bytes = 4 * samples.length;
  const file = new DataView(new ArrayBuffer(44 + bytes));
  const word = (at: number, text: string): void =>
    [...text].forEach((letter, index) => file.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  file.setUint32(4, 36 + bytes, true);
  word(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  // Floats, one channel of them.
  file.setUint16(20, 3, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, rate, true);
  file.setUint32(28, 4 * rate, true);
  file.setUint16(32, 4, true);
  file.setUint16(34, 32, true);
  word(36, "data");
  file.setUint32(40, bytes, true);
  samples.forEach((sample, index) => file.setFloat32(44 + 4 * index, sample, true));
  return file.buffer as ArrayBuffer;
}
