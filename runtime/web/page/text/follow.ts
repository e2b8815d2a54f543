// Scrolling with what grows.

/** How far below the window's edge the end of a text may be, in pixels, and still be followed. */
const NEAR = 160;

/** Pixels that stay free below an element: those behind a dock, or what its style asks for; some in any case. */
function room(element: HTMLElement, dock?: HTMLElement): number {
  if (dock) return dock.offsetHeight + 16;
  return Math.max(16, parseFloat(getComputedStyle(element).scrollMarginBottom) || 0);
}

/** Pixels of an element that are below the window, or behind `dock`, which covers the window's lower edge. */
function below(element: HTMLElement, dock?: HTMLElement): number {
  return element.getBoundingClientRect().bottom + room(element, dock) - window.innerHeight;
}

/**
 * Keeps the end of a growing element in view, unless the reader scrolled away from it. `dock` is what covers the lower
 * edge of the window.
 */
export function follower(dock?: HTMLElement): (element: HTMLElement) => void {
  let waiting = false;
  return (element) => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const distance = below(element, dock);
      if (distance > 0 && distance < NEAR) window.scrollBy(0, distance);
    });
  };
}

/** Keeps the height of a dock in `--dock` of what it is in, for what scrolls behind it. */
export function measure(dock: HTMLElement): void {
  const tell = (): void => dock.parentElement?.style.setProperty("--dock", `${dock.offsetHeight}px`);
  new ResizeObserver(tell).observe(dock);
}

/** Brings the end of an element into view, wherever the reader is. */
export function reveal(element: HTMLElement, dock?: HTMLElement): void {
  requestAnimationFrame(() => window.scrollBy(0, Math.max(0, below(element, dock))));
}
