// Images in whatever form the caller has them, as something that can be sent to a worker.

import type { ImageSource, Pixels } from "./api";
import { makeError } from "./errors";
import { fetchFile, type Files } from "./fetched";

/** Most pixels of an image; the runtime takes no more either. */
const MOST_PIXELS = 2 ** 26;

/** An image that can be sent: pixels as they are, or a bitmap that may be handed over. */
export type SentImage = ImageBitmap | Pixels;

/** All images, and those of them that may be handed over: bitmaps are ours, those that the caller has are copied. */
export async function takeImages(
  sources: ImageSource[],
  files: Files,
  signal?: AbortSignal,
): Promise<{ images: SentImage[]; transfer: ImageBitmap[] }> {
  const images = await Promise.all(sources.map((source) => takeImage(source, files, signal)));
  return { images, transfer: images.filter((image): image is ImageBitmap => !("data" in image)) };
}

/** An image that can be sent. */
export async function takeImage(
  source: ImageSource,
  files: Files,
  signal?: AbortSignal,
): Promise<SentImage> {
  if (typeof source === "object" && "data" in source) return checked(source);
  if (typeof createImageBitmap === "undefined") {
    const remedy = "pass its pixels: { data, width, height }, four bytes for each";
    throw makeError("unsupported", `images cannot be decoded here, where there is no browser: ${remedy}`);
  }
  const decodable = typeof source === "string" || source instanceof URL ? await fetchFile("image", source, signal) : source;
  let bitmap: ImageBitmap;
  try {
    // Colours as they are in the file, which is what models were trained with; upright, as cameras mean it.
    bitmap = await createImageBitmap(decodable as ImageBitmapSource, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch (e) {
    const kind = decodable instanceof Blob ? await files.kindOf(decodable) : null;
    const remedy = kind === null ? "" : `; this is ${kind}: convert it to PNG or JPEG`;
    const message = "the image cannot be decoded; expected a format that this browser shows, or an image";
    throw makeError("input", `${message} that is loaded: ${(e as Error).message}${remedy}`, {}, e);
  }
  if (bitmap.width * bitmap.height <= MOST_PIXELS) return bitmap;
  const size = `${bitmap.width} x ${bitmap.height}`;
  bitmap.close();
  throw makeError("input", `the image has ${size} pixels; at most ${MOST_PIXELS} are supported: scale it down first`);
}

/** Pixels, if they are as many as they claim to be. */
function checked({ data, width, height }: Pixels): Pixels {
  const sides = [width, height].every((side) => Number.isInteger(side) && side > 0);
  const bytes = data instanceof Uint8ClampedArray || data instanceof Uint8Array ? data : null;
  if (!sides || bytes?.length !== 4 * width * height) {
    const found = bytes ? `${bytes.length} bytes` : "no bytes";
    const expected = "4 * width * height bytes in a Uint8ClampedArray or Uint8Array";
    throw makeError("input", `image: expected ${expected}, found ${found} for ${width} x ${height} pixels`);
  }
  return { data: bytes instanceof Uint8ClampedArray ? bytes : new Uint8ClampedArray(bytes), width, height };
}

/** The pixels of an image that was sent. */
export function pixelsOf(image: SentImage): Pixels {
  if ("data" in image) return image;
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw makeError("unsupported", "this browser has no canvas to read images with");
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, width, height);
}
