/** Binds the routes of subscriptions. */
import {
  deleteSubscription,
  getSubscription,
  listSubscriptions,
  putSubscription,
} from '../../../contract/subscriptions.ts';
import type { Bind } from '../../http/bind-route.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { BoardService } from '../boards/service.ts';
import type { TaskService } from '../tasks/service.ts';
import type { SubscriptionService } from './service.ts';

interface SubscriptionRoutes {
  readonly subscriptions: SubscriptionService;
  readonly boards: BoardService;
  readonly tasks: TaskService;
}

const CALLER = 'routes of subscriptions are not open';

export function bindSubscriptionRoutes(
  bind: Bind,
  { subscriptions, boards, tasks }: SubscriptionRoutes,
): void {
  bind(putSubscription, async ({ caller, params, body }) => {
    const board = await boards.resolve(params.board);
    const { subscription, isNew } = await subscriptions.put(present(caller, CALLER), board, body);
    return { status: isNew ? 201 : 200, body: { subscription } };
  });

  bind(listSubscriptions, async ({ caller, params, query }) => {
    const principal = present(caller, CALLER);
    const board = await boards.resolve(params.board);
    const rows = pageRows(query);
    const { task_id: task, delegation_id: delegation } = query;
    const ofTask = task === undefined ? null : await tasks.resolve(principal, board, task);
    const subjectId = delegation === undefined ? ofTask : parseId('deleg', delegation);
    const scope = `subscriptions ${board.id} ${subjectId ?? ''}`;
    const beforeId = positionOf(readPageToken(query.page_token, scope, 1));
    const found = await subscriptions.list(principal, board, subjectId, { beforeId, rowsMax: rows + 1 });
    return {
      status: 200,
      body: {
        subscriptions: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, ({ id }) => [id]),
      },
    };
  });

  bind(getSubscription, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const subscription = await subscriptions.get(present(caller, CALLER), board, params.subscription);
    return { status: 200, body: { subscription } };
  });

  bind(deleteSubscription, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    await subscriptions.delete(present(caller, CALLER), board, params.subscription);
    return { status: 204 };
  });
}

function positionOf(parts: readonly string[] | null): Uuid | null {
  if (parts === null) return null;
  const id = parseId('sub', parts[0] ?? '');
  if (id === null) throw badPageToken();
  return id;
}
