// Makes this thread look like that of a page, for those who import this first: Node.js has workers of another kind.

/** Where the page is from. */
export const ORIGIN = "https://example.org";

Object.assign(globalThis, { document: {}, origin: ORIGIN });
