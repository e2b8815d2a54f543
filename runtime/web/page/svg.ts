// The few lines that a page needs to draw.

type Child = Node | string;

/** An element of a drawing. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

let drawings = 0;

/** A drawing of this size, which readers of the screen are told by a title and a description. */
export function drawing(width: number, height: number, title: string, text: string, ...parts: Child[]): SVGSVGElement {
  const id = `drawing-${++drawings}`;
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", class: "drawing", "aria-labelledby": `${id}-title ${id}-text` },
    s("title", { id: `${id}-title` }, title),
    s("desc", { id: `${id}-text` }, text),
    ...parts,
  );
}
