// Asking the browser to keep what is stored when its space runs out.

/** Whether the browser promised it; null if it cannot be asked. */
export type Promised = boolean | null;

/** Whether the browser has promised it already. */
export async function isKept(): Promise<Promised> {
  try {
    return await navigator.storage.persisted();
  } catch {
    return null;
  }
}

/** Asks for it. Some browsers ask the reader, others decide by themselves. */
export async function askToKeep(): Promise<Promised> {
  try {
    return await navigator.storage.persist();
  } catch {
    return null;
  }
}

/** What that means for the reader. */
export function keptText(promised: Promised): string {
  return promised
    ? "The browser keeps the files until you delete them."
    : "The browser may remove the files when it runs out of space.";
}
