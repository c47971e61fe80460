/**
 * Reads whose cost the caller chooses: searches, long pages, snapshots, gauges. They have a pool of their own with a short statement
 * timeout, and no more are admitted than it has connections: in the driver's queue, which nobody bounds, they would wait longer than
 * any caller, and then run for nobody. Nothing that workers depend on may be read here.
 */
import { Slots } from '../kernel/slots.ts';
import { begin } from './begin.ts';
import { BROAD_CONNECTIONS_MAX, type Sql, type Tx } from './client.ts';
import { withinDeadline } from './tx.ts';

/** Far more than people look at a board at a time; each waits in a few hundred bytes. */
const WAITING_MAX = 200;
/** With the statement's own time this stays within the patience that a caller of the database has. */
const WAIT_MS_MAX = 2000;

export class BroadReads {
  readonly #sql: Sql;
  readonly #slots = new Slots({
    runningMax: BROAD_CONNECTIONS_MAX,
    waitingMax: WAITING_MAX,
    waitMsMax: WAIT_MS_MAX,
    refusal: 'Too many lists, searches or snapshots are being read; retry shortly.',
  });

  /** @param sql The pool for them. */
  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Groups take turns: a board that is searched all the time leaves room for the others. */
  read<T>(group: string, work: (sql: Sql) => Promise<T>): Promise<T> {
    return withinDeadline(this.#slots.run(group, () => work(this.#sql)));
  }

  /** Reads of one instant. */
  snapshot<T>(group: string, work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.read(group, (sql) => begin(sql, 'ISOLATION LEVEL REPEATABLE READ READ ONLY', work));
  }
}
