// The microphone.

import { announce, h } from "../dom";

/** Who is told. */
export interface RecorderOptions {
  take: (recorded: Blob) => void;
  problem: (text: string) => void;
}

/** A button that starts and stops a recording; nothing where the browser has no microphone for pages. */
export function recorder({ take, problem }: RecorderOptions): HTMLButtonElement | null {
  if (typeof MediaRecorder === "undefined" || !navigator.mediaDevices) return null;
  const button = h("button", { type: "button", class: "primary record", click: () => void toggle() }, "Record");
  let current: MediaRecorder | null = null;
  let asking = false;

  async function toggle(): Promise<void> {
    if (current) return current.stop();
    if (asking) return;
    asking = true;
    try {
      start(await navigator.mediaDevices.getUserMedia({ audio: true }));
    } catch (e) {
      problem(`The microphone cannot be used: ${(e as Error).message}`);
    }
    asking = false;
  }

  function start(stream: MediaStream): void {
    const chunks: Blob[] = [];
    const media = new MediaRecorder(stream);
    media.addEventListener("dataavailable", ({ data }) => chunks.push(data));
    media.addEventListener("stop", () => {
      // The light of the microphone goes out.
      for (const track of stream.getTracks()) track.stop();
      current = null;
      label("Record");
      take(new Blob(chunks, { type: media.mimeType }));
    });
    media.start();
    current = media;
    label("Stop recording");
    announce("Recording");
  }

  function label(text: string): void {
    button.textContent = text;
    button.classList.toggle("stop", current !== null);
  }

  return button;
}
