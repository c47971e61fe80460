/** Answers remembered under an Idempotency-Key, and the lock that keeps two requests with one key apart. */
import { createHash } from 'node:crypto';
import type { JsonParameter, Sql, Tx } from './client.ts';

export interface AnswerSlot {
  /** 0: belongs to no board. */
  readonly boardId: number;
  readonly principal: string;
  readonly route: string;
  readonly key: string;
  readonly fingerprint: string;
}

export interface RememberedAnswer {
  readonly fingerprint: string;
  readonly status: number;
  readonly answer: unknown;
}

const KEPT_HOURS = 24;
/** A sweep stays far below the statement timeout. */
const FORGOTTEN_PER_SWEEP_MAX = 5000;

/** False: another transaction holds this slot. The lock ends with the transaction. */
export async function tryLockSlot(tx: Tx, slot: AnswerSlot): Promise<boolean> {
  const digest = createHash('sha256')
    .update(`${slot.boardId}\n${slot.principal}\n${slot.route}\n${slot.key}`)
    .digest();
  const [row] = await tx<{ is_free: boolean }[]>`
    /* idempotency.lock */ SELECT pg_try_advisory_xact_lock(${digest.readBigInt64BE(0).toString()}::text::bigint) AS is_free`;
  return row?.is_free === true;
}

export async function findRemembered(tx: Tx, slot: AnswerSlot): Promise<RememberedAnswer | null> {
  const [row] = await tx<RememberedAnswer[]>`
    /* idempotency.find */
    SELECT fingerprint, status, answer FROM idempotency_keys
    WHERE board_id = ${slot.boardId} AND principal = ${slot.principal} AND route = ${slot.route} AND key = ${slot.key}
      AND created_at > clock_timestamp() - make_interval(hours => ${KEPT_HOURS})`;
  return row ?? null;
}

export async function remember(tx: Tx, slot: AnswerSlot, status: number, answer: unknown): Promise<void> {
  await tx`
    /* idempotency.remember */
    INSERT INTO idempotency_keys (board_id, principal, route, key, fingerprint, status, answer)
    VALUES (${slot.boardId}, ${slot.principal}, ${slot.route}, ${slot.key}, ${slot.fingerprint}, ${status}, ${tx.json(answer as JsonParameter)})
    ON CONFLICT (board_id, principal, route, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, status = excluded.status, answer = excluded.answer, created_at = clock_timestamp()`;
}

export async function forgetOldAnswers(sql: Sql): Promise<void> {
  await sql`
    /* idempotency.forget */
    WITH old AS MATERIALIZED (
      SELECT board_id, principal, route, key FROM idempotency_keys
      WHERE created_at < clock_timestamp() - make_interval(hours => ${KEPT_HOURS}) LIMIT ${FORGOTTEN_PER_SWEEP_MAX}
    )
    DELETE FROM idempotency_keys k USING old
    WHERE k.board_id = old.board_id AND k.principal = old.principal AND k.route = old.route AND k.key = old.key
      AND k.created_at < clock_timestamp() - make_interval(hours => ${KEPT_HOURS})`;
}
