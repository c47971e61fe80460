/**
 * Keeps a running Postgres company until its end, asked for or not. Everything that was held for it is given back
 * before anybody hears of the end, so that the data dir can be started again at once.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { stopPostmaster } from './orphan.ts';
import type { Postmaster } from './postmaster.ts';
import type { ProcessExit } from './supervised-process.ts';
import { detachFromEventLoop, STOP_WITHIN_MILLIS } from './supervised-process.ts';

export interface PostmasterWatch {
  stop(): Promise<void>;
  /** Never resolves when stop() was called first. */
  readonly exited: Promise<ProcessExit>;
}

/** Time for the supervisor to do the stopping; one that was killed or stopped itself does nothing, and then we do it. */
const SUPERVISOR_GRACE_MILLIS = STOP_WITHIN_MILLIS + 300;
/** For the kernel to end what was killed, and for the files that are then closed: milliseconds, unless the disk hangs. */
const KILLED_MILLIS = 3_000;

export function watchPostmaster(
  postmaster: Postmaster,
  clusterDir: string,
  release: () => Promise<void>,
): PostmasterWatch {
  const { supervised, pid } = postmaster;
  detachFromEventLoop(supervised);
  let stopped: Promise<void> | null = null;
  const ended = supervised.exited.then(async (exit) => {
    supervised.stop();
    // The supervisor may have been killed instead of Postgres, which then still runs, with nobody to guard it.
    if (!(await stopPostmaster(pid, clusterDir))) throw stillRunning(pid, clusterDir);
    await release();
    return exit;
  });
  const exited = new Promise<ProcessExit>((resolve, reject) => {
    const tell = (settle: () => void): void => {
      if (stopped === null) {
        settle();
      }
    };
    ended.then(
      (exit) => tell(() => resolve(exit)),
      (error: unknown) => tell(() => reject(error)),
    );
  });
  // Told to whoever listens; a server that does not must not end over it.
  exited.catch(() => undefined);
  return {
    exited,
    stop: () => {
      stopped ??= stopWatched(postmaster, clusterDir, ended);
      return stopped;
    },
  };
}

async function stopWatched(
  postmaster: Postmaster,
  clusterDir: string,
  ended: Promise<unknown>,
): Promise<void> {
  const { supervised, pid } = postmaster;
  supervised.child.ref();
  supervised.stop();
  if (await isOverWithin(SUPERVISOR_GRACE_MILLIS, ended)) {
    return;
  }
  const isGone = await stopPostmaster(pid, clusterDir, { isUrgent: true });
  // The supervisor may be the one that is stopped: it then does not see that Postgres is gone.
  supervised.kill();
  if (!isGone) throw stillRunning(pid, clusterDir);
  if (!(await isOverWithin(KILLED_MILLIS, ended))) {
    throw new EmbeddedPostgresError(
      'stop_failed',
      `The embedded Postgres on ${clusterDir} (pid ${pid}) was killed, but what it held was not given back within ` +
        `${KILLED_MILLIS / 1_000} s. Look whether the disk answers.`,
    );
  }
}

/** Not even after a kill: the kernel holds on to it. What was held for it is kept, so that nobody starts another one beside it. */
function stillRunning(pid: number, clusterDir: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'stop_failed',
    `The embedded Postgres on ${clusterDir} (pid ${pid}) was killed and still runs. Look whether the disk answers.`,
  );
}

/** Rejects when it ends with an error in that time. */
async function isOverWithin(millis: number, end: Promise<unknown>): Promise<boolean> {
  const patience = new AbortController();
  try {
    return await Promise.race([end.then(() => true), delay(millis, false, { signal: patience.signal })]);
  } finally {
    patience.abort();
  }
}
