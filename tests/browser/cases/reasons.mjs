// What keeps the runtime from starting is told as what it is: to programs by a code, to people by the panel of the page.

/** Runs before anything of the page. */
const withoutWasm = () => void delete globalThis.WebAssembly;
/** Engines without vectors refuse the small module that the runtime tries. */
const withoutSimd = () => {
  const validate = WebAssembly.validate.bind(WebAssembly);
  WebAssembly.validate = (bytes) => bytes.length > 64 && validate(bytes);
};
const policy = ({ script = "'wasm-unsafe-eval'", worker = "'self'" }) =>
  `default-src 'self'; script-src 'self' ${script}; worker-src ${worker}; style-src 'self'; img-src 'self' data:`;
const runtime = (file) => new RegExp(`^runtime/${file.replace(".", "\\.")}$`);

const REASONS = [
  { name: "no WebAssembly", init: withoutWasm, code: "no-wasm", title: /no WebAssembly/, message: /has no WebAssembly/ },
  {
    name: "no SIMD",
    init: withoutSimd,
    code: "no-wasm",
    title: /WebAssembly is too old/,
    message: /has no SIMD/,
    details: { what: "SIMD" },
  },
  {
    name: "a policy without WebAssembly",
    policy: policy({ script: "" }),
    code: "blocked",
    title: /security policy blocks/,
    message: /'wasm-unsafe-eval'/,
    details: { what: "script-src 'wasm-unsafe-eval'" },
  },
  {
    name: "a policy without workers",
    policy: policy({ worker: "'none'" }),
    code: "blocked",
    title: /security policy blocks/,
    message: /worker-src/,
    details: { what: "worker-src" },
  },
  {
    name: "no script of the worker",
    fault: { path: runtime("engine.js"), status: 404 },
    code: "runtime",
    title: /part of the runtime is missing/,
    message: /runtime\/engine\.js is missing: the server answered 404/,
    status: 404,
  },
  {
    name: "a page in place of the worker's script",
    fault: { path: runtime("engine.js"), type: "text/html" },
    code: "runtime",
    title: /part of the runtime is missing/,
    message: /runtime\/engine\.js is no script: the server says that it is text\/html/,
  },
  {
    name: "no module",
    fault: { path: runtime("gristmill_web_bg.wasm"), status: 404 },
    code: "runtime",
    title: /part of the runtime is missing/,
    message: /gristmill_web_bg\.wasm is missing: the server answered 404/,
    status: 404,
  },
  {
    name: "a page in place of the module",
    page: "runtime/gristmill_web_bg.wasm",
    code: "runtime",
    title: /part of the runtime is missing/,
    message: /gristmill_web_bg\.wasm is no WebAssembly that this browser takes/,
  },
];

/** A server with what is wrong. Scripts that run first do so in workers, too. */
async function broken(t, { init, policy: csp, fault, page }) {
  const bundle = t.bundle("generate");
  const server = await t.serve(bundle.folder, {
    extra: page ? { [page]: "<!doctype html><title>not found</title>" } : {},
    headers: csp ? { "content-security-policy": csp } : {},
    first: init ? `(${init})();` : null,
  });
  if (fault) server.faults.push(fault);
  return server;
}

export default REASONS.map((reason) => ({
  name: reason.name,
  wasm: true,
  browsers: [],
  async run(t) {
    const server = await broken(t, reason);
    const page = await t.blank(server);
    const error = t.failed(await t.call(page, "load", { backend: "auto" }), reason.code);
    t.assert.match(error.message, reason.message);
    if (reason.status) t.assert.equal(error.details.status, reason.status);
    if (reason.details) t.assert.equal(error.details.what, reason.details.what);
    t.assert.deepEqual(server.requests(/^weights\//), [], "nothing is downloaded for nothing");
    await page.goto(server.url);
    await t.state(page, "error");
    const notice = await page.$eval(".notice", (panel) => [panel.dataset.code, panel.querySelector("h2").textContent]);
    t.assert.equal(notice[0], reason.code);
    t.assert.match(notice[1], reason.title);
  },
}));
