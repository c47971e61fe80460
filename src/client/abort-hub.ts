/**
 * Listens to abort signals once per signal, however many calls share it. A listener per call would be right too,
 * but Node warns of a leak at the eleventh, and a worker with many tasks has hundreds.
 */

const hubs = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls back when the signal fires, unless undone before. A signal that has fired already calls nobody back. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = hubs.get(signal);
  if (callbacks === undefined) {
    const made = new Set<() => void>();
    signal.addEventListener('abort', () => fire(made), { once: true });
    hubs.set(signal, made);
    callbacks = made;
  }
  const mine = callbacks;
  mine.add(callback);
  return () => mine.delete(callback);
}

function fire(callbacks: Set<() => void>): void {
  const all = [...callbacks];
  callbacks.clear();
  for (const callback of all) callback();
}
