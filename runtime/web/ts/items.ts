// What tasks are given, in the form in which it is sent.

import type { VideoSource, ImageSource, AudioSource, TaskInfo } from "./api";
import { makeError } from "./errors";
import type { Files } from "./fetched";
import { takeFrames } from "./video";
import { takeImages } from "./image";
import type { Item } from "./protocol";
import { takeAudio } from "./audio";

/** Things to send, and those parts of them that may be handed over. */
export interface Taken {
  items: Item[];
  transfer: Transferable[];
}

/** Audio files for a task that takes samples at a rate; images and videos for all others. */
export async function takeItems(
  sources: (ImageSource | VideoSource | AudioSource)[],
  task: Pick<TaskInfo, "rate" | "frames">,
  files: Files,
  signal?: AbortSignal,
): Promise<Taken> {
  const { rate, frames: count = 1 } = task;
  if (rate !== undefined) {
    const waveforms = await Promise.all(sources.map((source) => takeAudio(source as AudioSource, rate, files, signal)));
    return { items: waveforms, transfer: waveforms.map((samples) => samples.buffer) };
  }
  const take = async (source: ImageSource | VideoSource | AudioSource): Promise<Taken> => {
    if (!isVideo(source)) {
      const { images, transfer } = await takeImages([source as ImageSource], files, signal);
      return { items: images, transfer };
    }
    if ("video" in source) {
      const frames = await takeFrames(source.video, count, signal);
      return { items: [frames], transfer: frames };
    }
    if (!Array.isArray(source.frames) || source.frames.length === 0) {
      throw makeError("input", "frames: expected the images of a video, found none");
    }
    const { images, transfer } = await takeImages(source.frames, files, signal);
    return { items: [images], transfer };
  };
  const all = await Promise.all(sources.map(take));
  return { items: all.flatMap(({ items }) => items), transfer: all.flatMap(({ transfer }) => transfer) };
}

function isVideo(source: unknown): source is VideoSource {
  return typeof source === "object" && source !== null && ("frames" in source || "video" in source);
}
