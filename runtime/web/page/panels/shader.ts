// The text of a kernel, with numbers of lines.

import type { KernelInfo } from "../../ts/api";
import type { Model } from "../../ts/index";
import { copyButton } from "../buttons";
import { h } from "../dom";
import { openDialog } from "./dialog";
import { troubleLine, troubleOf } from "./trouble";

/** Opens a window with the text of a kernel; `closed` is called when it is gone. */
export function openShader(model: Model, { name, nodes, file, backend }: KernelInfo, closed: () => void): void {
  const body = openDialog(name, "shader", closed);
  const status = h("p", { role: "status", class: "note" });
  const actions = h("div", { class: "actions" }, status);
  body.append(h("p", { class: "note" }, `${file}, for nodes such as ${nodes}`), actions);
  if (backend === "wasm") {
    status.textContent =
      "It is a function of this WebAssembly module, in binary instructions: there is no text to show. The same kernel " +
      "for WebGPU is a shader with a text.";
    return;
  }
  status.textContent = "Reading the shader";
  void show();

  async function show(): Promise<void> {
    try {
      const text = (await model.shader(name)) ?? "";
      status.textContent = "";
      const copy = copyButton("Copy", "Copy the shader", () => text);
      copy.classList.add("quiet");
      const lines = text.replace(/\n$/, "").split("\n");
      const list = h("ol", { class: "lines" }, ...lines.map((line) => h("li", {}, h("code", {}, line))));
      actions.prepend(copy);
      body.append(h("div", { class: "code", tabindex: "0", role: "region", "aria-label": `Shader ${name}` }, list));
    } catch (thrown) {
      status.textContent = troubleLine(troubleOf(thrown));
    }
  }
}
