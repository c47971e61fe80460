/**
 * All that is known of one run, on disk: the claim, what the process reads and writes, its pid, and how it ended. So
 * whoever comes next finds what a dispatcher that was killed has left. It holds the token of the claim, and is its user's alone.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isObject, parseObject } from '../../client/errors.ts';
import type { StopReason } from '../../client/worker/run-end.ts';
import { pidSpace } from '../worker/process-table.ts';
import type { RunClaim } from '../worker/run-claim.ts';

export interface RunRecord {
  readonly claim: RunClaim;
  readonly startedAt: string;
  readonly timeoutSeconds: number | null;
  /** Why it was told to end, if it was. */
  readonly stopped: StopReason | null;
  /** Where its pid means that process. */
  readonly pidSpace: string;
}

export class RunDirectory {
  readonly path: string;
  #record: RunRecord | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** The process reads the document from its stdin. What is around it may have been swept away: tidying up is no outage. */
  create(record: RunRecord, document: string): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    mkdirSync(this.path, { mode: 0o700 });
    writeFileSync(this.file('task.json'), document, { mode: 0o600 });
    this.#write(record);
  }

  /** null: there is none that makes sense. */
  read(): RunRecord | null {
    this.#record = recordOf(parseObject(this.#textOf('run.json')));
    return this.#record;
  }

  /** As its record says; false as long as that was not read. */
  get isOfThisPidSpace(): boolean {
    return this.#record?.pidSpace === pidSpace();
  }

  /** Throws what the file system says, as all that writes does. What it holds then is the newest all the same. */
  changeToken(token: string): void {
    if (this.#record !== null) this.#write({ ...this.#record, claim: { ...this.#record.claim, token } });
  }

  noteStop(stopped: StopReason): void {
    if (this.#record !== null) this.#write({ ...this.#record, stopped });
  }

  /** undefined: the process has not begun. */
  readPid(): number | undefined {
    return numberIn(this.#textOf('pid'));
  }

  /**
   * Sees to it that a process which has not begun never does; false: it has. It writes its pid as its first act, under
   * the same condition that there be no such file.
   */
  bar(): boolean {
    try {
      writeFileSync(this.file('pid'), 'barred\n', { flag: 'wx', mode: 0o600 });
      return true;
    } catch {
      return false;
    }
  }

  /** undefined: not yet, or it was killed too hard to leave one. */
  readExitCode(): number | undefined {
    return numberIn(this.#textOf('exit'));
  }

  readOffsets(): readonly [stdout: number, stderr: number] {
    const [, stdout = '0', stderr = '0'] = /^(\d{1,15}) (\d{1,15})$/.exec(this.#textOf('offsets')) ?? [];
    return [Number(stdout), Number(stderr)];
  }

  writeOffsets(stdout: number, stderr: number): void {
    this.#replace('offsets', `${stdout} ${stderr}`);
  }

  file(
    name: 'run.json' | 'task.json' | 'pid' | 'exit' | 'stdout' | 'stderr' | 'offsets' | 'steering.jsonl',
  ): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #write(record: RunRecord): void {
    this.#record = record;
    this.#replace('run.json', JSON.stringify(record));
  }

  /** On a full disk the file keeps what it says. */
  #replace(name: 'run.json' | 'offsets', text: string): void {
    const unfinished = `${this.file(name)}.unfinished`;
    writeFileSync(unfinished, text, { mode: 0o600 });
    renameSync(unfinished, this.file(name));
  }

  #textOf(name: Parameters<RunDirectory['file']>[0]): string {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch {
      return '';
    }
  }
}

function numberIn(text: string): number | undefined {
  return /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

const STOP_KINDS: readonly StopReason['kind'][] = [
  'cancel_requested',
  'timed_out',
  'draining',
  'lease_expired',
  'claim_lost',
];
/** Another version may know others. */
const STOPS: ReadonlySet<unknown> = new Set(STOP_KINDS);

/** We wrote it ourselves, in one piece; what is checked is what would do harm. */
function recordOf(value: Record<string, unknown> | undefined): RunRecord | null {
  const { claim, startedAt, timeoutSeconds, stopped, pidSpace: space } = value ?? {};
  if (!isObject(claim) || !isObject(claim['task'])) return null;
  const isWhole =
    [claim['run_id'], claim['lane'], claim['token'], claim['task']['id'], startedAt].every(
      (field) => typeof field === 'string' && field !== '',
    ) && typeof claim['attempt'] === 'number';
  if (!isWhole) return null;
  return {
    claim: claim as unknown as RunClaim,
    startedAt: String(startedAt),
    timeoutSeconds: typeof timeoutSeconds === 'number' ? timeoutSeconds : null,
    stopped: isObject(stopped) && STOPS.has(stopped['kind']) ? (stopped as unknown as StopReason) : null,
    pidSpace: typeof space === 'string' ? space : '',
  };
}
