/**
 * A savepoint that is made ahead of the first statement after it, and sent together with that: most items of an operation write nothing by
 * themselves, and a round trip for each savepoint would be a third of what they cost. Savepoints are left to the end of the
 * transaction, where they are within each other: so few cost less than to release each.
 */
import type { Tx } from '../../db/client.ts';

export interface LazySavepoint {
  /** What is to be within it goes through here. */
  readonly tx: Tx;
  /** Takes back what was written through it. */
  rollBack(): Promise<void>;
}

export function lazySavepoint(tx: Tx): LazySavepoint {
  let isMade = false;
  const make = (): void => {
    if (isMade) return;
    isMade = true;
    // When it fails, so does the statement behind it, whose caller hears of that.
    tx`/* bulk.savepoint */ SAVEPOINT item`.execute().catch(() => undefined);
  };
  return {
    tx: new Proxy(tx, {
      apply: (target, self, parameters) => {
        make();
        return Reflect.apply(target, self, parameters);
      },
    }),
    rollBack: async () => {
      if (isMade) await tx`/* bulk.roll_back */ ROLLBACK TO SAVEPOINT item`;
    },
  };
}
