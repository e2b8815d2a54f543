// The engine of chat templates, that of native programs as WebAssembly: a script of its own, which is loaded for models
// that have a template only.

import { initSync, renderChat } from "../../pkg/template/gristmill_template_web.js";
import module from "../../pkg/template/module.js";

let ready = false;

/**
 * The prompt for a request, both as JSON. Throws a text whose first letter says who is at fault, or else what ended the
 * engine for good.
 */
export function render(chat: string, request: string): string {
  if (!ready) {
    initSync({ module: decode(module) });
    ready = true;
  }
  return renderChat(chat, request);
}

/** Bytes are characters from `#` on, so that none of them needs an escape but the backslash. */
function decode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) - 35;
  return bytes;
}
