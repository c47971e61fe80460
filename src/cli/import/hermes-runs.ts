/** Runs of Hermes as runs here: one for each attempt, first attempt first. */
import { LIMITS } from '../../contract/constants.ts';
import type { ImportedTask } from '../../contract/import.ts';
import type { Outcome } from '../../contract/statuses.ts';
import { cutText, integerOf, objectOf, type Row, textOf, timeOf, wordOf } from './cell.ts';
import type { HermesLanes } from './hermes-lanes.ts';
import { keptColumns } from './legacy.ts';

export type ImportedRun = ImportedTask['runs'][number];

/** By Hermes's outcome, or by its status where a run that is over has none. */
const OUTCOMES: Readonly<Record<string, Outcome>> = {
  completed: 'completed',
  done: 'completed',
  // Handing over for review is how an attempt ends well here.
  review_requested: 'completed',
  review: 'completed',
  changes_requested: 'changes_requested',
  blocked: 'blocked',
  dependency_wait: 'blocked',
  scheduled: 'released',
  released: 'released',
  reclaimed: 'reclaimed',
  crashed: 'crashed',
  // No sign of life for an hour: what ends a lease here.
  stale: 'crashed',
  timed_out: 'timed_out',
  failed: 'failed',
  spawn_failed: 'failed',
  gave_up: 'failed',
  rate_limited: 'failed',
};

/** What a run becomes that ended in a way nobody knows. */
const UNKNOWN_OUTCOME: Outcome = 'failed';
/** Of all runs of a task; the wire takes 8 MiB with everything else of a batch. */
const DETAIL_BYTES_MAX = 2 * 1024 * 1024;
const METADATA_BYTES_MAX = 192 * 1024;
const CARRIED = new Set(['task_id', 'profile', 'started_at', 'ended_at', 'summary', 'error', 'metadata']);

export interface HermesRuns {
  readonly runs: readonly ImportedRun[];
  readonly openIds: readonly (number | null)[];
  readonly isCut: boolean;
  readonly isHistoryCut: boolean;
}

function wordsOf(row: Row): { outcome: string | null; status: string | null } {
  return { outcome: wordOf(row['outcome']), status: wordOf(row['status']) };
}

function isOpen(row: Row): boolean {
  const { outcome, status } = wordsOf(row);
  return outcome === null && timeOf(row['ended_at']) === null && OUTCOMES[status ?? ''] === undefined;
}

/** @param fallbackAt When nothing says when a run began. */
export function runsOf(rows: readonly Row[], lanes: HermesLanes, fallbackAt: string): HermesRuns {
  const byAge = rows
    .map((row, index) => ({
      row,
      index,
      at: timeOf(row['started_at']) ?? timeOf(row['ended_at']) ?? fallbackAt,
    }))
    .sort((left, right) => left.at.localeCompare(right.at) || left.index - right.index);
  const kept = byAge.slice(-RUNS_MAX);
  const cut = { texts: false, history: kept.length < rows.length };
  const runs: ImportedRun[] = [];
  let freeBytes = DETAIL_BYTES_MAX;
  // From the newest on: when there is no room for all, it is the oldest that lose their details.
  for (const { row, at } of kept.reverse()) {
    const run = runOf(row, lanes, at);
    freeBytes -= Buffer.byteLength(JSON.stringify(run.run));
    runs.unshift(freeBytes < 0 ? bareRun(run.run) : run.run);
    cut.texts ||= run.isCut;
    cut.history ||= freeBytes < 0;
  }
  return {
    runs,
    openIds: rows.filter(isOpen).map((row) => integerOf(row['id'])),
    isCut: cut.texts,
    isHistoryCut: cut.history,
  };
}

/** One is left for the result of a task that nobody ever claimed. */
const RUNS_MAX = LIMITS.importedRunsMax - 1;

function runOf(row: Row, lanes: HermesLanes, startedAt: string): { run: ImportedRun; isCut: boolean } {
  const { outcome, status } = wordsOf(row);
  const isReclaimed = isOpen(row);
  const summary = cutText(textOf(row['summary']) ?? '', LIMITS.jsonBytesMax, LIMITS.summaryCharactersMax);
  const error = cutText(textOf(row['error']) ?? '', LIMITS.jsonBytesMax, LIMITS.reasonCharactersMax);
  const metadata = metadataOf(row, isReclaimed);
  const mapped = OUTCOMES[outcome ?? status ?? ''] ?? UNKNOWN_OUTCOME;
  return {
    run: {
      outcome: isReclaimed ? 'reclaimed' : mapped,
      lane: lanes.laneOf(row['profile']),
      started_at: startedAt,
      // Of a run that was open nothing says when it ended but the import.
      ended_at: isReclaimed ? null : (timeOf(row['ended_at']) ?? startedAt),
      summary: summary.text === '' ? null : summary.text,
      error: isReclaimed ? 'imported' : error.text || null,
      metadata: metadata.value,
    },
    isCut: summary.isCut || error.isCut || metadata.isCut,
  };
}

/** What the worker had said, and beside it, under `hermes`, the rest of the row. */
function metadataOf(row: Row, isReclaimed: boolean): { value: Record<string, unknown>; isCut: boolean } {
  const { value: columns, leftOut } = keptColumns(row, CARRIED);
  const said = objectOf(row['metadata']);
  const raw = said === null ? textOf(row['metadata']) : null;
  const hermes = {
    ...columns,
    ...(isReclaimed ? { note: 'imported', error: textOf(row['error']) } : {}),
    ...(raw === null ? {} : { metadata: raw }),
  };
  const value = { ...said, hermes };
  if (Buffer.byteLength(JSON.stringify(value)) <= METADATA_BYTES_MAX)
    return { value, isCut: leftOut.length > 0 };
  return { value: { hermes: { ...columns, columns_left_out: ['metadata'] } }, isCut: true };
}

function bareRun({ outcome, lane, started_at, ended_at }: ImportedRun): ImportedRun {
  return { outcome, lane, started_at, ended_at };
}

/** The attempt that a person's verdict is, or that an older board kept no record of. */
export function runOfResult(result: string | null, at: string): ImportedRun {
  return {
    outcome: 'completed',
    lane: null,
    started_at: at,
    ended_at: at,
    result,
    metadata: { hermes: { note: 'no run of it was kept' } },
  };
}
