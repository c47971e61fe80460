/**
 * The wall clock of one process, which can be put wrong while it runs: libfaketime, loaded into the process, reads how far off it is from a
 * file each time. CLOCK_MONOTONIC stays true, as it does where a machine's clock is set by hand. Nothing but servers and workers has one:
 * the clock of Postgres is the one that counts, and the history is written by the monotonic one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Debian's places, by architecture; the second is where `make install` puts it. */
const LIBRARY = 'libfaketimeMT.so.1';
const SYSTEM_LIBRARIES = '/usr/lib';
const OWN_LIBRARIES = '/usr/local/lib/faketime';
/** What it keeps for the children of a process, and leaves behind where the process is killed. */
const SHARED_MEMORY = '/dev/shm';
const sharedFilesOf = (pid: number): string[] => [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`];
const PROBE_SECONDS = 3600;
/** Node starts in a tenth of a second. */
const PROBE_WITHIN_MS = 10_000;

export class FakeClock {
  /** For the process that is started with it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #file: string;

  constructor(library: string, file: string) {
    this.#file = file;
    this.environment = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // Otherwise it looks again after ten seconds.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    this.set(0);
  }

  /** By how many seconds it is wrong from now on. In one step, so that nobody reads half a number. */
  set(offsetSeconds: number): void {
    const draft = `${this.#file}.draft`;
    writeFileSync(draft, `${offsetSeconds < 0 ? '-' : '+'}${Math.abs(offsetSeconds)}s\n`);
    renameSync(draft, this.#file);
  }

  /** Takes away what the library keeps in memory that outlives the process. It needs it no more once the process runs. */
  forget(pid: number | undefined): void {
    if (pid === undefined) return;
    for (const name of sharedFilesOf(pid)) rmSync(join(SHARED_MEMORY, name), { force: true });
  }
}

/** null: there is none that does what it should with this Node. */
export function findFakeTimeLibrary(): string | null {
  const candidates = [
    ...listDirectories(SYSTEM_LIBRARIES).map((name) => join(SYSTEM_LIBRARIES, name, 'faketime', LIBRARY)),
    join(OWN_LIBRARIES, LIBRARY),
  ];
  return candidates.find((path) => existsSync(path) && isWorking(path)) ?? null;
}

function isWorking(library: string): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-clock-'));
  try {
    const clock = new FakeClock(library, join(directory, 'clock'));
    clock.set(PROBE_SECONDS);
    const { stdout } = spawnSync(process.execPath, ['-p', 'Date.now()'], {
      env: clock.environment,
      timeout: PROBE_WITHIN_MS,
      encoding: 'utf8',
    });
    return Number(stdout) - Date.now() > (PROBE_SECONDS * 1000) / 2;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function listDirectories(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}
