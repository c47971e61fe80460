/** Binds the routes that create tasks: one, gathered with others where it can be, or several in one transaction. */
import type { OriginBody } from '../../../../contract/origins.ts';
import { createTask, createTasks } from '../../../../contract/task-routes.ts';
import type { CreateTaskBody } from '../../../../contract/tasks.ts';
import type { Bind } from '../../../http/bind-route.ts';
import type { Exchange } from '../../../http/exchange.ts';
import { present } from '../../../kernel/assert.ts';
import { CALLER, type TaskRoutes, withTag } from './parts.ts';

/** Others have a transaction of their own: with a key its memory, under a claim token a look at the claim. */
function isGathered({ caller, idempotencyKey }: Pick<Exchange, 'caller' | 'idempotencyKey'>): boolean {
  return idempotencyKey === null && caller?.kind === 'key';
}

/** What the header says wins: a gateway sends it, and a model writes bodies. */
function withOrigin(body: CreateTaskBody, origin: OriginBody | null): CreateTaskBody {
  return origin === null ? body : { ...body, origin };
}

/** Links and subscriptions are made in the transaction of their task. */
function needsMore({ parents, origin, subscribe }: CreateTaskBody): boolean {
  return Boolean(parents?.length) || Boolean(origin) || Boolean(subscribe);
}

export function bindCreation(bind: Bind, { creation, boards, wake, idempotency }: TaskRoutes): void {
  bind(
    createTask,
    async (exchange) => {
      const caller = present(exchange.caller, CALLER);
      const board = await boards.resolve(exchange.params.board);
      const body = withOrigin(exchange.body, exchange.origin);
      if (isGathered(exchange) && !needsMore(body)) {
        const { traceparent, bodyBytes } = exchange;
        const { task, isNew } = await creation.createOne(caller, board, body, traceparent, bodyBytes);
        return withTag(isNew ? 201 : 200, task);
      }
      const answer = await idempotency.run(exchange, board.id, async (tx) => {
        const [created] = await creation.createAll(tx, caller, board, [body], exchange);
        const { task, isNew } = present(created, 'one body makes one task');
        return withTag(isNew ? 201 : 200, task);
      });
      wake.ring(board.id);
      return answer;
    },
    { isGathered },
  );

  bind(createTasks, async (exchange) => {
    const caller = present(exchange.caller, CALLER);
    const board = await boards.resolve(exchange.params.board);
    const answer = await idempotency.run(exchange, board.id, async (tx) => {
      const bodies = exchange.body.tasks.map((body) => withOrigin(body, exchange.origin));
      const created = await creation.createAll(tx, caller, board, bodies, exchange);
      return { status: 201, body: { tasks: created.map(({ task }) => task) } };
    });
    wake.ring(board.id);
    return answer;
  });
}
