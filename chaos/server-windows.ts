/**
 * The moments in which something happens to one server, or to a clock, that its clients must not notice: how often a run came through them.
 * A server is known by the address that was asked.
 */
import { groupBy } from './checkers/group-by.ts';
import { type Grant, isRunOperation, listGrants } from './checkers/run-record.ts';
import {
  type AtMs,
  type FaultEntry,
  type HistoryEntry,
  isWait,
  type Operation,
  type RunOperation,
} from './history.ts';

export interface ServerWindows {
  readonly heldAcrossServerJump: number;
  readonly madeUnderWrongClock: number;
  readonly heldAcrossWorkerJump: number;
  readonly underWayAtReplacement: number;
  readonly onHalfOpenConnection: number;
  readonly acknowledgedBeforeFailover: number;
}

/** Of a request that came upon a silent connection: what waits for nothing takes milliseconds, also on a busy machine. */
const HALF_OPEN_MS = 2000;
/** So soon after the connections fell silent, new ones do too. */
const FRESH_MS = 2500;
/** What is lost in a failover is lost from its last moments. */
const LAST_MOMENTS_MS = 250;

export function countServerWindows(
  entries: readonly HistoryEntry[],
  serverUrls: ReadonlyMap<string, string>,
): ServerWindows {
  const windows = new Windows(entries, serverUrls);
  return {
    heldAcrossServerJump: windows.countHeldAcrossServerJumps(),
    madeUnderWrongClock: windows.countMadeUnderWrongClocks(),
    heldAcrossWorkerJump: windows.countHeldAcrossWorkerJumps(),
    underWayAtReplacement: windows.countUnderWay(),
    onHalfOpenConnection: windows.countHalfOpen(),
    acknowledgedBeforeFailover: windows.countAcknowledged(),
  };
}

interface Lasting extends FaultEntry {
  readonly until: AtMs;
}

class Windows {
  readonly #operations: readonly Operation[];
  readonly #faults: readonly Lasting[];
  readonly #serverUrls: ReadonlyMap<string, string>;
  readonly #grants: readonly Grant[];
  /** By run: the writes that counted. */
  readonly #writes: ReadonlyMap<string, readonly RunOperation[]>;

  constructor(entries: readonly HistoryEntry[], serverUrls: ReadonlyMap<string, string>) {
    this.#operations = entries.filter((entry) => entry.entry === 'operation');
    this.#faults = entries.flatMap((entry) =>
      entry.entry === 'fault' && entry.until !== undefined ? [{ ...entry, until: entry.until }] : [],
    );
    this.#serverUrls = serverUrls;
    this.#grants = listGrants(this.#operations);
    this.#writes = groupBy(
      this.#operations.filter(isRunOperation).filter(({ ending }) => ending === 'ok'),
      ({ runId }) => runId,
    );
  }

  /** Claims that were held when the clock of a server jumped, and were written to through that server while it was wrong. */
  countHeldAcrossServerJumps(): number {
    return this.#countGrants('jump server clock', (grant, jump) => {
      const url = this.#urlOf(jump);
      return grant.endedAt < jump.at && this.#isWritten(grant, (write) => write.via === url, jump);
    });
  }

  /** Claims, and so tokens, that were made by a server whose clock was wrong, and were good when it was right again. */
  countMadeUnderWrongClocks(): number {
    return this.#countGrants('jump server clock', (grant, jump) => {
      const { via, invokedAt } = grant.operation;
      const isMadeThen = invokedAt > jump.at && grant.endedAt < jump.until;
      const later = { at: jump.until, until: Number.POSITIVE_INFINITY };
      return isMadeThen && via === this.#urlOf(jump) && this.#isWritten(grant, () => true, later);
    });
  }

  countHeldAcrossWorkerJumps(): number {
    return this.#countGrants('jump worker clock', (grant, jump) => {
      const isIts = ({ process }: Pick<Operation, 'process'>): boolean =>
        process.startsWith(`${jump.target}.`);
      return isIts(grant.operation) && grant.endedAt < jump.at && this.#isWritten(grant, isIts, jump);
    });
  }

  /** Requests that a server was at when it was replaced, and that were answered all the same. */
  countUnderWay(): number {
    return this.#countOperations('rolling restart', ({ invokedAt, endedAt, ending, via }, restart) => {
      const isUnderWay = invokedAt < restart.at && (endedAt ?? restart.at) > restart.at;
      return isUnderWay && ending === 'ok' && via === this.#urlOf(restart);
    });
  }

  countHalfOpen(): number {
    return this.#countOperations('half-open proxy', (operation, { at, target }) => {
      const { invokedAt, endedAt = Number.POSITIVE_INFINITY, via } = operation;
      const isCaught = invokedAt > at - HALF_OPEN_MS && invokedAt < at + FRESH_MS && endedAt > at;
      const [, server = ''] = target.split(' of ');
      const url = this.#serverUrls.get(server);
      return isCaught && !isWait(operation) && endedAt - invokedAt > HALF_OPEN_MS && via === url;
    });
  }

  /** What was acknowledged in the last moments of a database. */
  countAcknowledged(): number {
    return this.#countOperations('failover', ({ kind, ending, endedAt = 0 }, { at }) => {
      const isLast = endedAt <= at && endedAt >= at - LAST_MOMENTS_MS;
      return isLast && ending === 'ok' && kind !== 'collect';
    });
  }

  #isWritten(
    { runId }: Grant,
    isIt: (write: RunOperation) => boolean,
    { at, until }: Pick<Lasting, 'at' | 'until'>,
  ): boolean {
    const writes = this.#writes.get(runId) ?? [];
    return writes.some(
      (write) => isIt(write) && write.invokedAt > at && (write.endedAt ?? write.invokedAt) < until,
    );
  }

  #countGrants(fault: string, isIt: (grant: Grant, fault: Lasting) => boolean): number {
    const faults = this.#faults.filter((entry) => entry.fault === fault);
    return this.#grants.filter((grant) => faults.some((entry) => isIt(grant, entry))).length;
  }

  #countOperations(fault: string, isIt: (operation: Operation, fault: Lasting) => boolean): number {
    const faults = this.#faults.filter((entry) => entry.fault === fault);
    return this.#operations.filter((operation) => faults.some((entry) => isIt(operation, entry))).length;
  }

  #urlOf({ target }: FaultEntry): string | undefined {
    return this.#serverUrls.get(target);
  }
}
