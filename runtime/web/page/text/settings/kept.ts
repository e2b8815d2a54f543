// Keeps settings of a bundle over reloads. Where the browser keeps nothing, they last as long as the page.

/** Where the settings of a bundle are kept. */
export interface Kept {
  read(): Record<string, string>;
  write(values: Record<string, string>): void;
}

/** The place of the bundle that the page belongs to. */
export function keptSettings(bundle = new URL(".", document.baseURI).href): Kept {
  const key = `gristmill settings ${bundle}`;
  return {
    read() {
      try {
        const found: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
        const texts = Object.entries((found ?? {}) as object).filter(([, text]) => typeof text === "string");
        return Object.fromEntries(texts) as Record<string, string>;
      } catch {
        return {};
      }
    },
    write(values) {
      try {
        if (Object.keys(values).length === 0) localStorage.removeItem(key);
        else localStorage.setItem(key, JSON.stringify(values));
      } catch {
        // Full or forbidden; nobody can do anything about it here.
      }
    },
  };
}
