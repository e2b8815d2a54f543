// What a text may lead to, and the characters that it writes by name.

const SCHEMES = ["http:", "https:", "mailto:"];

/** The address of a link, or null if it is none that a page should open. */
export function safeAddress(text: string): string | null {
  let url: URL;
  try {
    // Without a base: a relative address of an answer would be one of this page.
    url = new URL(text);
  } catch {
    return null;
  }
  return SCHEMES.includes(url.protocol) ? url.href : null;
}

const NAMED: Record<string, string> = {
  amp: "&",
  apos: "'",
  bull: "•",
  copy: "©",
  deg: "°",
  divide: "÷",
  euro: "€",
  gt: ">",
  hellip: "…",
  laquo: "«",
  larr: "←",
  ldquo: "“",
  lsquo: "‘",
  lt: "<",
  mdash: "—",
  middot: "·",
  minus: "−",
  nbsp: "\u00a0",
  ndash: "–",
  plusmn: "±",
  pound: "£",
  quot: '"',
  raquo: "»",
  rarr: "→",
  rdquo: "”",
  reg: "®",
  rsquo: "’",
  sect: "§",
  times: "×",
  trade: "™",
};

/** Replaces references to characters. Names that are not common stay as they are. */
export function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{1,10}));/g, (all, decimal, hex, name) => {
    if (name !== undefined) return Object.hasOwn(NAMED, name as string) ? (NAMED[name as string] ?? all) : all;
    const point = decimal !== undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    const exists = point > 0 && point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
    return exists ? String.fromCodePoint(point) : "\ufffd";
  });
}
