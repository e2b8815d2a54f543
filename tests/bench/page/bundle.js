// An entry of a bundle, laid out in memory as its steps want it: what a runtime does, without its care.

const PAGE = 65536;
/** What kernels may read behind the last buffer, and the fields of the control block. */
const BEHIND = 64;
const CONTROL = 256;
const align = (value, to) => Math.ceil(value / to) * to;

/** The value of a size such as `4*B*ceil_div(T, 2)`. */
function evaluate(size, symbols) {
  if (typeof size === "number") return size;
  const functions = { ceil_div: (a, b) => Math.ceil(a / b), max: Math.max, min: Math.min };
  const scope = { ...functions, ...symbols };
  const words = size.match(/[A-Za-z_]\w*/g) ?? [];
  if (!/^[\w\s+*(),-]+$/.test(size) || words.some((word) => !(word in scope))) {
    throw new Error(`expected a size, found ${size}`);
  }
  return new Function(...Object.keys(scope), `return ${size}`)(...Object.values(scope));
}

/** The dispatches of the steps that lead to a wanted output or to a state, each with the nodes of its step. */
function selectDispatches(entry, program, kernels, wanted) {
  const key = (bind) => Object.entries(bind)[0].join(" ");
  const needed = new Set(entry.outputs.flatMap(({ name }, i) => (wanted.includes(name) ? [`output ${i}`] : [])));
  const found = [];
  for (const step of [...program.steps].reverse()) {
    const writes = step.dispatches.flatMap(({ kernel, bind }) => bind.filter((_, i) => kernels[kernel].writes[i]));
    if (!writes.some((bind) => "state" in bind || needed.has(key(bind)))) continue;
    for (const bind of step.dispatches.flatMap(({ bind }) => bind)) needed.add(key(bind));
    found.unshift(...step.dispatches.map((dispatch) => ({ ...dispatch, nodes: step.nodes })));
  }
  return found;
}

/** What stands in an input. */
function inputValues({ elem, shape, advance, default: given }, symbols) {
  const sizes = shape.map((size) => evaluate(size, symbols));
  const array = new (elem === "f32" ? Float32Array : Int32Array)(sizes.reduce((a, b) => a * b, 1));
  if (given === "positions") return array.map((_, i) => symbols.P + (i % sizes.at(-1)));
  if (given) return array.fill(given.value);
  return advance === "token" || elem === "i32" ? array.map((_, i) => 300 + (i % 1000)) : array.fill(0.5);
}

/** Instantiates the module with all buffers: functions to call one step or all, and what each step is. */
export async function loadEntry(base, { entry: name, symbols: given, module: file, wanted }) {
  const manifest = await (await fetch(`${base}manifest.json`)).json();
  const { kernels, programs } = await (await fetch(`${base}programs/wasm.json`)).json();
  const entry = manifest.entries.find((candidate) => candidate.name === name);
  if (!entry) throw new Error(`expected the entry ${name}, found ${manifest.entries.map((e) => e.name).join(", ")}`);
  const symbols = { ...given, ...entry.bind };
  const missing = manifest.symbols.filter((symbol) => symbols[symbol.name] === undefined);
  if (missing.length) throw new Error(`expected values of ${missing.map((symbol) => symbol.name).join(", ")}`);
  const steps = selectDispatches(entry, programs[name], kernels, wanted ?? entry.outputs.map((output) => output.name));
  const count = (shape) => shape.reduce((all, size) => all * evaluate(size, symbols), 1);
  const bytes = {
    slot: programs[name].slots.map((size) => evaluate(size, symbols)),
    state: manifest.states.map(({ elem, shape }) => (elem === "f16" ? 2 : 4) * count(shape)),
    input: manifest.inputs.map(({ shape }) => 4 * count(shape)),
    output: entry.outputs.map(({ shape }) => 4 * count(shape)),
  };
  const weights = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const buffers = Object.values(bytes).flat().reduce((sum, size) => sum + align(size + BEHIND, 256), 256);

  const memory = new WebAssembly.Memory({ initial: 64, maximum: PAGE });
  const source = await WebAssembly.compile(await (await fetch(`${base}${file}`)).arrayBuffer());
  const { exports } = await WebAssembly.instantiate(source, { gristmill: { memory } });
  const tables = steps.reduce((sum, step) => sum + align(4 + 4 * step.bind.length, 256) + 16, 4096);
  const total = exports.heap_base.value + weights + buffers + tables + exports.scratch_bytes.value;
  memory.grow(Math.max(0, Math.ceil((total - memory.buffer.byteLength) / PAGE)));
  let free = exports.heap_base.value;
  const take = (size) => {
    const at = align(free, 256);
    free = at + size;
    return at;
  };
  const words = (at, values) => new Uint32Array(memory.buffer, at, values.length).set(values);
  const table = (values) => {
    const at = take(4 * values.length);
    words(at, values);
    return at;
  };

  const weightsAt = take(weights);
  await loadWeights(base, manifest.shards, memory, weightsAt);
  const places = { tensor: manifest.tensors.map(({ offset }) => weightsAt + offset) };
  for (const [kind, sizes] of Object.entries(bytes)) places[kind] = sizes.map((size) => take(size + BEHIND));
  for (const [i, input] of manifest.inputs.entries()) {
    const values = inputValues(input, symbols);
    new values.constructor(memory.buffer, places.input[i], values.length).set(values);
  }
  const symbolsAt = table(manifest.symbols.map((symbol) => symbols[symbol.name]));
  const scratch = take(exports.scratch_bytes.value);
  const calls = steps.map((step) => {
    const at = step.bind.map((bind) => Object.entries(bind)[0]).map(([kind, index]) => places[kind][index]);
    const args = table([symbolsAt, ...at]);
    return { run: exports[kernels[step.kernel].name], args, grid: evaluate(step.grid, symbols), step };
  });
  const stepsAt = table(calls.flatMap(({ args, grid, step }) => [step.kernel, grid, args, 0]));
  const control = take(CONTROL);
  words(control, [0, 0, stepsAt, calls.length, 1, scratch, 0xffffffff]);
  // A step that does not depend on T computes the last position only.
  const growing = (size) => evaluate(size, symbols) !== evaluate(size, { ...symbols, T: symbols.T + 256 });
  const rows = ({ grid }) => symbols.B * (entry.bind.T === undefined && growing(grid) ? symbols.T : 1);
  return {
    calls: calls.map(({ run, args, grid, step }) => ({
      run: () => run(args, 0, grid, scratch),
      ...describe(step, kernels, manifest, rows(step)),
    })),
    runAll: () => exports.run(control),
  };
}

async function loadWeights(base, shards, memory, at) {
  let place = at;
  for (const { sha256, bytes } of shards) {
    const content = new Uint8Array(await (await fetch(`${base}weights/${sha256}.bin`)).arrayBuffer());
    new Uint8Array(memory.buffer, place, bytes).set(content);
    place += bytes;
  }
}

/** What a step is called, the bytes of the matrices that it reads whole, and operations on them. */
function describe(step, kernels, manifest, rows) {
  const looksUp = step.bind.some((bind) => manifest.inputs[bind.input]?.elem === "i32");
  const tensors = step.bind.flatMap((bind) => (bind.tensor === undefined ? [] : [manifest.tensors[bind.tensor]]));
  const matrices = looksUp ? [] : tensors.filter(({ shape }) => shape.length === 2);
  const sum = (value) => matrices.reduce((all, matrix) => all + value(matrix), 0);
  return {
    kernel: kernels[step.kernel].name,
    nodes: step.nodes,
    precision: matrices[0]?.precision ?? "",
    bytes: sum((matrix) => matrix.bytes),
    ops: sum(({ shape }) => 2 * shape[0] * shape[1] * rows),
  };
}
