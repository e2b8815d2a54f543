// Pictures in whatever form the caller has them, as something that can be sent to a worker.

import type { PictureSource } from "./api";
import { makeError } from "./errors";
import { fetchFile, type Files } from "./fetched";

/** Most pixels of a picture; the runtime takes no more either. */
const MOST_PIXELS = 2 ** 26;

/** A picture that can be sent: pixels as they are, or a bitmap that may be handed over. */
export type SentPicture = ImageBitmap | ImageData;

/** All pictures, and those of them that may be handed over: bitmaps are ours, those that the caller has are copied. */
export async function takePictures(
  sources: PictureSource[],
  files: Files,
  signal?: AbortSignal,
): Promise<{ pictures: SentPicture[]; transfer: ImageBitmap[] }> {
  const pictures = await Promise.all(sources.map((source) => takePicture(source, files, signal)));
  return { pictures, transfer: pictures.filter((picture) => picture instanceof ImageBitmap) };
}

/** A picture that can be sent. */
export async function takePicture(
  source: PictureSource,
  files: Files,
  signal?: AbortSignal,
): Promise<SentPicture> {
  if (typeof ImageData !== "undefined" && source instanceof ImageData) return source;
  const decodable = typeof source === "string" || source instanceof URL ? await fetchFile("picture", source, signal) : source;
  let bitmap: ImageBitmap;
  try {
    // Colours as they are in the file, which is what models were trained with; upright, as cameras mean it.
    bitmap = await createImageBitmap(decodable, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch (e) {
    const kind = decodable instanceof Blob ? await files.kindOf(decodable) : null;
    const remedy = kind === null ? "" : `; this is ${kind}: convert it to PNG or JPEG`;
    const message = "the picture cannot be decoded; expected a file of a kind that this browser shows, or an image";
    throw makeError("input", `${message} that is loaded: ${(e as Error).message}${remedy}`, {}, e);
  }
  if (bitmap.width * bitmap.height <= MOST_PIXELS) return bitmap;
  const size = `${bitmap.width} x ${bitmap.height}`;
  bitmap.close();
  throw makeError("input", `the picture has ${size} pixels; at most ${MOST_PIXELS} are taken: make it smaller first`);
}

/** The pixels of a picture that was sent. */
export function pixelsOf(picture: SentPicture): ImageData {
  if (picture instanceof ImageData) return picture;
  const { width, height } = picture;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw makeError("unsupported", "this browser gives no canvas to read pictures with");
  context.drawImage(picture, 0, 0);
  picture.close();
  return context.getImageData(0, 0, width, height);
}
