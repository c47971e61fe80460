/**
 * Of property 4, what the tables cannot show: whoever waits for work is woken when there is some.
 *
 * Proves: while nothing was broken, no claim request that was answered waited on its lane next to one and the same task that it could have
 * claimed there all that time, to work on it or to review it, for longer than the bound. The bound lies between the poll that makes up for lost notifications and the look
 * that a waiting claim takes by itself: what is found is the loss of both wake-ups, or a waiter that was forgotten.
 *
 * Conservative: times in which a lane was paused, draining, capped or not for workers do not count, nor does what lies within or soon after a
 * fault of a server, the database or a proxy, or beside any request that took long though it waits for nothing: then the machine had more to
 * do than it could. A fault of a client counts against its own waits only. Cannot prove: that a wake was fast,
 * anything about lanes that are pushed to, nor about a run that was never left in peace for longer than the bound.
 */
import {
  type AtMs,
  type ClaimOperation,
  type FaultEntry,
  type FinalState,
  type HistoryEntry,
  isWait,
  type Violation,
} from '../history.ts';
import { databaseClock } from './database-clock.ts';
import { groupBy } from './group-by.ts';
import { listReadySpans, type ReadySpan, type Span } from './ready-spans.ts';

export interface WakeBounds {
  /** A task next to a waiter for longer than this was forgotten. */
  readonly wakeMs: number;
  /** How long after a fault the system may take to be well again. */
  readonly settleMs: number;
  /** While a request that waits for nothing takes longer than this, nobody is expected to be woken in time. */
  readonly slowMs: number;
}

/**
 * A server polls for what it was not notified of once a second at the latest, and a waiting claim looks by itself after five. What it takes to
 * start a server, to reconnect to the database, and for requests that were under way to be answered. And a sixth of the first: a wake goes
 * through a commit, a poll, a read, a claim and its answer.
 */
export const DEFAULT_WAKE_BOUNDS: WakeBounds = { wakeMs: 3000, settleMs: 5000, slowMs: 500 };

export function checkLostWakes(
  entries: readonly HistoryEntry[],
  final: FinalState,
  { wakeMs, settleMs, slowMs }: WakeBounds,
): Violation[] {
  const waits = listWaits(entries).filter((wait) => wait.until - wait.from > wakeMs);
  if (waits.length === 0) return [];
  const faults = entries.filter((entry) => entry.entry === 'fault');
  const clients = listClients(entries);
  const troubles = [
    ...faults
      .filter((fault) => !clients.has(fault.target))
      .map(({ at, until = at }) => ({ from: at, until: until + settleMs })),
    ...listSlowRequests(entries, slowMs),
  ];
  const calms = listCalms(troubles, final.readAtMs, wakeMs);
  const spans = listReadySpans(final.events, databaseClock(final), final.readAtMs)
    .filter((span) => span.until - span.from > wakeMs)
    .flatMap((span) => cutToCalms(span, calms))
    .filter((span) => span.until - span.from > wakeMs);
  const searches = new Map(
    [...groupBy(spans, (span) => span.lane)].map(([lane, own]) => [lane, new SpanSearch(own, wakeMs)]),
  );
  const faultsByTarget = groupBy(faults, (fault) => fault.target);
  return waits.flatMap((wait) => {
    const { operation } = wait;
    const own = namesOf(operation.process).flatMap((name) => faultsByTarget.get(name) ?? []);
    if (own.some((fault) => touches(fault, wait, settleMs))) return [];
    const span = searches.get(operation.lane)?.find(wait);
    if (span === undefined) return [];
    const detail = 'a task could be claimed while a worker waited for it: its wake was lost';
    return [{ property: 4, detail, evidence: { wait: operation, span } }];
  });
}

/** From when a claim was asked for until it was answered, with or without tasks. */
interface Wait extends Span {
  readonly operation: ClaimOperation;
}

function listWaits(entries: readonly HistoryEntry[]): Wait[] {
  return entries.flatMap((entry) => {
    if (entry.entry !== 'operation' || entry.kind !== 'claim' || entry.ending !== 'ok') return [];
    return entry.endedAt === undefined
      ? []
      : [{ operation: entry, from: entry.invokedAt, until: entry.endedAt }];
  });
}

/** "worker-3.2" is a life of "worker-3". */
function namesOf(process: string): string[] {
  const [name = process] = process.split('.');
  return name === process ? [process] : [process, name];
}

function listClients(entries: readonly HistoryEntry[]): ReadonlySet<string> {
  return new Set(entries.flatMap((entry) => (entry.entry === 'fault' ? [] : namesOf(entry.process))));
}

function touches(fault: FaultEntry, span: Span, settleMs: number): boolean {
  return fault.at <= span.until && (fault.until ?? fault.at) + settleMs >= span.from;
}

/** When requests were under way that should have been answered long before. */
function listSlowRequests(entries: readonly HistoryEntry[], slowMs: number): Span[] {
  return entries.flatMap((entry) => {
    if (entry.entry !== 'operation' || isWait(entry) || entry.endedAt === undefined) return [];
    const { invokedAt: from, endedAt: until } = entry;
    return until - from > slowMs ? [{ from, until }] : [];
  });
}

/** The stretches without trouble, as far as they are long enough to prove anything. */
function listCalms(troubles: readonly Span[], endAt: AtMs, wakeMs: number): Span[] {
  const calms: Span[] = [];
  let from = Number.NEGATIVE_INFINITY;
  for (const trouble of [...troubles].sort((left, right) => left.from - right.from)) {
    if (trouble.from - from > wakeMs) calms.push({ from, until: trouble.from });
    from = Math.max(from, trouble.until);
  }
  if (endAt - from > wakeMs) calms.push({ from, until: endAt });
  return calms;
}

/** Calms are few: each is longer than the bound. */
function cutToCalms(span: ReadySpan, calms: readonly Span[]): ReadySpan[] {
  return calms.flatMap((calm) => {
    const from = Math.max(span.from, calm.from);
    const until = Math.min(span.until, calm.until);
    return from < until ? [{ ...span, from, until }] : [];
  });
}

/** Finds a span that a wait overlaps for longer than the bound. All spans and waits are longer than it. */
class SpanSearch {
  readonly #wakeMs: AtMs;
  readonly #spans: readonly ReadySpan[];
  /** Those that are not for everybody. Few last longer than the bound. */
  readonly #reviews: readonly ReadySpan[];
  /** Beside each span, of it and all that begin before it, the one that ends last. */
  readonly #lasting: readonly ReadySpan[];

  constructor(spans: readonly ReadySpan[], wakeMs: AtMs) {
    this.#wakeMs = wakeMs;
    this.#reviews = spans.filter((span) => span.exceptWorker !== null);
    this.#spans = spans
      .filter((span) => span.exceptWorker === null)
      .sort((left, right) => left.from - right.from);
    let lasting: ReadySpan | undefined;
    this.#lasting = this.#spans.map((span) => {
      lasting = lasting === undefined || span.until > lasting.until ? span : lasting;
      return lasting;
    });
  }

  find(wait: Wait): ReadySpan | undefined {
    const place = this.#countUntil(wait.from);
    const before = this.#lasting[place - 1];
    if (before !== undefined && before.until - wait.from > this.#wakeMs) return before;
    const after = this.#spans[place];
    if (after !== undefined && wait.until - after.from > this.#wakeMs) return after;
    return this.#reviews.find(
      (span) =>
        span.exceptWorker !== wait.operation.worker &&
        Math.min(span.until, wait.until) - Math.max(span.from, wait.from) > this.#wakeMs,
    );
  }

  /** How many begin at that moment or before it. */
  #countUntil(at: AtMs): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#spans[middle]?.from ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
