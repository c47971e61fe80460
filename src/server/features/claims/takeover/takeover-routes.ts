/** Binds the route that takes a lane over, with and without an Idempotency-Key. */
import { takeOverLane } from '../../../../contract/claims.ts';
import type { Bind } from '../../../http/bind-route.ts';
import type { Answer, Exchange } from '../../../http/exchange.ts';
import type { Idempotency } from '../../../http/idempotency.ts';
import { present } from '../../../kernel/assert.ts';
import { formatId } from '../../../kernel/ids.ts';
import type { BoardService } from '../../boards/service.ts';
import type { LaneService } from '../../lanes/service.ts';
import type { HandingOver } from '../claiming/handing-over.ts';
import {
  type Begun,
  memoryOf,
  type TakeoverMemory,
  type TakeoverRequest,
  type Takeovers,
} from './takeover.ts';

export interface TakeoverRoutes {
  readonly takeovers: Takeovers;
  readonly handingOver: HandingOver;
  readonly boards: BoardService;
  readonly lanes: LaneService;
  readonly idempotency: Idempotency;
}

type TakeoverExchange = Exchange<typeof takeOverLane>;

export function bindTakeover(bind: Bind, parts: TakeoverRoutes): void {
  const { takeovers, boards } = parts;
  bind(takeOverLane, async (exchange) => {
    const { caller, params, body } = exchange;
    const board = await boards.resolve(params.board);
    const request = { caller: present(caller, 'takeovers are not open'), board, lane: params.lane, body };
    if (exchange.idempotencyKey !== null) return takeOverOnce(parts, exchange, request);
    const begun = await takeovers.takeOver(request);
    try {
      const answer = { status: 200, body: await shownOf(parts, begun) };
      exchange.onUndelivered(() => takeovers.giveBack(board, begun.adopted));
      return answer;
    } catch (error) {
      takeovers.giveBack(board, begun.adopted);
      throw error;
    }
  });
}

/**
 * The first transaction and its memory commit together. A repeated request deals with what the first did not come to, and gets what is
 * still held: nothing is given back meanwhile, because whoever has the key may come for it.
 */
async function takeOverOnce(
  parts: TakeoverRoutes,
  exchange: TakeoverExchange,
  request: TakeoverRequest,
): Promise<Answer> {
  const { takeovers, idempotency } = parts;
  await takeovers.admit(request);
  const { body, ...answer } = await idempotency.run(
    exchange,
    request.board.id,
    async (tx) => {
      const begun = await takeovers.begin(tx, request);
      return { status: 200, body: begun, remembered: memoryOf(begun) };
    },
    async (remembered) => takeovers.recall(request, remembered as TakeoverMemory),
  );
  const begun = body as Begun;
  await takeovers.finish(begun);
  // Two tries may have been at it side by side: whichever answer arrives has all of it.
  const adopted = await takeovers.adoptedBy(begun);
  return { ...answer, body: await shownOf(parts, { ...begun, adopted }) };
}

async function shownOf(
  { handingOver, lanes }: TakeoverRoutes,
  { takeover: { board, lane }, adopted, remaining }: Begun,
) {
  const runIds = adopted.map(({ runId }) => formatId('run', runId));
  const claims = await handingOver.presentAgain(board, runIds);
  return { lane: await lanes.get(board, lane), claims, remaining };
}
