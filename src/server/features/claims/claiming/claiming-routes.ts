/**
 * Binds the route that claims: at once or waiting, with and without an Idempotency-Key. Sees to it that nothing is claimed for a client that has
 * gone, and that what could not be delivered goes back.
 */
import { claimTasks } from '../../../../contract/claims.ts';
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import type { Wake } from '../../../db/wake.ts';
import type { Bind, BindOptions } from '../../../http/bind-route.ts';
import type { Exchange } from '../../../http/exchange.ts';
import type { Idempotency } from '../../../http/idempotency.ts';
import { present } from '../../../kernel/assert.ts';
import { formatId } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef, BoardService } from '../../boards/service.ts';
import { type BoardFeeds, cursorAt } from '../../watch/service.ts';
import type { Claiming } from './claiming.ts';
import type { HandingOver } from './handing-over.ts';
import { type Returns, undeliveredOf } from './returns.ts';
import type { ClaimedTasks } from './slot-plan.ts';
import type { ClaimWaiters } from './waiters.ts';

export interface ClaimingRoutes {
  readonly claiming: Claiming;
  readonly handingOver: HandingOver;
  readonly boards: BoardService;
  readonly idempotency: Idempotency;
  readonly waiters: ClaimWaiters;
  readonly feeds: BoardFeeds;
  readonly wake: Wake;
  readonly returns: Returns;
}

/** Gathered, and on connections of their own. */
export const CLAIM_PATH: BindOptions = { isGathered: () => true };

const CALLER = 'claims are not open';

type ClaimExchange = Exchange<typeof claimTasks>;

export function bindClaiming(bind: Bind, parts: ClaimingRoutes): void {
  const { handingOver, boards, feeds } = parts;
  bind(
    claimTasks,
    async (exchange) => {
      const board = await boards.resolve(exchange.params.board);
      if (exchange.idempotencyKey !== null) return claimOnce(parts, board, exchange);
      const claimed = await claimWaiting(parts, board, exchange, () => claimNow(parts, board, exchange));
      if (claimed.rows.length > 0) returnWhenUndelivered(parts, board, exchange, claimed);
      try {
        const claims = await handingOver.present(board, claimed.rows);
        const reason = claimed.reason === null ? {} : { reason: claimed.reason };
        return {
          status: 200,
          body: { claims, cursor: await cursorOf(feeds, board, claimed.rows), ...reason },
        };
      } catch (error) {
        giveBack(parts, board, claimed);
        throw error;
      }
    },
    CLAIM_PATH,
  );
}

/** Where to watch from: the position of the claim itself, or the newest when there is none. */
async function cursorOf(
  feeds: BoardFeeds,
  board: BoardRef,
  rows: ClaimedTasks['rows'] | undefined,
): Promise<string> {
  const [first] = rows ?? [];
  return first === undefined ? feeds.cursor(undefined, board) : cursorAt(board, first.log_seq);
}

async function claimNow(
  { claiming }: ClaimingRoutes,
  board: BoardRef,
  { caller, params, body, waitSeconds, signal }: ClaimExchange,
): Promise<ClaimedTasks> {
  const principal = present(caller, CALLER);
  const request = claiming.requestOf(principal, params.lane, body, waitSeconds !== null);
  return body.task_id
    ? claiming.claimNamed(principal, board, request, body.task_id)
    : claiming.claim(board, request, waitSeconds === null ? undefined : signal);
}

/** Tries at once, and then whenever there may be work; never for a client that has gone. */
async function claimWaiting(
  { waiters }: ClaimingRoutes,
  board: BoardRef,
  { params, waitSeconds, signal, isConnected }: ClaimExchange,
  tryClaim: () => Promise<ClaimedTasks>,
): Promise<ClaimedTasks> {
  let last = await tryClaim();
  if (last.rows.length > 0 || waitSeconds === null) return last;
  const found = await waiters.wait(board, params.lane, waitSeconds, signal, async () => {
    if (!isConnected()) return last;
    last = await tryClaim();
    return last.rows.length > 0 ? last : null;
  });
  return found ?? last;
}

/** What the client never received is ready again at once, instead of after its lease. */
function returnWhenUndelivered(
  parts: ClaimingRoutes,
  board: BoardRef,
  exchange: ClaimExchange,
  claimed: ClaimedTasks,
): void {
  exchange.onUndelivered(() => giveBack(parts, board, claimed));
}

function giveBack({ returns }: ClaimingRoutes, board: BoardRef, { rows }: ClaimedTasks): void {
  for (const row of rows)
    returns.give(board, undeliveredOf(row), 'The claim could not be delivered to the client.');
}

/** Under an Idempotency-Key: the claim and its memory commit together; a repeated request gets the claims that still hold. */
async function claimOnce(parts: ClaimingRoutes, board: BoardRef, exchange: ClaimExchange) {
  const { claiming, handingOver, feeds, idempotency } = parts;
  const { caller, params, body } = exchange;
  const request = claiming.requestOf(
    present(caller, CALLER),
    params.lane,
    body,
    exchange.waitSeconds !== null,
  );
  if (body.task_id)
    throw new ProblemError(
      'invalid_request',
      'Name a task or give an Idempotency-Key, not both: a named claim is already exact.',
    );
  let reason: EmptyClaimReason | null = null;
  const answerOnce = () =>
    claiming.claimOnce(board, request, async (claim) => {
      const answer = await idempotency.run(
        exchange,
        board.id,
        async (tx) => {
          const claimed = await claim(tx);
          reason = claimed.reason;
          // An empty claim is not recorded: the same key may find work later.
          const runIds = claimed.rows.map((row) => formatId('run', row.run_id));
          return { status: 200, body: claimed, remembered: runIds.length === 0 ? null : { run_ids: runIds } };
        },
        async (remembered) => ({ again: (remembered as { run_ids: string[] }).run_ids }),
      );
      const body = answer.body as ClaimedTasks | { readonly again: string[] };
      return { answer, claimed: 'again' in body ? null : body };
    });
  let answer = await answerOnce();
  const isEmpty = (): boolean => (answer.body as ClaimedTasks).rows?.length === 0;
  if (isEmpty() && exchange.waitSeconds !== null) {
    await parts.waiters.wait(board, params.lane, exchange.waitSeconds, exchange.signal, async () => {
      if (exchange.isConnected()) answer = await answerOnce();
      return isEmpty() && exchange.isConnected() ? null : true;
    });
  }
  const again = (answer.body as { again?: string[] }).again;
  if (!again && !isEmpty()) parts.wake.ring(board.id);
  const claims = again
    ? await handingOver.presentAgain(board, again)
    : await handingOver.present(board, (answer.body as ClaimedTasks).rows);
  const why = claims.length === 0 ? { reason: reason ?? ('none_ready' as const) } : {};
  return {
    ...answer,
    body: { claims, cursor: await cursorOf(feeds, board, (answer.body as ClaimedTasks).rows), ...why },
  };
}
