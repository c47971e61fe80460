/** One page of the audit log: of so many entries those that are wanted, however rare they are. */
import type { AuditEntry } from '../../../contract/audit.ts';
import type { Tx } from '../../db/client.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import {
  type AuditFilter,
  findBounds,
  findEdge,
  listEntries,
  readBounds,
  readCutBehind,
  type Stretch,
} from './store.ts';

/** Entries that one page looks at, some 10 ms. Behind them it ends, with a cursor to go on from, also when it has found nothing. */
const LOOKED_AT_MAX = 20_000;

export interface AuditPage {
  readonly entries: AuditEntry[];
  readonly cursor: string;
  readonly has_more: boolean;
}

/** At most one of them is given. */
export interface AuditRange {
  readonly after: string | undefined;
  readonly before: string | undefined;
  readonly rows: number;
}

interface Log {
  /** Numbers of the newest entry, and of the oldest that is kept. */
  readonly newest: number;
  readonly oldest: number;
}

export async function readPage(
  tx: Tx,
  { after, before, rows }: AuditRange,
  filter: AuditFilter,
): Promise<AuditPage> {
  const log = await readBounds(tx);
  const isBackwards = before !== undefined;
  const seq = placeOf(before ?? after ?? 'start', log);
  if (!isBackwards) await refuseTheForgotten(tx, after, seq, log);
  const all = await boundedByTime(tx, filter, log);
  const range = isBackwards
    ? { from: all.from, to: Math.min(all.to, seq - 1) }
    : { from: Math.max(all.from, seq + 1), to: all.to };
  const end = isBackwards ? range.from : range.to;
  const edge = (await findEdge(tx, range, isBackwards, LOOKED_AT_MAX)) ?? end;
  const stretch = isBackwards ? { ...range, from: edge } : { ...range, to: edge };
  const found = await listEntries(tx, { ...stretch, isBackwards }, filter, rows + 1);
  const entries = found.slice(0, rows);
  const last = entries.at(-1);
  if (found.length > rows && last !== undefined) return { entries, cursor: String(last.seq), has_more: true };
  if (edge !== end) return { entries, cursor: String(edge), has_more: true };
  // Later entries are still to be read by whoever goes on without `until`.
  const over = isBackwards ? log.oldest : Math.min(log.newest, Math.max(seq, all.to));
  return { entries, cursor: String(over), has_more: false };
}

/** The number behind which, or before which, is read. */
function placeOf(text: string, { newest, oldest }: Log): number {
  if (text === 'start') return oldest - 1;
  if (text === 'now') return newest + 1;
  const seq = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (seq <= newest) return seq;
  throw new ProblemError('invalid_cursor', 'There is no entry of the audit log with this number.');
}

async function refuseTheForgotten(
  tx: Tx,
  after: string | undefined,
  seq: number,
  { oldest }: Log,
): Promise<void> {
  // What followed a number of a time that a restore has taken back is not in the log any more, and what stands there is of another time.
  const lastSeq = after === undefined || after === 'start' ? null : await readCutBehind(tx, seq);
  if (lastSeq !== null)
    throw new ProblemError(
      'cursor_expired',
      `The database was restored to an earlier moment, and this number is of the time that was taken back. The log goes on after ${lastSeq}.`,
    );
  if (seq < oldest - 1)
    throw new ProblemError(
      'cursor_expired',
      `Entries up to ${oldest - 1} have been deleted by their age; "start" is the oldest that is kept.`,
    );
}

async function boundedByTime(tx: Tx, filter: AuditFilter, { newest, oldest }: Log): Promise<Stretch> {
  const { since, until } = await findBounds(tx, filter);
  return {
    from: filter.since === null ? oldest : (since ?? newest + 1),
    to: filter.until === null ? newest : (until ?? newest + 1) - 1,
  };
}
