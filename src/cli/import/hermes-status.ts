/** Where a Hermes task stands here. Pure: a row, and what its events say of it. */
import { LIMITS } from '../../contract/constants.ts';
import type { ImportedTask } from '../../contract/import.ts';
import type { WORKER_BLOCK_KINDS } from '../../contract/statuses.ts';
import { boundedIntegerOf, cutText, integerOf, objectOf, type Row, textOf, timeOf, wordOf } from './cell.ts';
import type { Finding } from './findings.ts';

export type Standing = Pick<ImportedTask, 'status' | 'blocked' | 'run_at'> & {
  readonly findings: readonly Finding[];
};

/** Hermes's own: how many failures a task may have that names no number. */
const DEFAULT_FAILURE_LIMIT = 2;
/** What a fork calls the time of a scheduled task. */
const TIME_COLUMNS = ['scheduled_at', 'run_at', 'not_before'];

export function standingOf(row: Row, events: readonly Row[]): Standing {
  const status = wordOf(row['status'])?.toLowerCase();
  switch (status) {
    case 'triage':
    case 'ready':
    case 'review':
    case 'done':
    case 'archived':
      return { status, findings: [] };
    // Waiting for parents is what ready means to an import, as long as one of them is not done.
    case 'todo':
      return { status: 'ready', findings: [] };
    case 'running':
      return { status: isReviewing(events) ? 'review' : 'ready', findings: ['running'] };
    case 'blocked':
      return blocked(row, events);
    case 'scheduled':
      return scheduled(row, events);
    default:
      return { status: 'triage', findings: ['unknown_status'] };
  }
}

function newest(events: readonly Row[], ...kinds: readonly string[]): Row | undefined {
  return events.findLast((event) => kinds.includes(wordOf(event['kind']) ?? ''));
}

function payloadOf(event: Row | undefined): Readonly<Record<string, unknown>> {
  return objectOf(event?.['payload']) ?? {};
}

function isReviewing(events: readonly Row[]): boolean {
  return payloadOf(newest(events, 'claimed'))['source_status'] === 'review';
}

/** Who handed the work over, and to whom, as the newest hand-over says. */
export function handOverOf(events: readonly Row[]): { implementer: string | null; reviewer: string | null } {
  const { implementer, reviewer } = payloadOf(newest(events, 'review_requested'));
  const nameOf = (value: unknown): string | null => (typeof value === 'string' ? wordOf(value) : null);
  return { implementer: nameOf(implementer), reviewer: nameOf(reviewer) };
}

function blocked(row: Row, events: readonly Row[]): Standing {
  const block = newest(events, 'blocked');
  const failures = integerOf(row['consecutive_failures'] ?? row['spawn_failures']) ?? 0;
  const limit = integerOf(row['max_retries']) ?? DEFAULT_FAILURE_LIMIT;
  const gaveUp = newest(events, 'gave_up', 'blocked', 'unblocked');
  const hasGivenUp = wordOf(gaveUp?.['kind']) === 'gave_up' || (block === undefined && failures >= limit);
  const lastError = textOf(row['last_failure_error'] ?? row['last_spawn_error']);
  const said = hasGivenUp ? (payloadOf(gaveUp)['error'] ?? lastError) : payloadOf(block)['reason'];
  const kind = workerKindOf(row);
  return {
    status: 'blocked',
    blocked: {
      kind: hasGivenUp ? 'gave_up' : kind,
      reason: reasonOf(typeof said === 'string' ? said : null),
    },
    findings: isSticky(events) || hasGivenUp ? [] : ['not_sticky'],
  };
}

/** An explicit block that nobody has taken back. Where the events were pruned, the status is all there is, and it counts. */
function isSticky(events: readonly Row[]): boolean {
  if (events.length === 0) return true;
  return wordOf(newest(events, 'blocked', 'unblocked')?.['kind']) === 'blocked';
}

function scheduled(row: Row, events: readonly Row[]): Standing {
  const runAt = TIME_COLUMNS.map((column) => timeOf(row[column])).find((at) => at !== null);
  if (runAt !== undefined) return { status: 'scheduled', run_at: runAt, findings: [] };
  const { reason } = payloadOf(newest(events, 'scheduled'));
  const text = reasonOf(typeof reason === 'string' ? reason : null);
  return {
    status: 'blocked',
    blocked: { kind: 'operator', reason: text ?? 'scheduled in Hermes, without a time' },
    findings: ['scheduled_without_time'],
  };
}

type WorkerKind = (typeof WORKER_BLOCK_KINDS)[number];
/** Hermes has the same four. The compiler holds them against the contract. */
const WORKER_KINDS: Record<WorkerKind, true> = {
  needs_input: true,
  dependency: true,
  capability: true,
  transient: true,
};

function workerKindOf(row: Row): WorkerKind | null {
  const word = wordOf(row['block_kind']);
  return (Object.keys(WORKER_KINDS) as WorkerKind[]).find((kind) => kind === word) ?? null;
}

function reasonOf(text: string | null): string | null {
  if (text === null || text.trim() === '') return null;
  return cutText(textOf(text) ?? '', LIMITS.jsonBytesMax, LIMITS.reasonCharactersMax).text;
}

const STREAK_MAX = 1000;

/** Hermes counts the blocks after the first. Unblocking keeps them, here as there. */
export function blockStreakOf(row: Row, status: string): ImportedTask['block_streak'] {
  const again = boundedIntegerOf(row['block_recurrences'], 0, STREAK_MAX - 1) ?? 0;
  const kind = workerKindOf(row);
  if (again === 0 && kind === null && status !== 'blocked') return null;
  return { length: again + 1, kind };
}
