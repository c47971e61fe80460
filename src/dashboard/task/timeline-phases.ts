/** How long a task was in which status, from what its events say. Pure. */
import type { Event } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';

export interface Phase {
  readonly status: TaskStatus;
  readonly fromMs: number;
  /** null: it still is. */
  readonly toMs: number | null;
  /** The event that began it. */
  readonly seq: number;
}

/** Those so far, and what further events make of them: oldest first. A status that is entered again is another phase. */
export function phasesAfter(before: readonly Phase[], events: readonly Event[]): readonly Phase[] {
  const phases = [...before];
  for (const { at, kind, seq, data } of events) {
    const after = data['status_after'];
    const last = phases.at(-1);
    const isOver = kind === 'task.deleted';
    if (!isOver && (typeof after !== 'string' || after === last?.status)) continue;
    const atMs = Date.parse(at);
    if (last !== undefined) phases[phases.length - 1] = { ...last, toMs: atMs };
    if (!isOver) phases.push({ status: after as TaskStatus, fromMs: atMs, toMs: null, seq });
  }
  return phases;
}
