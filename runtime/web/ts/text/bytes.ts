// Bytes as printable characters, as byte-level tokenizers write them.

const CHARS: string[] = [];
const BYTES = new Map<string, number>();

let next = 256;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const char = String.fromCharCode(printable ? byte : next++);
  CHARS.push(char);
  BYTES.set(char, byte);
}

const encoder = new TextEncoder();

/** The bytes of a text in UTF-8. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A text with each byte as a character. */
export function byteChars(text: string): string {
  let out = "";
  for (const byte of encoder.encode(text)) out += CHARS[byte] ?? "";
  return out;
}

/** The bytes of a token; a token with other characters stands for itself. */
export function tokenBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTES.get(char);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The text of bytes, with replacement characters for those that are no text. */
export function decodeLossy(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

/** The text of bytes, or null if they are none. */
export function decodeStrict(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
