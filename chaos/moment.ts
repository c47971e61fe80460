/**
 * One moment, by the clock of the database and by that of the history, and what the database holds at it. Between the two looks at a clock the
 * machine may have no time for us; then it is looked at again, or all times of the one would be put beside wrong ones of the other.
 */
import type postgres from 'postgres';
import type { AtMs } from './history.ts';
import { nowMs } from './recorder.ts';

export interface Moment {
  /** By the database. */
  readonly readAt: string;
  /** By the history: it was not before this, … */
  readonly readFromMs: AtMs;
  /** … and not after this. */
  readonly readAtMs: AtMs;
}

/** Small beside the two seconds that the clocks are allowed to differ, and what a statement takes on a machine that has much to do. */
const MOMENT_MS_MAX = 100;
/** Who has not had a tenth of a second for one statement so often will not get it. */
const LOOKS_MAX = 20;

/**
 * @param clock Only tests give another.
 * @throws When no look was quick enough: a wide moment would excuse what a narrow one does not.
 */
export async function atOneMoment<T>(
  sql: postgres.Sql,
  read: (tx: postgres.TransactionSql, moment: Moment) => Promise<T>,
  clock: () => AtMs = nowMs,
): Promise<T> {
  for (let look = 1; look <= LOOKS_MAX; look += 1) {
    const done = await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
      const readFromMs = clock();
      // The first statement of all: what the others see is what is there now.
      const [row] = await tx<{ at: Date }[]>`SELECT clock_timestamp() AS at`;
      const readAtMs = clock();
      if (row === undefined) throw new Error('the database has a clock');
      if (readAtMs - readFromMs > MOMENT_MS_MAX) return null;
      return { found: await read(tx, { readAt: row.at.toISOString(), readFromMs, readAtMs }) };
    });
    if (done !== null) return done.found as T;
  }
  throw new Error(`no look at the clock of the database took less than ${MOMENT_MS_MAX} ms, of ${LOOKS_MAX}`);
}
