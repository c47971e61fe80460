/** Binds the routes of delegations. */
import {
  cancelDelegation,
  cancelDelegations,
  createDelegation,
  getDelegation,
  listDelegations,
  steerDelegation,
} from '../../../contract/delegations.ts';
import { DELEGATION_STATUSES, type DelegationStatus } from '../../../contract/statuses.ts';
import type { Wake } from '../../db/wake.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, parseId, type Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardService } from '../boards/service.ts';
import type { TaskService } from '../tasks/service.ts';
import { type BoardFeeds, waitForChange } from '../watch/service.ts';
import type { Delegating, DelegationService } from './service.ts';

interface DelegationRoutes {
  readonly delegations: DelegationService;
  readonly delegating: Delegating;
  readonly tasks: TaskService;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly wake: Wake;
  readonly idempotency: Idempotency;
}

const CALLER = 'routes of delegations are not open';

export function bindDelegationRoutes(bind: Bind, parts: DelegationRoutes): void {
  bindMaking(bind, parts);
  bindReading(bind, parts);
  bindStopping(bind, parts);
}

function bindMaking(bind: Bind, parts: DelegationRoutes): void {
  const { delegations, delegating, tasks, boards, wake, idempotency } = parts;
  bind(createDelegation, async (exchange) => {
    const caller = present(exchange.caller, CALLER);
    const board = await boards.resolve(exchange.params.board);
    const answer = await idempotency.run(exchange, board.id, async (tx) => {
      const id = await delegating.create(tx, { ...exchange, caller, board });
      const delegation = await delegations.get(caller, board, formatId('deleg', id), tx);
      return { status: 202, body: { delegation } };
    });
    wake.ring(board.id);
    return answer;
  });

  bind(steerDelegation, async (exchange) => {
    const caller = present(exchange.caller, CALLER);
    const board = await boards.resolve(exchange.params.board);
    const { message, task_id: reference } = exchange.body;
    const { delegation } = exchange.params;
    const answer = await idempotency.run(exchange, board.id, async (tx) => {
      const taskId = reference ? await tasks.resolveToRead(caller, board, reference) : null;
      const body = await delegations.steer(tx, caller, board, delegation, { message, taskId });
      return { status: 200, body };
    });
    delegations.onSteered(board);
    return answer;
  });
}

function bindReading(bind: Bind, { delegations, boards, feeds }: DelegationRoutes): void {
  bind(getDelegation, async ({ caller, params, waitSeconds, signal }) => {
    const principal = present(caller, CALLER);
    const board = await boards.resolve(params.board);
    const read = () => delegations.get(principal, board, params.delegation);
    const delegationId = parseId('deleg', params.delegation);
    const delegation =
      waitSeconds === null || delegationId === null
        ? await read()
        : await waitForChange({
            feeds,
            board,
            of: { delegationId },
            waitSeconds,
            signal,
            read,
            isDone: ({ status }) => status !== 'running',
          });
    return { status: 200, body: { delegation } };
  });

  bind(listDelegations, async ({ caller, params, query }) => {
    const board = await boards.resolve(params.board);
    const rows = pageRows(query);
    const statuses = query.status === undefined ? null : statusesOf(query.status);
    const sessionId = query.session_id ?? null;
    const scope = `delegations ${board.id} ${JSON.stringify([statuses, sessionId])}`;
    const beforeId = positionOf(readPageToken(query.page_token, scope, 1));
    const page = { beforeId, rowsMax: rows + 1 };
    const found = await delegations.list(present(caller, CALLER), board, { statuses, sessionId }, page);
    return {
      status: 200,
      body: {
        delegations: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, ({ id }) => [id]),
      },
    };
  });
}

function bindStopping(bind: Bind, { delegations, boards }: DelegationRoutes): void {
  bind(cancelDelegation, async ({ caller, params, body }) => {
    const board = await boards.resolve(params.board);
    const { delegation: id } = params;
    const delegation = await delegations.cancel(present(caller, CALLER), board, id, body.reason ?? null);
    return { status: 200, body: { delegation } };
  });

  bind(cancelDelegations, async ({ caller, params, body }) => {
    const board = await boards.resolve(params.board);
    const principal = present(caller, CALLER);
    const cancelled = await delegations.cancelSession(principal, board, body.session_id, body.reason ?? null);
    return { status: 200, body: { cancelled } };
  });
}

function positionOf(parts: readonly string[] | null): Uuid | null {
  if (parts === null) return null;
  const id = parseId('deleg', parts[0] ?? '');
  if (id === null) throw badPageToken();
  return id;
}

function statusesOf(words: string): DelegationStatus[] {
  return words.split(',').map((word) => {
    const status = DELEGATION_STATUSES.find((known) => known === word);
    if (status !== undefined) return status;
    const errors = [{ pointer: '/status', detail: `${JSON.stringify(word)} is no status of delegations` }];
    throw new ProblemError('invalid_request', 'The filter names an unknown status.', { errors });
  });
}
