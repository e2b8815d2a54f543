// What a model's weights are stored at, in words that say it to people.

/** Formats that take less than this share of the bytes are not worth a word: norms and biases are always floats. */
const LITTLE = 0.1;

/** The precision of most bytes of weights: `4-bit weights`, `mostly 4-bit weights` if others matter. */
export function weightsName(formats: Record<string, number>): string {
  const byWord = new Map<string, number>();
  for (const [format, bytes] of Object.entries(formats)) {
    const word = wordFor(format);
    byWord.set(word, (byWord.get(word) ?? 0) + bytes);
  }
  const total = [...byWord.values()].reduce((sum, bytes) => sum + bytes, 0);
  const [first] = [...byWord].sort(([, a], [, b]) => b - a);
  if (!first) return "no weights";
  const [word, bytes] = first;
  return bytes >= (1 - LITTLE) * total ? `${word} weights` : `mostly ${word} weights`;
}

/** `q4.g32` is `4-bit`. The names are those of models/FORMATS.md. */
function wordFor(format: string): string {
  const [base = ""] = format.split(".");
  const bits = /^(?:q|t|f|bf)(\d+)$/.exec(base)?.[1];
  return bits ? `${bits}-bit` : base;
}
