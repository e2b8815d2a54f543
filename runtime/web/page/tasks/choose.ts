// Buttons that choose files. The file inputs are hidden, because each browser draws them differently.

import { h } from "../dom";

/** What can be chosen, and who is told. */
export interface ChooseOptions {
  /** Kinds of files, as `accept` of an input has them. */
  accept: string;
  /** The text of the button. */
  label: string;
  /** The class of the button. */
  kind: string;
  multiple?: boolean;
  /** The text of a button that opens the camera. The style sheet shows it on touch screens only. */
  camera?: string;
  /** The text of a button that uses the example image of the page. */
  example?: string;
  take: (files: File[]) => void;
  problem: (text: string) => void;
}

/** The example image, which is only loaded when the button is pressed. */
const EXAMPLE = "runtime/example.png";

/** The buttons, the first of which opens the file dialog, with their hidden inputs. */
export function fileButtons(options: ChooseOptions): HTMLElement[] {
  const { accept, label, kind, multiple, camera, example, take, problem } = options;
  type Attributes = { multiple?: boolean | undefined; capture?: string };
  const picker = (text: string, look: string, attributes: Attributes): HTMLElement[] => {
    const input = h("input", { type: "file", accept, hidden: true, ...attributes, change: chosen });
    function chosen(): void {
      const files = [...(input.files ?? [])];
      // So that the same file can be chosen again.
      input.value = "";
      if (files.length > 0) take(files);
    }
    return [h("button", { type: "button", class: look, click: () => input.click() }, text), input];
  };
  const buttons = picker(label, kind, { multiple });
  if (camera) buttons.push(...picker(camera, "quiet camera", { capture: "environment" }));
  if (example) {
    const fetched = (): void => void load().then((file) => take([file]), failed);
    const failed = (thrown: unknown): void => problem(`The example cannot be loaded: ${(thrown as Error).message}`);
    buttons.push(h("button", { type: "button", class: "quiet example", click: fetched }, example));
  }
  return buttons;
}

async function load(): Promise<File> {
  const response = await fetch(new URL(EXAMPLE, document.baseURI));
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return new File([await response.blob()], "example.png", { type: "image/png" });
}
