/**
 * Keeps a running Postgres company until its end, asked for or not. Everything that was held for it is given back
 * before anybody hears of the end, so that the data dir can be started again at once.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { stopPostmaster } from './orphan.ts';
import type { Postmaster } from './postmaster.ts';
import type { ProcessExit } from './supervised-process.ts';
import { detachFromEventLoop, STOP_WITHIN_MILLIS } from './supervised-process.ts';

export interface PostmasterWatch {
  stop(): Promise<void>;
  /** Never resolves when stop() was called first. */
  readonly exited: Promise<ProcessExit>;
}

/** Time for the supervisor to do the stopping; one that was killed itself does nothing, and then we do it. */
const SUPERVISOR_GRACE_MILLIS = STOP_WITHIN_MILLIS + 300;

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
    await stopPostmaster(pid, clusterDir);
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
  const grace = new AbortController();
  postmaster.supervised.child.ref();
  postmaster.supervised.stop();
  const isEnded = await Promise.race([
    ended.then(() => true),
    delay(SUPERVISOR_GRACE_MILLIS, false, { signal: grace.signal }),
  ]);
  grace.abort();
  if (!isEnded) {
    await stopPostmaster(postmaster.pid, clusterDir, { isUrgent: true });
    await ended;
  }
}
