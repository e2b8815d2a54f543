// What test pages have in common: the public interface, with results that can leave the page as JSON. Served as
// `test/client.js` beside a bundle.

import * as gristmill from "../runtime/gristmill.js";

let model = null;
const bundle = new URL("..", import.meta.url).href;
/** What executes the model if a case does not say: the runner's word, so that cases test what they mean to test. */
const usual = new URL(import.meta.url).searchParams.get("backend") ?? "auto";

/** The result of a function, or its error with everything that can be told about it. */
async function attempt(task) {
  try {
    return { ok: true, value: await task() };
  } catch (error) {
    const { name, message, code, details } = error;
    const typed = error instanceof gristmill.GristmillError;
    const told = { name, message, code: code ?? null, details: details ?? {}, typed, stack: error.stack };
    return { ok: false, error: told };
  }
}

/**
 * Loads the bundle; `abortAfter` ends that after so many bytes, `abortWithin` when something of the last so many bytes
 * is there; `tellWithin` then asks the server for `test/told`. Keeps the model for the functions below.
 */
function load({ abortAfter, abortWithin, tellWithin, ...options } = {}) {
  return attempt(async () => {
    const controller = new AbortController();
    const seen = { phases: [], events: 0, last: null };
    const onProgress = (progress) => {
      seen.events += 1;
      seen.last = progress;
      if (seen.phases.at(-1) !== progress.phase) seen.phases.push(progress.phase);
      if (abortAfter !== undefined && progress.loadedBytes >= abortAfter) controller.abort();
      // From this phase on, all weights count as needed.
      const { phase, loadedBytes, totalBytes } = progress;
      if (phase === "weights" && loadedBytes > totalBytes - abortWithin) controller.abort();
      if (phase === "weights" && loadedBytes > totalBytes - tellWithin) {
        tellWithin = undefined;
        void fetch(new URL("test/told", document.baseURI));
      }
    };
    const begin = performance.now();
    model = await gristmill.Model.load(bundle, { backend: usual, ...options, onProgress, signal: controller.signal });
    return { info: model.info(), memory: await model.memory(), ms: performance.now() - begin, ...seen };
  });
}

/**
 * Generates. `abortAt`: ends it by its signal at that piece, `abortBusy` while the model computes and receives no
 * messages; `breakAt`: leaves the loop there; `loseAt`: a list of pieces at which the device is lost; `disposeAt`: the one at
 * which the model is disposed of. `onPiece` is called at every piece.
 */
function generate(prompt, { abortAt, abortBusy, breakAt, disposeAt, loseAt = [], ...options } = {}, onPiece = () => {}) {
  return attempt(async () => {
    const controller = new AbortController();
    const begin = performance.now();
    const stream = model.generate(prompt, { ...options, signal: controller.signal });
    stream.result.catch(() => undefined);
    if (abortBusy) void busy().then(() => controller.abort());
    const pieces = [];
    let firstMs = null;
    for await (const piece of stream) {
      firstMs ??= performance.now() - begin;
      pieces.push(piece);
      onPiece();
      if (loseAt.includes(pieces.length)) await loseDevice();
      if (pieces.length === disposeAt) void model.dispose();
      if (pieces.length === abortAt) controller.abort();
      if (pieces.length === breakAt) break;
    }
    return { pieces, result: await stream.result, firstMs, memory: await model.memory() };
  });
}

/** Resolves when the model has answered nothing for a second, which it does in milliseconds unless it computes. */
async function busy() {
  const silence = () => new Promise((done) => setTimeout(() => done(true), 1000));
  const answer = () => model.memory().then(() => new Promise((done) => setTimeout(() => done(false), 20)));
  while (!(await Promise.race([answer(), silence()])));
}

/** Takes the device away from the runtime, by a door that is only there for tests. */
function loseDevice() {
  return model[Symbol.for("gristmill.loseDevice")]();
}

/** Vectors, in base64. */
function embed(texts, promptName) {
  return attempt(async () => (await model.embed(texts, { promptName: promptName ?? undefined })).map(encode));
}

/** An image beside the bundle, in one of the forms that the interface takes. */
async function image(address, form) {
  const url = new URL(address, bundle).href;
  if (form === "address") return url;
  if (form === "image") {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  }
  const blob = await (await fetch(url)).blob();
  if (form === "blob") return blob;
  const bitmap = await createImageBitmap(blob);
  if (form === "bitmap") return bitmap;
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Classes of an image, or of a text. */
function classify(address, form) {
  return attempt(async () => model.classify(form === "text" ? { text: address } : await image(address, form)));
}

/** Boxes in an image. */
function detect(address, options) {
  return attempt(() => model.detect(new URL(address, bundle), options));
}

/**
 * How well texts fit to the audio files in WAV files beside the bundle, as samples; or to the frames of a video, or to
 * those in files (`video`: by their address, `blob`).
 */
function compare(addresses, form, texts) {
  return attempt(async () => {
    const urls = addresses.map((address) => new URL(address, bundle).href);
    if (form === "frames") return model.compare([{ frames: urls }], texts);
    if (form === "video") return model.compare(urls.map((video) => ({ video })), texts);
    if (form === "blob") return model.compare([{ video: await (await fetch(urls[0])).blob() }], texts);
    // Decoded here, so that all browsers give the model the same numbers.
    const samples = async (url) => {
      const file = new DataView(await (await fetch(url)).arrayBuffer());
      const values = Array.from({ length: (file.byteLength - 44) / 2 }, (_, at) => file.getInt16(44 + 2 * at, true) / 32768);
      return { samples: Float32Array.from(values), rate: file.getUint32(24, true) };
    };
    return model.compare(await Promise.all(urls.map(samples)), texts);
  });
}

/** An audio file beside the bundle, in one of the forms that the interface takes; `rate` is that of plain samples. */
async function waveform(address, form, rate) {
  const url = new URL(address, bundle).href;
  if (form === "address") return url;
  const blob = await (await fetch(url)).blob();
  if (form === "blob") return blob;
  const bytes = await blob.arrayBuffer();
  if (form === "buffer") return bytes;
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  return form === "audio" ? buffer : { samples: buffer.getChannelData(0), rate };
}

/**
 * What is said in an audio file. `abortAt` ends it by its signal at that piece (0: before it begins), `loseAt` takes the
 * device away there.
 */
function transcribe(address, form, { abortAt, loseAt, rate = 16000, ...options } = {}) {
  return attempt(async () => {
    const audio = typeof form === "string" ? await waveform(address, form, rate) : address;
    const controller = new AbortController();
    if (abortAt === 0) controller.abort();
    const progress = [];
    const onProgress = (done, total) => progress.push([done, total]);
    const stream = model.transcribe(audio, { ...options, onProgress, signal: controller.signal });
    stream.result.catch(() => undefined);
    const pieces = [];
    for await (const piece of stream) {
      pieces.push(piece);
      if (pieces.length === loseAt) await loseDevice();
      if (pieces.length === abortAt) controller.abort();
    }
    // What was given can be given again.
    const left = audio instanceof ArrayBuffer ? audio.byteLength : (audio.samples?.length ?? 1);
    return { pieces, progress, left, result: await stream.result };
  });
}

/** Calls an entry with tensors whose data are in base64. */
function run(entry, inputs, options) {
  return attempt(async () => {
    const outputs = await model.run(entry, mapValues(inputs, decode), options);
    return mapValues(outputs, ({ data, shape }) => ({
      elem: data instanceof Int32Array ? "i32" : "f32",
      shape: Array.from(shape),
      data: encode(data),
    }));
  });
}

/** An OpenAI-style completion: the answer, or with `stream` all its chunks. */
function complete(request) {
  return attempt(async () => {
    const answer = await model.chat.completions.create(request);
    if (!request.stream) return answer;
    const chunks = [];
    for await (const chunk of answer) chunks.push(chunk);
    return chunks;
  });
}

const memory = () => attempt(() => model.memory());
const info = () => attempt(() => model.info());
const dispose = () => attempt(() => model.dispose());

function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function decode({ elem, shape, data }) {
  const { buffer } = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  return { shape, data: elem === "i32" ? new Int32Array(buffer) : new Float32Array(buffer) };
}

function encode(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** Collects tasks of the main thread over 50 ms; and its longest time without a turn, which every browser tells. */
const longTasks = [];
const pauses = { longest: 0 };
function watchLongTasks() {
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    pauses.longest = Math.max(pauses.longest, now - last);
    last = now;
  }, 5);
  if (!PerformanceObserver.supportedEntryTypes.includes("longtask")) return;
  const plain = ({ startTime, duration }) => ({ startTime, duration });
  const note = (list) => longTasks.push(...list.getEntries().map(plain));
  new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
}

window.test = { load, generate, embed, classify, detect, compare, transcribe, run, complete, memory, info, dispose, loseDevice, watchLongTasks, longTasks, pauses };
