/** Binds the routes that read tasks, their messages and their comments, a page at a time. */
import { LIMITS } from '../../../../contract/constants.ts';
import { listMessages } from '../../../../contract/messages.ts';
import { getTask, listComments, listTasks } from '../../../../contract/task-routes.ts';
import type { Bind } from '../../../http/bind-route.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../../http/page-token.ts';
import { pageRows } from '../../../http/request-parameters.ts';
import { present } from '../../../kernel/assert.ts';
import { parseId, type Uuid } from '../../../kernel/ids.ts';
import { waitForChange } from '../../watch/service.ts';
import { filterOf } from '../filter.ts';
import type { PagePosition, TaskFilter } from '../service.ts';
import { CALLER, type TaskRoutes, withTag } from './parts.ts';

export function bindReading(bind: Bind, { tasks, boards, feeds, reads, why }: TaskRoutes): void {
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
