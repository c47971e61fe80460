/**
 * Reads tasks in their order, with all that belongs to them, and puts them together in requests. A portion at a time, and between two of
 * them the process does other things: the request before is written and answered while the next one is made.
 */
import { existsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ImportedTask } from '../../contract/import.ts';
import { type Row, textOf } from './cell.ts';
import type { Findings } from './findings.ts';
import type { HermesDatabase } from './hermes-database.ts';
import { importedTask, type Translation } from './hermes-task.ts';

/** Half of what a request may carry: a batch of usual tasks is written in some 200 ms, and nobody else waits longer. */
const BATCH_TASKS_MAX = 500;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Tasks read by one statement a table: some 15 ms, and by then the statements cost nothing beside the rows. */
const PORTION_TASKS = 100;

interface Member {
  readonly id: string;
  readonly rowid: number;
}

export interface Batched<T> {
  readonly member: T;
  readonly task: ImportedTask;
}

interface Batching<T> {
  readonly order: readonly T[];
  readonly parentsOf: ReadonlyMap<string, readonly string[]>;
  /** Ids of the tasks that keep their idempotency_key. */
  readonly holders: ReadonlySet<string>;
  readonly translation: Translation;
}

export async function* batchesOf<T extends Member>(
  database: HermesDatabase,
  batching: Batching<T>,
): AsyncGenerator<Batched<T>[], void> {
  let batch: Batched<T>[] = [];
  let bytes = 0;
  for (let at = 0; at < batching.order.length; at += PORTION_TASKS) {
    await nextTurn();
    for (const batched of readPortion(database, batching, at)) {
      const size = Buffer.byteLength(JSON.stringify(batched.task));
      if (batch.length === BATCH_TASKS_MAX || (batch.length > 0 && bytes + size > BATCH_BYTES_MAX)) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(batched);
      bytes += size;
    }
  }
  if (batch.length > 0) yield batch;
}

function readPortion<T extends Member>(
  database: HermesDatabase,
  { order, parentsOf, holders, translation }: Batching<T>,
  at: number,
): Batched<T>[] {
  const portion = order.slice(at, at + PORTION_TASKS);
  const ids = portion.map(({ id }) => id);
  const rows = database.tasks(portion.map(({ rowid }) => rowid));
  const runs = database.related('task_runs', ids);
  const comments = database.related('task_comments', ids);
  const events = database.related('task_events', ids);
  const attachments = database.related('task_attachments', ids);
  return portion.map((member) => {
    const { id, rowid } = member;
    const hermes = {
      row: rows.get(rowid) ?? {},
      runs: runs.get(id) ?? [],
      comments: comments.get(id) ?? [],
      events: events.get(id) ?? [],
      attachments: (attachments.get(id) ?? []).map((row) => withPresence(id, row, translation.findings)),
    };
    return { member, task: importedTask(id, hermes, holders.has(id), parentsOf.get(id) ?? [], translation) };
  });
}

/** Files are not taken over, so whoever reads the task later is told which of them were still there. */
function withPresence(id: string, row: Row, findings: Findings): Row {
  const path = textOf(row['stored_path']);
  if (path !== null && existsSync(path)) return row;
  findings.add('attachment_missing', `${id}: ${textOf(row['filename']) ?? path ?? 'without a name'}`);
  return { ...row, file_missing: 1 };
}
