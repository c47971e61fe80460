/** Keeps the promise "in order, each once, none missing" on the receiving side: pure. */

interface Numbered {
  readonly seq: number;
}

export interface Admission<E> {
  /** What the consumer has not seen, in order; on a gap only what came before it. */
  readonly fresh: readonly E[];
  readonly hasGap: boolean;
  readonly lastSeq: number | null;
}

/** `isDense`: nothing is filtered out, so each seq must be the one before plus 1. Known events are left out. */
export function admitEvents<E extends Numbered>(
  events: readonly E[],
  lastSeq: number | null,
  isDense: boolean,
): Admission<E> {
  const fresh: E[] = [];
  let last = lastSeq;
  for (const event of events) {
    if (last !== null && event.seq <= last) continue;
    if (isDense && last !== null && event.seq !== last + 1) return { fresh, hasGap: true, lastSeq: last };
    fresh.push(event);
    last = event.seq;
  }
  return { fresh, hasGap: false, lastSeq: last };
}
