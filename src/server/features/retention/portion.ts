/** A portion of pruning: what it is asked for, and what it has come to. Decided by nobody but the database's clock. */
import type { Uuid } from '../../kernel/ids.ts';

export interface PruneTurn {
  /** What was over before this is pruned. */
  readonly horizon: string;
  readonly rowsMax: number;
}

/** Of what has no index by time: gone through in the order of its ids, which rise with the time of their making. */
export interface WalkTurn extends PruneTurn {
  /** Behind which it goes on. */
  readonly place: Uuid;
  readonly placeAttempt: number;
  /** What was made at the horizon, or after it, is not looked at: it cannot be over for so long. */
  readonly endId: Uuid;
}

export interface Pruned {
  readonly pruned: number;
  /** There may be more. */
  readonly isCut: boolean;
  /** The time that counts of the oldest that is left; null: nothing is. */
  readonly oldestAt: string | null;
}

export interface Walked extends Pruned {
  readonly place: Uuid | null;
  readonly placeAttempt: number;
  /** Rows that were looked at and not pruned. */
  readonly left: number;
}

/** Where a walk begins: before every id. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;

/** Before every id that was made at this moment or later: the first 48 bits of a UUIDv7 are its milliseconds. */
export function firstIdAt(moment: string): Uuid {
  const digits = Math.max(0, Date.parse(moment)).toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000` as Uuid;
}
