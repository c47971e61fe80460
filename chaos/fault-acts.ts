/** What is done to what is hit, and how one of them is chosen. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Party } from './party.ts';
import type { Server } from './server.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** Between the death of a process and its next life. */
const REVIVE_MS = 300;
/** Of a half-open connection's time: the share in which new ones become it too. */
const ABANDONING_MS = 2500;
/** The lowest bits of a target choose the process; the one above them between two ways to hit it. */
export const CHOICE_BITS = 4;

/** What does it. It says when it begins; without a word, there was nothing that could be done. */
export type Act = (begin: (at?: number) => void) => Promise<void>;

export async function abandon(proxy: TcpProxy, durationMs: number): Promise<void> {
  proxy.abandon();
  await delay(ABANDONING_MS);
  proxy.pass();
  await delay(durationMs - ABANDONING_MS);
  proxy.release();
}

export async function killFor(party: Party): Promise<void> {
  await party.kill();
  await delay(REVIVE_MS);
  party.start();
}

export async function stopFor(process: Pick<Party | Server, 'signal'>, durationMs: number): Promise<void> {
  process.signal('SIGSTOP');
  try {
    await delay(durationMs);
  } finally {
    process.signal('SIGCONT');
  }
}

export function choose<T>(list: readonly T[], target: number): T {
  const chosen = list[target % list.length];
  if (chosen === undefined) throw new Error('there is nothing to hit');
  return chosen;
}

/** Half of them before the server, half between it and its database. */
export function proxyOf(server: Server, target: number): readonly [TcpProxy, string] {
  return (target >> CHOICE_BITS) % 2 === 0 ? [server.front, 'front'] : [server.back, 'back'];
}
