/** Binds the routes of tasks. */

import { LIMITS } from '../../../contract/constants.ts';
import { getGraph, linkParent, unlinkParent } from '../../../contract/links.ts';
import { listMessages, steerTask } from '../../../contract/messages.ts';
import type { OriginBody } from '../../../contract/origins.ts';
import {
  acceptTask,
  addComment,
  archiveTask,
  assignTask,
  cancelTask,
  completeTask,
  createTask,
  createTasks,
  deleteTask,
  getTask,
  listComments,
  listTasks,
  patchTask,
  promoteTask,
  reopenTask,
  requestTaskChanges,
  scheduleTask,
  unblockTask,
} from '../../../contract/task-routes.ts';
import type { CreateTaskBody, Task } from '../../../contract/tasks.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Wake } from '../../db/wake.ts';
import { type Bind, pageRows } from '../../http/bind-route.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { present } from '../../kernel/assert.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { Why } from '../attention/service.ts';
import type { BoardService } from '../boards/service.ts';
import type { BoardFeeds } from '../watch/service.ts';
import { waitForChange } from '../watch/service.ts';
import { filterOf } from './filter.ts';
import type { Linking, PagePosition, TaskCreation, TaskFilter, TaskService } from './service.ts';

const CALLER = 'routes of tasks are not open';

/** What it does to a task may matter to those that wait for it. */
const FAMILY_VERB = true;

interface TaskRoutes {
  readonly tasks: TaskService;
  readonly linking: Linking;
  readonly creation: TaskCreation;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly wake: Wake;
  readonly idempotency: Idempotency;
  readonly reads: BroadReads;
  readonly why: Why;
}

const withTag = (status: number, task: Task) => ({
  status,
  body: { task },
  headers: { ETag: `"${task.version}"` },
});

export function bindTaskRoutes(bind: Bind, parts: TaskRoutes): void {
  bindCreation(bind, parts);
  bindReading(bind, parts);
  bindVerbs(bind, parts);
  bindTalk(bind, parts);
  bindLinks(bind, parts);
}

function bindLinks(bind: Bind, { linking, boards, reads }: TaskRoutes): void {
  bind(linkParent, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await linking.link(present(caller, CALLER), board, params.task, params.parent));
  });
  bind(unlinkParent, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await linking.unlink(present(caller, CALLER), board, params.task, params.parent));
  });
  bind(getGraph, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const body = await reads.snapshot(String(board.id), (tx) =>
      linking.graph(tx, present(caller, CALLER), board, params.task),
    );
    return { status: 200, body };
  });
}

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

function bindCreation(bind: Bind, { creation, boards, wake, idempotency }: TaskRoutes): void {
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

function bindReading(bind: Bind, { tasks, boards, feeds, reads, why }: TaskRoutes): void {
  bind(getTask, async ({ caller, params, waitSeconds, signal }) => {
    const principal = present(caller, CALLER);
    const board = await boards.resolve(params.board);
    const read = () => tasks.get(principal, board, params.task);
    if (waitSeconds === null) return withTag(200, await read());
    const id = await tasks.resolveToRead(principal, board, params.task);
    return withTag(
      200,
      await waitForChange({
        feeds,
        board,
        of: { taskId: id },
        waitSeconds,
        signal,
        read,
        isDone: (task) => tasks.isFinished(task),
      }),
    );
  });

  bind(listTasks, async ({ caller, params, query }) => {
    const board = await boards.resolve(params.board);
    const rows = pageRows(query);
    const order = query.order ?? '-created';
    const parentId =
      query.parent === undefined ? null : await tasks.resolve(present(caller, CALLER), board, query.parent);
    const filter = { ...filterOf(query, parentId), ...returnOf(query) };
    const scope = `tasks ${board.id} ${order} ${JSON.stringify(filter)}`;
    const after = positionOf(readPageToken(query.page_token, scope, 2));
    const isExplained = query.include === 'why';
    if (isExplained) await why.noticeWorkers();
    const { found, shown, cursor } = await reads.snapshot(String(board.id), async (tx) => {
      const end = await feeds.cursor(tx, board);
      const page = await tasks.list(tx, board, { filter, order, after, rowsMax: rows + 1 });
      const first = page.slice(0, rows);
      return {
        cursor: end,
        found: page,
        shown: isExplained ? await why.explainAll(tx, board, first) : first,
      };
    });
    const next = nextPageToken(found, rows, scope, (task) => [task.id, String(task.priority)]);
    return { status: 200, body: { tasks: shown, next_page_token: next, cursor } };
  });

  bind(listMessages, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const messages = await tasks.listMessages(present(caller, CALLER), board, params.task);
    return { status: 200, body: { messages } };
  });

  bind(listComments, async ({ caller, params, query }) => {
    const rows = pageRows(query);
    const board = await boards.resolve(params.board);
    const scope = `comments ${board.id} ${params.task}`;
    const after = readPageToken(query.page_token, scope, 1)?.[0] ?? null;
    if (after !== null && parseId('cmt', after) === null) throw badPageToken();
    const found = await tasks.listComments(present(caller, CALLER), board, params.task, after, rows + 1);
    return {
      status: 200,
      body: {
        comments: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, (comment) => [comment.id]),
      },
    };
  });
}

function bindVerbs(bind: Bind, { tasks, boards }: TaskRoutes): void {
  bind(patchTask, async ({ caller, params, body, ifMatchVersion }) =>
    withTag(
      200,
      await tasks.patch(
        present(caller, CALLER),
        await boards.resolve(params.board),
        params.task,
        body,
        ifMatchVersion,
      ),
    ),
  );
  bind(deleteTask, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    await tasks.delete(present(caller, CALLER), board, params.task);
    return { status: 204 };
  });
  const operate = async (
    {
      caller,
      params,
    }: { caller: Parameters<TaskService['operate']>[0] | null; params: { board: string; task: string } },
    verb: Parameters<TaskService['operate']>[3],
    isFamilyVerb = false,
  ) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await tasks.operate(present(caller, CALLER), board, params.task, verb, isFamilyVerb));
  };

  bind(promoteTask, (exchange) => operate(exchange, (operation) => operation.promote()));
  bind(unblockTask, (exchange) =>
    operate(exchange, (operation) => operation.unblock(exchange.body.answer ?? null)),
  );
  bind(cancelTask, (exchange) =>
    operate(exchange, (operation) =>
      operation.cancel(exchange.body.reason ?? null, exchange.body.deadline_seconds ?? null),
    ),
  );
  bind(completeTask, (exchange) =>
    operate(
      exchange,
      (operation) =>
        operation.complete({
          summary: exchange.body.summary ?? null,
          result: exchange.body.result ?? null,
          metadata: exchange.body.metadata ?? null,
        }),
      FAMILY_VERB,
    ),
  );
  bind(assignTask, async ({ caller, params, body: { lane, reason = null } }) => {
    const board = await boards.resolve(params.board);
    const given = { lane, reason };
    return withTag(200, await tasks.assign(present(caller, CALLER), board, params.task, given));
  });
  bind(archiveTask, (exchange) => operate(exchange, (operation) => operation.archive()));
  bind(reopenTask, (exchange) => operate(exchange, (operation) => operation.reopen(), FAMILY_VERB));
  bind(scheduleTask, (exchange) =>
    operate(exchange, (operation) => operation.schedule(exchange.body.run_at)),
  );
  bind(acceptTask, (exchange) => operate(exchange, (operation) => operation.accept(), FAMILY_VERB));
  bind(requestTaskChanges, (exchange) =>
    operate(exchange, (operation) => operation.requestChanges(exchange.body.reason)),
  );
}

function bindTalk(bind: Bind, { tasks, boards, wake, idempotency }: TaskRoutes): void {
  bind(steerTask, async (exchange) => {
    const caller = present(exchange.caller, CALLER);
    const board = await boards.resolve(exchange.params.board);
    const { params, body } = exchange;
    return tasks.steer(caller, board, params.task, body.message, (steer) =>
      idempotency.run(exchange, board.id, async (tx) => ({
        status: 201,
        body: { message: await steer(tx) },
      })),
    );
  });

  bind(addComment, async (exchange) => {
    const board = await boards.resolve(exchange.params.board);
    const answer = await idempotency.run(exchange, board.id, async (tx) => ({
      status: 201,
      body: {
        comment: await tasks.comment(
          tx,
          present(exchange.caller, CALLER),
          board,
          exchange.params.task,
          exchange.body.body,
        ),
      },
    }));
    wake.ring(board.id);
    return answer;
  });
}

/** Where what they do returns to. Of a delegation that there is not, there are no tasks. */
function returnOf(query: {
  readonly delegation?: string | undefined;
  readonly session_id?: string | undefined;
}): Pick<TaskFilter, 'delegationId' | 'sessionId'> {
  const { delegation, session_id: sessionId = null } = query;
  const delegationId =
    delegation === undefined ? null : present(parseId('deleg', delegation), 'the contract has looked at it');
  return { delegationId, sessionId };
}

function positionOf(parts: readonly string[] | null): PagePosition | null {
  if (parts === null) return null;
  const id: Uuid | null = parseId('task', parts[0] ?? '');
  const priority = Number(parts[1]);
  if (id === null || !Number.isInteger(priority) || Math.abs(priority) > LIMITS.priorityMax)
    throw badPageToken();
  return { id, priority };
}
