// What tasks are given, in the form in which it is sent.

import type { Film, PictureSource, SoundSource, TaskInfo } from "./api";
import { makeError } from "./errors";
import type { Files } from "./fetched";
import { takeFrames } from "./film";
import { takePictures } from "./picture";
import type { Thing } from "./protocol";
import { takeSound } from "./sound";

/** Things to send, and those parts of them that may be handed over. */
export interface Taken {
  things: Thing[];
  transfer: Transferable[];
}

/** Recordings for a task that takes samples at a rate; pictures and films for all others. */
export async function takeThings(
  sources: (PictureSource | Film | SoundSource)[],
  task: Pick<TaskInfo, "rate" | "frames">,
  files: Files,
  signal?: AbortSignal,
): Promise<Taken> {
  const { rate, frames: count = 1 } = task;
  if (rate !== undefined) {
    const recordings = await Promise.all(sources.map((source) => takeSound(source as SoundSource, rate, files, signal)));
    return { things: recordings, transfer: recordings.map((samples) => samples.buffer) };
  }
  const take = async (source: PictureSource | Film | SoundSource): Promise<Taken> => {
    if (!isFilm(source)) {
      const { pictures, transfer } = await takePictures([source as PictureSource], files, signal);
      return { things: pictures, transfer };
    }
    if ("video" in source) {
      const frames = await takeFrames(source.video, count, signal);
      return { things: [frames], transfer: frames };
    }
    if (!Array.isArray(source.frames) || source.frames.length === 0) {
      throw makeError("input", "frames: expected the pictures of a film, found none");
    }
    const { pictures, transfer } = await takePictures(source.frames, files, signal);
    return { things: [pictures], transfer };
  };
  const all = await Promise.all(sources.map(take));
  return { things: all.flatMap(({ things }) => things), transfer: all.flatMap(({ transfer }) => transfer) };
}

function isFilm(source: unknown): source is Film {
  return typeof source === "object" && source !== null && ("frames" in source || "video" in source);
}
