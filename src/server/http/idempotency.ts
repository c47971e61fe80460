/**
 * Idempotency-Key: the first answer again for the same request, remembered in the transaction of its effect. Two requests with
 * one key cannot both run: the second finds the slot locked and is told so. Secrets and tokens are never remembered: a handler
 * says what is, and may rebuild the rest when the answer is replayed.
 */
import { createHash } from 'node:crypto';
import { HEADERS } from '../../contract/constants.ts';
import type { OriginBody } from '../../contract/origins.ts';
import type { Sql, Tx } from '../db/client.ts';
import { type AnswerSlot, findRemembered, remember, tryLockSlot } from '../db/remembered-answers.ts';
import { transaction } from '../db/tx.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import type { Answer, Exchange } from './exchange.ts';

export interface IdempotentAnswer extends Answer {
  /** What to keep of the body; default: all of it. null: do not remember this answer. */
  readonly remembered?: unknown;
}

/** Only what the slot is made of: any route's exchange has it. */
type IdempotentExchange = Pick<
  Exchange,
  'idempotencyKey' | 'caller' | 'body' | 'origin' | 'params' | 'route'
>;
type Work = (tx: Tx) => Promise<IdempotentAnswer>;
type Replay = (remembered: unknown) => Promise<unknown>;

const NO_BOARD_ID = 0;

export class Idempotency {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Runs `work` in a transaction, once per key. `replay` rebuilds the body of a remembered answer. */
  async run(
    exchange: IdempotentExchange,
    boardId: number | null,
    work: Work,
    replay?: Replay,
  ): Promise<Answer> {
    const slot = slotOf(exchange, boardId);
    if (slot === null) return transaction(this.#sql, work);
    const outcome = await transaction(this.#sql, (tx) => runInSlot(tx, slot, work));
    if (!outcome.isReplay) return outcome.answer;
    const { answer } = outcome;
    const body = replay === undefined ? answer.body : await replay(answer.body);
    return { ...answer, body, headers: { [HEADERS.idempotentReplayed]: 'true' } };
  }
}

async function runInSlot(
  tx: Tx,
  slot: AnswerSlot,
  work: Work,
): Promise<{ isReplay: boolean; answer: Answer }> {
  if (!(await tryLockSlot(tx, slot))) {
    const headers = { 'Retry-After': '1' };
    throw new ProblemError(
      'idempotency_in_flight',
      'The first request with this Idempotency-Key is still running.',
      { headers },
    );
  }
  const found = await findRemembered(tx, slot);
  if (found !== null) {
    if (found.fingerprint === slot.fingerprint)
      return { isReplay: true, answer: { status: found.status, body: found.answer } };
    throw new ProblemError('idempotency_mismatch', 'This Idempotency-Key was used with another body.');
  }
  const { remembered, ...answer } = await work(tx);
  if (remembered !== null)
    await remember(tx, slot, answer.status, remembered === undefined ? answer.body : remembered);
  return { isReplay: false, answer };
}

function slotOf(
  { idempotencyKey, caller, body, origin, params, route }: IdempotentExchange,
  boardId: number | null,
): AnswerSlot | null {
  if (idempotencyKey === null) return null;
  if (caller === null) throw new ProblemError('unauthenticated', 'This request needs a credential.');
  return {
    boardId: boardId ?? NO_BOARD_ID,
    principal: caller.kind === 'key' ? caller.keyId : caller.runId,
    route: [route.operationId, ...Object.values(params)].join(' '),
    key: idempotencyKey,
    fingerprint: fingerprintOf(body, origin),
  };
}

/** The origin of the header says whereto the outcome goes: another one is another request. No body is an array of the two. */
function fingerprintOf(body: unknown, origin: OriginBody | null): string {
  const said = JSON.stringify(origin === null ? body : [body, origin]);
  return createHash('sha256').update(said).digest('base64url');
}
