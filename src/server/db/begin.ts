/**
 * A transaction of the driver that survives the loss of its connection. The driver answers every failure of the work with a rollback and
 * writes it even to a connection that is gone; that write ends the process, or leaves the connection unable to open again for
 * many seconds (porsager/postgres issues 1154 and 1208, open in 3.4.9). So for the driver a work that has lost its session never ends,
 * and one that goes on without noticing gets no more words in. Postgres has rolled back already, and the driver rejects the
 * transaction by itself when the connection closes. The only place that calls the driver's own begin.
 */
import { pause } from '../kernel/lifecycle.ts';
import type { Sql, Tx } from './client.ts';
import { isSessionOver } from './failures.ts';

/** A session's last word comes milliseconds before its connection closes; without the close it was another session's. */
export const CLOSE_WAIT_MS = 1000;

export type TransactionMode = '' | 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

export async function begin<T>(sql: Sql, mode: TransactionMode, work: (tx: Tx) => Promise<T>): Promise<T> {
  let isOver = false;
  // Only for the few that wait: to abort takes 10 µs, which every transaction would pay.
  let patience = null as AbortController | null;
  const guardOf = (tx: Tx): Tx =>
    new Proxy(tx, {
      apply: (target, self, parameters) => (isOver ? never() : Reflect.apply(target, self, parameters)),
    });
  try {
    return (await sql.begin(mode, async (tx) => {
      try {
        const result = await work(guardOf(tx));
        return isOver ? never() : result;
      } catch (error) {
        if (!isOver && isSessionOver(error)) {
          patience = new AbortController();
          await pause(CLOSE_WAIT_MS, patience.signal);
        }
        if (isOver) return never();
        throw error;
      }
    })) as T;
  } finally {
    isOver = true;
    patience?.abort();
  }
}

/** Nothing refers to it, so it is forgotten together with whatever awaits it. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
