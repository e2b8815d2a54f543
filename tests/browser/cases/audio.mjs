// Audio files in the browser: transcripts equal those of the native runtime.

/** Forms of an audio file. */
const FORMS = ["address", "blob", "buffer", "audio", "samples"];

const KINDS = ["seq2seq", "ctc"];

function bundleOf(t, name) {
  const bundle = t.bundles.find((one) => one.name === name);
  t.assert.ok(bundle?.transcribe.length > 0, `no audio files are expected of "${name}"; make the bundles again`);
  return bundle;
}

/** The audio files of expectations, as a server takes them. */
const files = (list) =>
  Object.fromEntries(list.map(({ name, wav }) => [`test/${name}.wav`, Buffer.from(wav, "base64")]));

/** An audio file that a tiny model needs a while for: another one, over and over. */
function repeated(wav, times) {
  const [head, samples] = [Buffer.from(wav.subarray(0, 44)), wav.subarray(44)];
  const bytes = times * samples.length;
  head.writeUInt32LE(36 + bytes, 4);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, ...Array(times).fill(samples)]);
}

/** A blank page with a model, and its audio files beside it. */
async function opened(t, name) {
  const bundle = bundleOf(t, name);
  const waveforms = files(bundle.transcribe);
  const long = waveforms["test/long.wav"];
  const longer = long && { "test/longer.wav": repeated(long, 8), "test/endless.wav": repeated(long, 60) };
  const extra = { ...waveforms, ...longer, "test/note.txt": "no audio file" };
  const { page, loaded } = await t.loaded(bundle, {}, { extra });
  return { bundle, page, loaded, said: (wanted) => bundle.transcribe.find((one) => one.name === wanted) };
}

export default [
  ...KINDS.map((kind) => ({
    name: `a ${kind} transcribes as it does natively`,
    wasm: true,
    async run(t) {
      const { bundle, page, loaded } = await opened(t, kind);
      t.assert.deepEqual(loaded.info.tasks, ["transcribe", "run"]);
      for (const { name, maxNewTokens, text, segments, wish, choices } of bundle.transcribe) {
        for (const form of FORMS) {
          const outcome = t.ok(await t.call(page, "transcribe", `test/${name}.wav`, form, { maxNewTokens, ...wish }));
          const { pieces, progress, left, result } = outcome;
          t.assert.deepEqual(result.segments, segments, `${name} as ${form}`);
          t.assert.equal(result.text, text);
          t.assert.deepEqual(result.choices, choices);
          t.assert.equal(pieces.join(""), text, "the pieces are the text");
          const { end } = segments.at(-1);
          t.assert.deepEqual(progress, segments.map(({ start }) => [start, end]));
          t.assert.ok(left > 0, "the audio file is still the caller's");
        }
      }
      t.assert.ok(bundle.transcribe[0].text.length > 1, "something is said");
    },
  })),
  {
    name: "WAV files of programs that cannot go back are read",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, "ctc");
      const [{ name, wav, text }] = bundle.transcribe;
      const whole = Buffer.from(wav, "base64");
      const sized = (size) => {
        const file = Buffer.from(whole);
        for (const at of [4, whole.indexOf("data") + 4]) file.writeUInt32LE(size, at);
        return file;
      };
      const odd = Buffer.concat([whole.subarray(0, 12), Buffer.from("note\x03\0\0\0abc\0", "latin1"), whole.subarray(12)]);
      const cut = whole.subarray(0, whole.length - 7);
      const extra = { "test/piped.wav": sized(0xffffffff), "test/unsized.wav": sized(0), "test/odd.wav": odd, "test/cut.wav": cut };
      const { page } = await t.loaded(bundle, {}, { extra });
      const said = async (file) => t.ok(await t.call(page, "transcribe", `test/${file}.wav`, "blob", {})).result;
      for (const file of ["piped", "unsized", "odd"]) t.assert.equal((await said(file)).text, text, `${name}: ${file}`);
      // What is there is used, without the half of a 16-bit sample.
      const { segments } = await said("cut");
      t.assert.equal(Math.round(segments.at(-1).end * 16000), Math.floor((cut.length - whole.indexOf("data") - 8) / 2));
    },
  },
  {
    name: "other sample rates work, too",
    wasm: true,
    async run(t) {
      const { page, said } = await opened(t, "seq2seq");
      const { maxNewTokens, segments } = said("long");
      for (const form of ["audio", "samples"]) {
        const options = { maxNewTokens, rate: 44100 };
        const { result } = t.ok(await t.call(page, "transcribe", "test/long.wav", form, options));
        t.assert.equal(result.segments.length, segments.length);
        const off = Math.abs(result.segments.at(-1).end - segments.at(-1).end);
        t.assert.ok(off < 0.01, `the audio file is ${off} s longer or shorter`);
      }
    },
  },
  {
    name: "whoever listens can end it",
    wasm: true,
    async run(t) {
      const { page, said } = await opened(t, "seq2seq");
      const { maxNewTokens, text, segments } = said("long");
      const call = (name, options) => t.call(page, "transcribe", `test/${name}.wav`, "blob", { maxNewTokens, ...options });
      const before = t.ok(await call("long", { abortAt: 0 }));
      t.assert.deepEqual([before.result.text, before.result.reason, before.pieces], ["", "aborted", []]);
      const { result, pieces } = t.ok(await call("endless", { abortAt: 2 }));
      t.assert.equal(result.reason, "aborted");
      t.assert.ok(pieces.length >= 2 && result.segments.length < 60 * (segments.length - 1), "it ended early");
      const [first] = segments;
      const right = result.text.startsWith(first.text) || first.text.startsWith(result.text);
      t.assert.ok(right, "what there is, is right");
      t.assert.equal(t.ok(await call("long")).result.text, text, "the next one is not disturbed");
    },
  },
  {
    name: "it goes on when the device is lost",
    async run(t) {
      const { page, said } = await opened(t, "seq2seq");
      const { maxNewTokens, text, segments } = said("long");
      // So long that it does not end before the loss is noticed.
      const write = async (options) => t.ok(await t.call(page, "transcribe", "test/longer.wav", "blob", options));
      const calm = (await write({ maxNewTokens })).result;
      t.assert.deepEqual(calm.segments.slice(0, segments.length - 1), segments.slice(0, -1));
      t.assert.ok(calm.text.length > text.length);
      const { result, pieces } = await write({ maxNewTokens, loseAt: 3 });
      t.assert.deepEqual([result.text, result.segments, pieces.join("")], [calm.text, calm.segments, calm.text]);
      t.assert.equal(result.recoveries, 1);
    },
  },
  {
    name: "what cannot be chosen is named",
    wasm: true,
    async run(t) {
      const { page, loaded } = await opened(t, "seq2seq");
      const { task } = loaded.info.entries.find((entry) => entry.task);
      t.assert.deepEqual(task.choices, [
        { name: "language", values: ["de", "en", "fr"], default: null },
        { name: "task", values: ["transcribe", "translate"], default: "transcribe" },
      ]);
      const unknown = await t.call(page, "transcribe", "test/word.wav", "blob", { language: "xx" });
      t.assert.match(t.failed(unknown, "input").message, /language.*one of de, en, fr/);
      const ctc = await opened(t, "ctc");
      const none = await t.call(ctc.page, "transcribe", "test/word.wav", "blob", { task: "translate" });
      t.assert.match(t.failed(none, "unsupported").message, /task: this model has no such choice/);
    },
  },
  {
    name: "what is no audio file is named",
    wasm: true,
    async run(t) {
      const { page } = await opened(t, "ctc");
      const text = t.failed(await t.call(page, "transcribe", "test/note.txt", "blob"), "input");
      t.assert.match(text.message, /the audio file \(13 bytes\) cannot be decoded; expected a format .*; this is a text file/);
      t.failed(await t.call(page, "transcribe", "test/missing.wav", "address"), "network");
      const number = t.failed(await t.call(page, "transcribe", 7, null), "input");
      t.assert.match(number.message, /audio: expected a file as Blob or ArrayBuffer/);
      const stories = await t.loaded(t.bundle("generate"));
      const other = t.failed(await t.call(stories.page, "transcribe", "manifest.json", "address"), "unsupported");
      t.assert.match(other.message, /does not transcribe audio/);
    },
  },
  {
    name: "the page of a bundle writes down an audio file",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, "ctc");
      const [{ name, text }] = bundle.transcribe;
      const server = await t.serve(bundle.folder, { extra: files(bundle.transcribe) });
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      await t.drop(page, ".drop", `test/${name}.wav`, "speech.wav", "audio/wav");
      await page.waitForFunction(() => / in /.test(document.querySelector(".audio .note").textContent));
      t.assert.equal(await page.$eval(".audio .text", (shown) => shown.textContent), text);
      await t.shot(page, "speech");
    },
  },
  {
    name: "the page records from the microphone",
    browsers: ["chromium"],
    async run(t) {
      const flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
      const browser = await t.launch("chromium", { flags });
      const server = await t.serve(bundleOf(t, "ctc").folder);
      const page = await t.page(`${server.url}?backend=wasm`, { from: browser });
      await t.state(page, "ready");
      const button = ".audio .record";
      const shows = (text) =>
        page.waitForFunction((where, what) => document.querySelector(where).textContent === what, {}, button, text);
      // A recorder begins some time after it was told to.
      await page.evaluate(() => {
        const { start } = MediaRecorder.prototype;
        MediaRecorder.prototype.start = function (...args) {
          this.addEventListener("start", () => (window.recordingSince = performance.now()));
          this.addEventListener("stop", () => (window.recorded = performance.now() - window.recordingSince));
          return start.apply(this, args);
        };
      });
      await page.focus(button);
      await page.keyboard.press("Enter");
      await shows("Stop recording");
      await page.waitForFunction(() => performance.now() - window.recordingSince > 1500);
      await page.keyboard.press("Enter");
      await shows("Record");
      const note = () => /^(\d+):(\d\d) in /.exec(document.querySelector(".audio .note").textContent);
      await page.waitForFunction(note);
      const [, minutes, seconds] = await page.evaluate(note);
      const [recorded, passed] = [60 * minutes + Number(seconds), (await page.evaluate(() => window.recorded)) / 1000];
      t.note("seconds", `${recorded} of ${passed.toFixed(1)}`);
      t.assert.ok(recorded >= 1 && recorded <= Math.ceil(passed), `${recorded} s in ${passed.toFixed(1)} s`);
    },
  },
];
