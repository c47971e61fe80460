/** Binds the routes of operations on many tasks. */
import { bulkTasks, cancelOperation, getOperation } from '../../../contract/bulk.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { present } from '../../kernel/assert.ts';
import type { BoardService } from '../boards/service.ts';
import type { BulkService } from './service.ts';

interface BulkRoutes {
  readonly bulk: BulkService;
  readonly boards: BoardService;
  readonly idempotency: Idempotency;
}

export function bindBulkRoutes(bind: Bind, { bulk, boards, idempotency }: BulkRoutes): void {
  bind(bulkTasks, async (exchange) => {
    const board = await boards.resolve(exchange.params.board);
    const caller = present(exchange.caller, 'routes of operations are not open');
    // Read before anything is held. What it stumbles over is said only to who asks for the first time.
    const [planned] = await Promise.allSettled([bulk.plan(caller, board, exchange.body)]);
    // Only which one it was is remembered: asked again, it is shown as it is by then.
    const made = await idempotency.run(exchange, board.id, async (tx) => {
      if (planned.status === 'rejected') throw planned.reason;
      return { status: 202, body: await bulk.make(tx, board, planned.value) };
    });
    return { ...made, body: { operation: await bulk.start(board, String(made.body)) } };
  });

  bind(cancelOperation, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const operation = await bulk.cancel(
      present(caller, 'routes of operations are not open'),
      board,
      params.operation,
    );
    return { status: 200, body: { operation } };
  });

  bind(getOperation, async ({ params, waitSeconds, signal }) => {
    const board = await boards.resolve(params.board);
    const operation =
      waitSeconds === null
        ? await bulk.get(board, params.operation)
        : await bulk.wait(board, params.operation, waitSeconds, signal);
    return { status: 200, body: { operation } };
  });
}
