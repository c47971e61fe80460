/** All that is known of a log that is pruned: what anybody received of it, and what was left of it at the end. */
import type { Event } from '../../src/contract/events.ts';
import type { FinalState, HistoryEntry, Violation } from '../history.ts';

/** A violation of the property that it is looked for under. */
export type Finding = Omit<Violation, 'property'>;

export class KnownLog {
  /** Numbers that are not the same event for everybody. */
  readonly findings: Finding[] = [];
  readonly #events = new Map<number, Event>();
  readonly #seqs = new Map<string, number>();

  constructor(entries: readonly HistoryEntry[], final: FinalState) {
    for (const entry of entries) if (entry.entry === 'received') this.#add(entry.event);
    for (const event of final.events) this.#add(event);
  }

  /** In order; one that is missing was pruned before anybody had received it. */
  get events(): readonly Event[] {
    return [...this.#events.values()].sort((one, other) => one.seq - other.seq);
  }

  eventAt(seq: number): Event | undefined {
    return this.#events.get(seq);
  }

  /** Of an event's own cursor. */
  seqOf(cursor: string): number | undefined {
    return this.#seqs.get(cursor);
  }

  #add(event: Event): void {
    const known = this.#events.get(event.seq);
    if (known !== undefined && !isSame(known, event))
      this.findings.push({ detail: 'one number was given to two events', evidence: { known, event } });
    this.#events.set(event.seq, event);
    this.#seqs.set(event.cursor, event.seq);
  }
}

/** Of a task that was finished for long enough. */
export function isPruning({ kind, data }: Event): boolean {
  return kind === 'task.deleted' && data['pruned'] === true;
}

function isSame(one: Event, other: Event): boolean {
  return (
    one.kind === other.kind &&
    one.cursor === other.cursor &&
    one.task_id === other.task_id &&
    one.task_version === other.task_version
  );
}
