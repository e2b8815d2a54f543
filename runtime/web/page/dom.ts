// The few lines that a page needs to build itself.

type Child = Node | string | null | undefined;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void) | undefined>;

/** An element; functions become listeners, `true` an empty attribute, `false` and `undefined` none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A section with a visually hidden heading, so that screen readers list it among the headings. */
export function view(kind: string, heading: string, ...children: Child[]): HTMLElement {
  return h("section", { class: kind, "aria-label": heading }, h("h2", { class: "hidden" }, heading), ...children);
}

/** The element with this id, which index.html has. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}: it does not belong to this script`);
  return element;
}

/** What the page is doing: for the style sheet, and for programs that watch it. */
export type PageState = "asking" | "loading" | "ready" | "working" | "error";

export function setState(state: PageState): void {
  document.documentElement.dataset["state"] = state;
}

/** Tells readers of the screen, politely, what others see anyway. */
export function announce(text: string): void {
  byId("announcer").textContent = text;
}

/** Bytes for people: `812 kB`, `48.3 MB`. Powers of ten, as disks and networks are sold. */
export function bytes(count: number): string {
  if (count < 1e3) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(0)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}

/** A count for people: `264 k`, `1.1 B`. */
export function count(value: number): string {
  for (const [size, unit] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= size) return `${(value / size).toFixed(value < 10 * size ? 1 : 0)} ${unit}`;
  }
  return String(value);
}

/** A duration for people. */
export function time(milliseconds: number): string {
  return milliseconds < 995 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1e3).toFixed(1)} s`;
}

/** A speed for people. */
export function speed(perSecond: number): string {
  return Number.isFinite(perSecond) ? perSecond.toFixed(perSecond < 9.95 ? 1 : 0) : "–";
}
