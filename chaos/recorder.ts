/**
 * Writes what a process sees to a file of its own, and reads all files of a run back. An operation is written when it begins and again
 * when it ends; the file is written to before anything goes on, so that a process that is killed loses nothing that it had done. Not
 * synced to disk: the machine is not killed.
 */
import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { AtMs, Ending, HistoryEntry, Operation } from './history.ts';

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type Filled = 'entry' | 'process' | 'invokedAt' | 'endedAt' | 'ending' | 'code' | 'reason';
/** What is known of an operation when it begins. */
export type NewOperation = Without<Operation, Filled>;
/** What its end adds. */
export interface OperationEnd {
  readonly ending: Ending;
  readonly code?: string;
  readonly reason?: string;
  readonly [field: string]: unknown;
}

/** Something of the load's own that no checker asks for, but who counts how often a window was hit does. */
export interface Note {
  /** A pushed claim whose arrival its worker kept to itself. */
  readonly note: 'unacknowledged';
  readonly process: string;
  readonly at: AtMs;
  readonly runId: string;
}

type Line =
  | { readonly line: 'begun'; readonly id: number; readonly operation: Operation }
  | { readonly line: 'ended'; readonly id: number; readonly end: OperationEnd & { readonly endedAt: AtMs } }
  | { readonly line: 'entry'; readonly entry: HistoryEntry }
  | { readonly line: 'note'; readonly note: Note };

const SUFFIX = '.history.jsonl';

/** CLOCK_MONOTONIC, which all processes of a machine share. */
export function nowMs(): AtMs {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class Recorder {
  readonly process: string;
  readonly #file: number;
  #lastId = 0;

  constructor(directory: string, process: string) {
    this.process = process;
    this.#file = openSync(join(directory, `${process}${SUFFIX}`), 'a');
  }

  /** Returns what is to be called with its end. */
  begin(operation: NewOperation): (end: OperationEnd) => void {
    this.#lastId += 1;
    const id = this.#lastId;
    const begun = {
      ...operation,
      entry: 'operation',
      process: this.process,
      invokedAt: nowMs(),
      ending: 'unknown',
    } as Operation;
    this.#write({ line: 'begun', id, operation: begun });
    return (end) => this.#write({ line: 'ended', id, end: { ...end, endedAt: nowMs() } });
  }

  write(entry: HistoryEntry): void {
    this.#write({ line: 'entry', entry });
  }

  note(note: Omit<Note, 'process' | 'at'>): void {
    this.#write({ line: 'note', note: { ...note, process: this.process, at: nowMs() } });
  }

  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

export interface Recording {
  /** By time: operations by when they began. */
  readonly entries: readonly HistoryEntry[];
  readonly notes: readonly Note[];
}

export function readRecording(directory: string): Recording {
  const entries: HistoryEntry[] = [];
  const notes: Note[] = [];
  for (const name of readdirSync(directory).filter((name) => name.endsWith(SUFFIX))) {
    const operations = new Map<number, Operation>();
    for (const line of readLines(join(directory, name))) {
      if (line.line === 'begun') operations.set(line.id, line.operation);
      else if (line.line === 'entry') entries.push(line.entry);
      else if (line.line === 'note') notes.push(line.note);
      else {
        const begun = operations.get(line.id);
        if (begun === undefined) throw new Error(`${name}: operation ${line.id} ends and never began`);
        operations.set(line.id, { ...begun, ...line.end } as Operation);
      }
    }
    entries.push(...operations.values());
  }
  return { entries: entries.sort((one, other) => timeOf(one) - timeOf(other)), notes };
}

/** All that happened in a run whose files are in that directory. */
export function readHistory(directory: string): readonly HistoryEntry[] {
  return readRecording(directory).entries;
}

function timeOf(entry: HistoryEntry): AtMs {
  return entry.entry === 'operation' ? entry.invokedAt : entry.at;
}

/** Without the last line of a process that was killed while it wrote it. */
function readLines(path: string): Line[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const unfinished = lines.pop();
  if (unfinished === undefined) return [];
  return lines.map((line) => JSON.parse(line) as Line);
}
