// Videos in files, as images. Needs a page: workers play no videos.

import { aborted, makeError } from "./errors";
import { fetchFile } from "./fetched";

/** Longest wait for a file to show something, in milliseconds. */
const PATIENCE = 30_000;
/** Longest wait for a frame of which a visible page is told, in milliseconds. */
const FRAME_PATIENCE = 1000;
/** A time behind the end of any video, in seconds. */
const NEVER = 1e9;

/** The images in the middle of `count` equal parts of a video. */
export async function takeFrames(
  source: string | URL | Blob,
  count: number,
  signal?: AbortSignal,
): Promise<ImageBitmap[]> {
  if (typeof document === "undefined") {
    throw makeError("unsupported", "videos cannot be decoded here (workers cannot play them): pass { frames }");
  }
  const file = source instanceof Blob ? source : await fetchFile("video", source, signal);
  const address = URL.createObjectURL(file);
  const video = document.createElement("video");
  const frames: ImageBitmap[] = [];
  try {
    Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
    await shows(video, "loadeddata", () => (video.src = address), signal);
    // Videos that a page recorded do not know their length until somebody has looked for their end.
    if (!Number.isFinite(video.duration)) await shows(video, "seeked", () => (video.currentTime = NEVER), signal);
    const { duration, videoWidth } = video;
    if (!(duration > 0) || !Number.isFinite(duration) || videoWidth === 0) throw new Error("it has no images");
    for (let at = 0; at < count; at++) {
      const time = (duration * (2 * at + 1)) / (2 * count);
      await shows(video, "seeked", () => (video.currentTime = time), signal);
      frames.push(await currentFrame(video, signal));
    }
    return frames;
  } catch (e) {
    for (const frame of frames) frame.close();
    if (signal?.aborted) throw aborted();
    const kinds = "a format that this browser plays, such as WebM or MP4";
    throw makeError(
      "input",
      `the video (${file.size} bytes) cannot be decoded; expected ${kinds}: ${(e as Error).message}`,
      {},
      e,
    );
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(address);
  }
}

/**
 * Does what `happens` does, and waits for the frame that follows. The event comes when the frame is decoded, which may be
 * before the video shows it: until then there is none, or the one of the time before.
 */
async function shows(video: HTMLVideoElement, event: string, start: () => void, signal?: AbortSignal): Promise<void> {
  // Pages that are hidden, and older browsers, are told of no frames.
  const told = "requestVideoFrameCallback" in video && !document.hidden;
  const shown = new Promise<void>((resolve) => {
    if (told) video.requestVideoFrameCallback(() => resolve());
    else resolve();
  });
  await happens(video, event, start, signal);
  await Promise.race([shown, pause(FRAME_PATIENCE)]);
}

/** The frame at the current time, which hidden pages may have to wait for. */
async function currentFrame(video: HTMLVideoElement, signal?: AbortSignal): Promise<ImageBitmap> {
  for (const end = performance.now() + PATIENCE; ; await pause(5)) {
    if (signal?.aborted) throw aborted();
    const late = performance.now() > end;
    if (video.readyState >= video.HAVE_CURRENT_DATA) {
      try {
        return await createImageBitmap(video, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
      } catch (e) {
        // The state of a video that has no frame to give yet.
        if (late || (e as Error).name !== "InvalidStateError") throw e;
      }
    } else if (late) {
      throw new Error(`no frame in ${PATIENCE / 1e3} s`);
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolves when what `start` begins has come about. */
function happens(video: HTMLVideoElement, event: string, start: () => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    const listening = new AbortController();
    const end = (settle: () => void): void => {
      listening.abort();
      clearTimeout(timer);
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`no ${event} in ${PATIENCE / 1e3} s`))), PATIENCE);
    const { signal: ended } = listening;
    const wrong = (): void => end(() => reject(new Error(video.error?.message || "unknown reason")));
    video.addEventListener(event, () => end(resolve), { signal: ended });
    video.addEventListener("error", wrong, { signal: ended });
    signal?.addEventListener("abort", () => end(() => reject(aborted())), { signal: ended });
    start();
  });
}
