/**
 * What a small board writes down as it goes, on a clock of its own: its log, how its clients fared, what its watchers received, and what was
 * done to it. Knows no rule of the board.
 */
import type { HistoryEntry } from '../../chaos/history.ts';
import type { Event } from '../../src/contract/events.ts';
import { type Hearing, type NewOperation, type Watcher, withoutAnswer } from './small-board-words.ts';

/** Between two things that happen. */
const STEP_MS = 10;
const EPOCH_MS = Date.parse('2026-01-01T00:00:00.000Z');

export class SmallHistory {
  readonly entries: HistoryEntry[] = [];
  readonly events: Event[] = [];
  readonly #watchers = new Map<string, Watcher>();
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  time(afterMs = 0): string {
    return new Date(EPOCH_MS + this.#nowMs + afterMs).toISOString();
  }

  step(): void {
    this.#nowMs += STEP_MS;
  }

  pass(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  fault(fault: string, target: string, durationMs: number): void {
    this.entries.push({ entry: 'fault', at: this.#nowMs, fault, target, until: this.#nowMs + durationMs });
    this.#nowMs += durationMs;
  }

  log(event: Pick<Event, 'kind' | 'data'> & Partial<Event>): void {
    const seq = this.events.length + 1;
    const actor = { type: 'system', id: 'test' } as const;
    this.events.push({ ...event, seq, cursor: `cursor ${seq}`, board: 'default', at: this.time(), actor });
  }

  record(operation: NewOperation, ending: 'ok' | 'fail', { leadMs = 1, lagMs = 1, isLost }: Hearing): void {
    const invokedAt = this.#nowMs - leadMs;
    if (isLost === true) {
      const asked = operation.kind === 'claim' ? { ...operation, claims: [] } : withoutAnswer(operation);
      this.entries.push({ ...asked, entry: 'operation', invokedAt, ending: 'unknown' });
      return;
    }
    const refusal =
      ending === 'fail' ? { code: operation.kind === 'cancel' ? 'illegal_transition' : 'claim_lost' } : {};
    const endedAt = this.#nowMs + lagMs;
    this.entries.push({ ...operation, entry: 'operation', invokedAt, endedAt, ending, ...refusal });
  }

  /** Receives that many more events, in one frame with its cursor. */
  watch(process: string, countMax: number): void {
    const watcher = this.#watcherOf(process);
    const common = { process, at: this.#nowMs, connection: watcher.connection };
    for (const event of this.events.slice(watcher.seq, watcher.seq + countMax)) {
      this.entries.push({
        entry: 'watched',
        ...common,
        seq: event.seq,
        kind: event.kind,
        cursor: event.cursor,
      });
      watcher.seq = event.seq;
    }
    const cursor = this.events[watcher.seq - 1]?.cursor ?? 'cursor 0';
    this.entries.push({ entry: 'bookmark', ...common, seq: watcher.seq, cursor });
  }

  reconnect(process: string): void {
    this.#watcherOf(process).connection += 1;
  }

  killWatcher(process: string): void {
    this.#watcherOf(process).isGone = true;
  }

  /** Those that are still there receive the rest. */
  endWatches(): void {
    for (const [process, watcher] of this.#watchers) {
      if (watcher.isGone) continue;
      this.watch(process, this.events.length);
      this.entries.push({ entry: 'watch_end', process, at: this.#nowMs });
    }
  }

  #watcherOf(process: string): Watcher {
    const watcher = this.#watchers.get(process) ?? { seq: 0, connection: 1, isGone: false };
    this.#watchers.set(process, watcher);
    return watcher;
  }
}
