/**
 * What Lanekeeper has no place of its own for, kept with the task: `payload.hermes` holds the row as it was, whatever columns it has, and
 * the newest of its events.
 */
import { type Cell, integerOf, jsonOf, type Row, textOf, timeOf } from './cell.ts';

/** Workers read the payload with every claim, so it holds what explains a task, not its whole history. */
const LEGACY_EVENTS_MAX = 50;
const EVENT_BYTES_MAX = 16 * 1024;
const CELL_BYTES_MAX = 8 * 1024;
/** The wire takes 256 KiB of payload. */
const COLUMN_BYTES_MAX = 64 * 1024;
const FILE_BYTES_MAX = 16 * 1024;

/** In fields of their own, word for word. */
const CARRIED = new Set(['id', 'title', 'body', 'result']);

export interface Legacy {
  readonly value: Readonly<Record<string, unknown>>;
  readonly eventsLeftOut: number;
  readonly isCut: boolean;
}

export function legacyOf(
  row: Row,
  events: readonly Row[],
  attachments: readonly Row[],
  more: Readonly<Record<string, unknown>>,
): Legacy {
  const columns = keptColumns(row, CARRIED);
  const kept = newestEvents(events);
  const files = newestWithin(
    FILE_BYTES_MAX,
    attachments.map((file) => keptColumns(file, new Set(['task_id'])).value),
  );
  const eventsLeftOut = events.length - kept.length;
  const isCut = columns.leftOut.length > 0 || files.length < attachments.length;
  return {
    value: {
      ...columns.value,
      ...(columns.leftOut.length === 0 ? {} : { columns_left_out: columns.leftOut }),
      ...(files.length === 0 ? {} : { attachments: files }),
      ...(kept.length === 0 ? {} : { events: kept }),
      ...(eventsLeftOut === 0 ? {} : { events_left_out: eventsLeftOut }),
      ...more,
    },
    eventsLeftOut,
    isCut,
  };
}

/** Columns that have a value, known or not, as far as there is room. */
export function keptColumns(
  row: Row,
  except: ReadonlySet<string>,
): { value: Record<string, unknown>; leftOut: string[] } {
  const value: Record<string, unknown> = {};
  const leftOut: string[] = [];
  let freeBytes = COLUMN_BYTES_MAX;
  for (const [name, cell] of Object.entries(row)) {
    if (cell === null || except.has(name) || name === '__proto__') continue;
    const kept = jsonOf(cell);
    const bytes = Buffer.byteLength(JSON.stringify(kept));
    if (bytes > CELL_BYTES_MAX || bytes > freeBytes) leftOut.push(name);
    else {
      value[name] = kept;
      freeBytes -= bytes;
    }
  }
  return { value, leftOut };
}

function newestEvents(events: readonly Row[]): Record<string, unknown>[] {
  const shown = [...events].slice(-LEGACY_EVENTS_MAX).map((event) => ({
    id: integerOf(event['id']),
    kind: textOf(event['kind']),
    at: timeOf(event['created_at']),
    ...given('run_id', event['run_id']),
    ...given('payload', event['payload']),
  }));
  return newestWithin(EVENT_BYTES_MAX, shown);
}

function newestWithin(
  bytesMax: number,
  values: readonly Record<string, unknown>[],
): Record<string, unknown>[] {
  let freeBytes = bytesMax;
  const tooOld = values.findLastIndex((value) => {
    freeBytes -= Buffer.byteLength(JSON.stringify(value));
    return freeBytes < 0;
  });
  return values.slice(tooOld + 1);
}

function given(name: string, cell: Cell | undefined): Record<string, unknown> {
  return cell === null || cell === undefined ? {} : { [name]: jsonOf(cell) };
}
