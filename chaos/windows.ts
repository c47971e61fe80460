/**
 * How often a run really came through the moments in which a mistake would show. A run that never did has proved nothing, however many
 * hours it took: that is why a run of a minute must have come through each at least once.
 */
import { countFamilyWindows, doOverlap } from './family-windows.ts';
import type { FaultKind } from './faults.ts';
import type {
  CancelOperation,
  ClaimOperation,
  FinalState,
  HistoryEntry,
  Operation,
  PrunedState,
  RunOperation,
} from './history.ts';
import type { Recording } from './recorder.ts';
import { countRetentionWindows } from './retention-windows.ts';
import { countReturnWindows } from './return-windows.ts';
import { countServerWindows } from './server-windows.ts';
import type { WatchedEntry } from './watch-entries.ts';

export interface WindowCount {
  readonly window: string;
  readonly count: number;
  /** False: nothing in this run could have brought it about. */
  readonly isExpected: boolean;
}

export interface WindowInput {
  readonly recording: Recording;
  readonly final: FinalState;
  /** Of the board that prunes. */
  readonly shortMemory: { readonly entries: readonly HistoryEntry[]; readonly final: PrunedState };
  /** Those that were planned. */
  readonly faults: readonly FaultKind[];
  readonly hasTakeover: boolean;
  /** By name, as clients know them. */
  readonly serverUrls: ReadonlyMap<string, string>;
}

const OUTCOME_BY_END: Readonly<Record<string, string>> = {
  complete: 'completed',
  request_changes: 'changes_requested',
  fail: 'failed',
  release: 'released',
  block: 'blocked',
};
/** Between the last event of a connection and the first of the next: then the stream went on meanwhile. */
const MID_STREAM_MS = 2000;

export function countWindows(input: WindowInput): WindowCount[] {
  const { recording, final, shortMemory, faults, hasTakeover, serverUrls } = input;
  const run = new Run(recording, final);
  const families = countFamilyWindows(
    recording.entries.filter((entry) => entry.entry === 'operation'),
    final,
  );
  const returns = countReturnWindows(recording.entries, final);
  const servers = countServerWindows(recording.entries, serverUrls);
  const retention = countRetentionWindows(shortMemory.entries, shortMemory.final);
  const under = (kind: FaultKind, window: string, count: number): WindowCount => ({
    window,
    count,
    isExpected: faults.includes(kind),
  });
  const always = (window: string, count: number): WindowCount => ({ window, count, isExpected: true });
  return [
    always('lease lapsed, its holder wrote later', run.countLateWrites()),
    always('write of an older attempt refused', run.countStaleWrites()),
    always('end without an answer, yet accepted', run.countUnknownEnds()),
    always('end accepted again on retry', run.countRepeatedEnds()),
    always('completion and cancel at once', run.countCancelRaces()),
    always('claim made, its answer lost', run.countLostClaims()),
    always('pushed claim never acknowledged', run.countUnacknowledged()),
    always('create repeated under its key', run.countRepeatedCreates()),
    always('watcher cut in mid-stream and resumed', run.countResumedWatches()),
    always('two parents end at once', families.parentsEndingAtOnce),
    always('parent reopened while its child is being claimed', families.reopenedWhileClaimed),
    always('self-park meets the end of its helper', families.parkedAsHelperEnds),
    always('review claimed while it is accepted', families.reviewClaimedWhileAccepted),
    always('two children of a delegation end at once', returns.childrenEndingAtOnce),
    always('delegation refused for want of room', returns.refusedForCapacity),
    always('delegation decided by its deadline', returns.decidedByDeadline),
    always('delegation cancelled as its last child ends', returns.cancelledAsTheyEnded),
    always('delivery given out again', returns.lapsedDeliveries),
    always('reply failed, told directly', returns.repliesThatFailed),
    always('what a watcher would resume from was pruned', retention.toldExpired),
    always('watch resumed from the edge of a pruned log', retention.resumedAtEdge),
    always('parent kept beyond its time for a child', retention.parentsOutlivingTheirTime),
    always('finished task pruned', retention.prunedTasks),
    always('task held against a pruned log', retention.comparedTasks),
    under('kill-gateway', 'gateway killed between claim and ack', returns.gatewaysKilledWhileHolding),
    under('kill-server', 'server killed with operations under way', run.countKillsUnderWay('kill server')),
    {
      window: 'postgres killed with operations under way',
      count: run.countKillsUnderWay('kill postgres') + run.countKillsUnderWay('stop postgres'),
      isExpected: faults.includes('kill-postgres') || faults.includes('stop-postgres'),
    },
    under('jump-server-clock', 'claim held across a jump of its server', servers.heldAcrossServerJump),
    under('jump-server-clock', 'token made under a wrong clock, used later', servers.madeUnderWrongClock),
    under('jump-worker-clock', 'claim held across a jump of its worker', servers.heldAcrossWorkerJump),
    under('rolling-restart', 'request answered by a replaced server', servers.underWayAtReplacement),
    under('half-open-proxy', 'request on a half-open connection', servers.onHalfOpenConnection),
    under('failover', 'acknowledged just before a failover', servers.acknowledgedBeforeFailover),
    {
      window: 'lane taken over',
      count: final.events.filter(({ kind }) => kind === 'lane.taken_over').length,
      isExpected: hasTakeover,
    },
  ];
}

class Run {
  readonly #recording: Recording;
  readonly #final: FinalState;
  readonly #operations: readonly Operation[];
  readonly #writes: readonly RunOperation[];
  readonly #claims: readonly ClaimOperation[];
  /** Of each run in the tables. */
  readonly #outcomes: ReadonlyMap<string, string | null>;

  constructor(recording: Recording, final: FinalState) {
    this.#recording = recording;
    this.#final = final;
    this.#operations = recording.entries.filter((entry) => entry.entry === 'operation');
    this.#writes = this.#operations.filter((operation) => 'runId' in operation);
    this.#claims = this.#operations.filter((operation) => operation.kind === 'claim');
    this.#outcomes = new Map(final.runs.map((run) => [run.id, run.outcome]));
  }

  countLateWrites(): number {
    const late = this.#writes.filter(({ code, reason }) => code === 'claim_lost' && reason === 'crashed');
    return new Set(late.map(({ runId }) => runId)).size;
  }

  countStaleWrites(): number {
    const grants = new Map<string, { readonly attempt: number; readonly at: number }[]>();
    for (const operation of this.#claims) {
      for (const { taskId, attempt } of operation.claims) {
        const known = grants.get(taskId) ?? [];
        known.push({ attempt, at: operation.endedAt ?? Number.POSITIVE_INFINITY });
        grants.set(taskId, known);
      }
    }
    return this.#writes.filter(
      (write) =>
        write.code === 'claim_lost' &&
        grants.get(write.taskId)?.some(({ attempt, at }) => attempt > write.attempt && at < write.invokedAt),
    ).length;
  }

  countUnknownEnds(): number {
    const accepted = this.#writes.filter(
      ({ kind, ending, runId }) =>
        ending === 'unknown' &&
        OUTCOME_BY_END[kind] !== undefined &&
        this.#outcomes.get(runId) === OUTCOME_BY_END[kind],
    );
    return new Set(accepted.map(({ runId }) => runId)).size;
  }

  countRepeatedEnds(): number {
    const tried = new Set<string>();
    return this.#writes.filter(({ kind, ending, runId }) => {
      if (OUTCOME_BY_END[kind] === undefined) return false;
      const name = `${runId} ${kind}`;
      const isRepeat = tried.has(name) && ending === 'ok' && this.#outcomes.get(runId) !== null;
      if (ending !== 'fail') tried.add(name);
      return isRepeat;
    }).length;
  }

  countCancelRaces(): number {
    const cancels = new Map<string, CancelOperation[]>();
    for (const operation of this.#operations) {
      if (operation.kind !== 'cancel') continue;
      const known = cancels.get(operation.taskId);
      if (known === undefined) cancels.set(operation.taskId, [operation]);
      else known.push(operation);
    }
    return this.#writes.filter(
      (write) =>
        write.kind === 'complete' && cancels.get(write.taskId)?.some((cancel) => doOverlap(write, cancel)),
    ).length;
  }

  countLostClaims(): number {
    const known = new Set(this.#claims.flatMap(({ claims }) => claims.map(({ runId }) => runId)));
    return this.#final.events.filter(
      ({ kind, run_id: runId }) => kind === 'task.claimed' && !known.has(runId ?? ''),
    ).length;
  }

  countUnacknowledged(): number {
    const missed = this.#recording.notes.filter(({ note }) => note === 'unacknowledged');
    return missed.filter(({ runId }) => this.#outcomes.get(runId) === 'released').length;
  }

  countRepeatedCreates(): number {
    return this.#operations.filter((operation) => operation.kind === 'create' && operation.isReplay).length;
  }

  countResumedWatches(): number {
    const last = new Map<string, WatchedEntry>();
    let count = 0;
    for (const entry of this.#recording.entries) {
      if (entry.entry !== 'watched') continue;
      const before = last.get(entry.process);
      last.set(entry.process, entry);
      if (before === undefined || before.connection === entry.connection) continue;
      if (entry.seq === before.seq + 1 && entry.at - before.at < MID_STREAM_MS) count += 1;
    }
    return count;
  }

  /** Faults that operations were under way at whose answers never came. */
  countKillsUnderWay(fault: string): number {
    const kills = this.#recording.entries.filter(
      (entry: HistoryEntry) => entry.entry === 'fault' && entry.fault === fault,
    );
    return kills.filter(
      (kill) => 'at' in kill && this.#operations.some((operation) => spans(operation, kill.at)),
    ).length;
  }
}

function spans({ invokedAt, endedAt, ending }: Operation, at: number): boolean {
  return ending === 'unknown' && invokedAt < at && (endedAt ?? Number.POSITIVE_INFINITY) >= at;
}
