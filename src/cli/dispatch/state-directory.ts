/**
 * What a dispatcher of a name keeps on disk for the next one of that name: who holds it, and a directory for each run.
 * One process at a time: the holder is a file that names it by pid and start time, so kill -9 leaves no lock behind.
 *
 * The holder's file carries a number and the highest number counts. A stale one is not deleted but followed: whoever
 * links the next number first has it, and the file system decides between two that try. Deleting and creating
 * one file would let a slow starter delete what a faster one has just taken.
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  type Dirent,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseObject } from '../../client/errors.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import { pidSpace, startTimeOf } from '../worker/process-table.ts';

/** As the server makes them; strict only as far as nothing else is taken for one, since what is left of a run is removed. */
const RUN_ID = /^run_[a-z0-9]{26}$/;
const HOLDER_FILE = /^holder\.(\d{1,15})$/;
/** How often a holder shows whoever cannot see its pid, in another container, that it lives. */
const BEAT_MS = 5_000;
/** Three beats, so that a short stall costs nobody the name. */
const SILENT_MS = 15_000;
/** Each failed attempt means that somebody else took the name meanwhile, so the next look normally ends it. */
const ATTEMPTS_MAX = 20;

export class StateDirectory {
  readonly path: string;
  /** Differs from that of every other holder; stands in the file `holder`. */
  readonly word = randomUUID();
  readonly #lock: string;
  readonly #beat: ReturnType<typeof setInterval>;

  private constructor(path: string, number: number) {
    this.path = path;
    this.#lock = join(path, `holder.${number}`);
    // Whole or not at all: a guard takes any other word for that of a successor.
    const unfinished = join(path, 'holder.unfinished');
    writeFileSync(unfinished, `${this.word}\n`, { mode: 0o600 });
    renameSync(unfinished, join(path, 'holder'));
    this.#beat = setInterval(() => this.#touch(), BEAT_MS);
    this.#beat.unref();
  }

  /** Throws when another process holds it. */
  static take(given: string): StateDirectory {
    keepPrivate(given);
    // Processes are known again by the path that they were started with, whichever way leads to it.
    const path = realpathSync(given);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const highest = Math.max(0, ...numbersIn(path));
      refuseWhileHeld(path, highest);
      if (takeNumber(path, highest + 1)) return new StateDirectory(path, highest + 1);
    }
    throw new ExitError(EXIT.conflict, `Other dispatchers keep taking ${path}`);
  }

  /** Below `path`, as the orphan guard wants it. */
  runDirectory(runId: string): string {
    return join('runs', runId);
  }

  /** Of `runs`: what dispatchers have made, and what somebody else has put there. */
  contents(): { readonly runs: readonly string[]; readonly strangers: readonly string[] } {
    const entries = readdirSync(join(this.path, 'runs'), { withFileTypes: true });
    const isRun = (entry: Dirent): boolean => entry.isDirectory() && RUN_ID.test(entry.name);
    return {
      runs: entries.filter(isRun).map(({ name }) => name),
      strangers: entries.filter((entry) => !isRun(entry)).map(({ name }) => join('runs', name)),
    };
  }

  /** Afterwards another process may take it. */
  release(): void {
    clearInterval(this.#beat);
    try {
      // The file stays, so that numbers never fall.
      writeFileSync(this.#lock, '{}\n');
    } catch {
      // Whoever is next finds that our process is gone.
    }
  }

  #touch(): void {
    const now = new Date();
    try {
      utimesSync(this.#lock, now, now);
    } catch {
      // Deleted under us: there is nothing left to hold.
    }
  }
}

/** It holds the tokens of claims. One that was there before may have been made for anything. */
function keepPrivate(path: string): void {
  mkdirSync(join(path, 'runs'), { recursive: true, mode: 0o700 });
  try {
    for (const each of [path, join(path, 'runs')]) chmodSync(each, 0o700);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ExitError(
      EXIT.error,
      `${path} cannot be kept from other users, and is to hold the tokens of claims: ${why}. ` +
        'Next: give --state-dir a directory of your own.',
    );
  }
}

function refuseWhileHeld(path: string, number: number): void {
  if (number === 0) return;
  const file = join(path, `holder.${number}`);
  const { pid, started_at, pid_space } = parseObject(readOr(file, '')) ?? {};
  if (typeof pid !== 'number') return;
  const isOurs = pid_space === pidSpace() && typeof started_at === 'string';
  const isHeld = isOurs
    ? startTimeOf(pid) === started_at
    : Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < SILENT_MS;
  if (!isHeld) return;
  const where = isOurs ? '' : ' in another container or on another machine';
  throw new ExitError(
    EXIT.conflict,
    `A dispatcher of this name (pid ${pid}${where}) is running already: ${path}. ` +
      'Stop it first, or give this one another --name.',
  );
}

function takeNumber(path: string, number: number): boolean {
  const file = join(path, `holder.${number}`);
  const unfinished = join(path, `unfinished.${randomUUID()}`);
  const record = { pid: process.pid, started_at: startTimeOf(process.pid), pid_space: pidSpace() };
  writeFileSync(unfinished, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(unfinished, file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
  const numbers = numbersIn(path);
  if (Math.max(...numbers) > number) {
    // Others took and passed this number while we looked at the one before it.
    rmSync(file, { force: true });
    return false;
  }
  for (const older of numbers) if (older < number) rmSync(join(path, `holder.${older}`), { force: true });
  return true;
}

function numbersIn(path: string): number[] {
  return readdirSync(path).flatMap((name) => {
    const digits = HOLDER_FILE.exec(name)?.[1];
    return digits === undefined ? [] : [Number.parseInt(digits, 10)];
  });
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
