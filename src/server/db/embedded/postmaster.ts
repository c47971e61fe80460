/**
 * Starts Postgres on a cluster and sees it to readiness. Postgres listens on loopback with a password and has no Unix
 * socket: the socket's path may be 107 bytes long, which a deep data dir exceeds, and a directory for it elsewhere would
 * be one more place to own, protect and clean.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { RunAs } from './account.ts';
import type { PostgresBinaries } from './binaries.ts';
import type { BoundedLog } from './bounded-log.ts';
import { EmbeddedPostgresError, throwIfAborted } from './embedded-postgres-error.ts';
import { LOOPBACK_ADDRESS } from './free-port.ts';
import { killStrayBackends } from './orphan.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import type { ProcessExit, SupervisedProcess } from './supervised-process.ts';
import { runSupervised } from './supervised-process.ts';

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly supervised: SupervisedProcess;
}

export interface PostmasterOptions {
  readonly binaries: PostgresBinaries;
  readonly clusterDir: string;
  readonly runAs: RunAs;
  readonly settings: Readonly<Record<string, string>>;
  /** Asked again with the next attempt's number when somebody else took the port meanwhile. */
  readonly choosePort: (attempt: number) => Promise<number>;
  readonly log: BoundedLog;
  readonly signal: AbortSignal | undefined;
}

/** Without a new line in its log for this long, a start has hung; a recovery writes one every PROGRESS_SECONDS. */
const SILENCE_MILLIS = 30_000;
const PROGRESS_SECONDS = 5;
/** max_wal_size is 1 GB: replaying it takes minutes on the slowest disks, and to give up means to start over. */
const READY_MILLIS = 15 * 60_000;
const POLL_MILLIS = 10;
/** Ports lost to others between our look and the bind; one loss is already rare. */
const PORT_ATTEMPTS_MAX = 5;
/** After kill -9 of Postgres its helpers need a moment to notice; then the stray ones are killed. */
const BUSY_ATTEMPTS_MAX = 30;
const BUSY_WAIT_MILLIS = 200;
const STRAYS_AFTER_ATTEMPTS = 5;

const PORT_TAKEN = /could not bind|Address already in use|could not create any TCP\/IP sockets/;
const CLUSTER_BUSY = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/;

export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  let lostPorts = 0;
  let busyAttempts = 0;
  for (;;) {
    const port = await options.choosePort(lostPorts);
    const outcome = await tryStart(port, options);
    if (!('reason' in outcome)) {
      return outcome;
    }
    if (PORT_TAKEN.test(outcome.reason) && lostPorts < PORT_ATTEMPTS_MAX) {
      lostPorts += 1;
    } else if (CLUSTER_BUSY.test(outcome.reason) && busyAttempts < BUSY_ATTEMPTS_MAX) {
      busyAttempts += 1;
      if (busyAttempts >= STRAYS_AFTER_ATTEMPTS) {
        await killStrayBackends(options.clusterDir, options.runAs);
      }
      await delay(BUSY_WAIT_MILLIS);
    } else {
      throw new EmbeddedPostgresError(
        'start_failed',
        `The embedded Postgres on ${options.clusterDir} did not start. The end of its log:\n${outcome.reason}\n` +
          'Correct what the log names, or set DATABASE_URL to a Postgres that already runs.',
      );
    }
  }
}

async function tryStart(
  port: number,
  options: PostmasterOptions,
): Promise<Postmaster | { readonly reason: string }> {
  throwIfAborted(options.signal);
  const logBytes = await options.log.measureBytes();
  const supervised = runSupervised({
    file: options.binaries.postgres,
    arguments: ['-D', options.clusterDir, ...toArguments({ ...options.settings, ...ownSettings(port) })],
    runAs: options.runAs,
    output: options.log.fileDescriptor,
  });
  try {
    const pid = await waitUntilReady(supervised, options);
    if (typeof pid === 'number') {
      return { pid, port, supervised };
    }
    const tail = await options.log.readTail(logBytes);
    return { reason: tail === '' ? pid.reason : tail };
  } catch (error) {
    supervised.stop();
    await supervised.exited.catch(() => undefined);
    throw error;
  }
}

/** What must hold for us to find it and for nobody else to; on the command line, so that no file overrides it. */
function ownSettings(port: number): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: LOOPBACK_ADDRESS,
    unix_socket_directories: '',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_startup_progress_interval: `${PROGRESS_SECONDS}s`,
  };
}

function toArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function waitUntilReady(
  supervised: SupervisedProcess,
  options: PostmasterOptions,
): Promise<number | { readonly reason: string }> {
  let ended: ProcessExit | null = null;
  const exited = supervised.exited.then((exit) => {
    ended = exit;
  });
  const pid = await Promise.race([supervised.pid, exited.then(() => null)]);
  const startedAt = performance.now();
  let logBytes = 0;
  let lastNewsAt = startedAt;
  while (ended === null && pid !== null) {
    throwIfAborted(options.signal);
    const file = await readPostmasterFile(options.clusterDir);
    // A killed Postgres leaves a file that says "ready", so the pid decides.
    if (file?.pid === pid && file.isReady) {
      return pid;
    }
    const now = performance.now();
    const newLogBytes = await options.log.measureBytes();
    if (newLogBytes !== logBytes) {
      logBytes = newLogBytes;
      lastNewsAt = now;
    }
    if (now - lastNewsAt > SILENCE_MILLIS || now - startedAt > READY_MILLIS) {
      supervised.stop();
      await exited;
      return { reason: `It was not ready after ${Math.round((now - startedAt) / 1_000)} s.` };
    }
    await Promise.race([exited, delay(POLL_MILLIS)]);
  }
  const exit = await supervised.exited;
  return { reason: `It ended at once (exit ${exit.code ?? exit.signal}).` };
}
