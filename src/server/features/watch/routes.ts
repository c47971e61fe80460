/** Binds the routes of the log. */
import { LIMITS } from '../../../contract/constants.ts';
import { getSnapshot, listEvents, listTaskEvents } from '../../../contract/events.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardService } from '../boards/service.ts';
import type { LaneService } from '../lanes/service.ts';
import { listUnfinishedTasks, type TaskService, taskOf } from '../tasks/service.ts';
import type { BoardFeeds } from './service.ts';
import { kindsOf, setOf, visibleTo } from './view.ts';

const CALLER = 'routes of the log are not open';
const EVENT_PAGE_ROWS_DEFAULT = 100;
const FILTER_WORDS_MAX = 100;
const SNAPSHOT_LANES_MAX = 10_000;

interface WatchRoutes {
  readonly feeds: BoardFeeds;
  readonly boards: BoardService;
  readonly lanes: LaneService;
  readonly tasks: TaskService;
  readonly reads: BroadReads;
}

export function bindWatchRoutes(bind: Bind, { feeds, boards, lanes, tasks, reads }: WatchRoutes): void {
  bind(listEvents, async ({ caller, params, query, waitSeconds, signal }) => {
    const board = await boards.resolve(params.board);
    const filter = visibleTo(present(caller, CALLER), {
      kinds: kindsOf(words('kinds', query.kinds)),
      lanes: setOf(words('lanes', query.lanes)),
      tasks: setOf(words('tasks', query.tasks)),
    });
    const rows = query.limit === undefined ? EVENT_PAGE_ROWS_DEFAULT : Number(query.limit);
    const after = await feeds.position(board, query.after ?? null);
    const readPage = (seq: number) =>
      reads.read(String(board.id), (sql) => feeds.read(board, seq, filter, rows, sql));
    let page = await readPage(after);
    if (page.events.length === 0 && page.isAtEnd && waitSeconds !== null) {
      await feeds.waitForEvent(board, page.seq, filter, waitSeconds, signal);
      page = await readPage(page.seq);
    }
    return { status: 200, body: { events: page.events, cursor: page.cursor } };
  });

  bind(listTaskEvents, async ({ caller, params, query }) => {
    const board = await boards.resolve(params.board);
    const principal = present(caller, CALLER);
    const id = await tasks.resolve(principal, board, params.task);
    await tasks.get(principal, board, params.task);
    const rows = query.limit === undefined ? EVENT_PAGE_ROWS_DEFAULT : Number(query.limit);
    const after = await feeds.position(board, query.after ?? null);
    const page = await reads.read(String(board.id), (sql) => feeds.readTask(board, id, after, rows, sql));
    return { status: 200, body: page };
  });

  bind(getSnapshot, async ({ params }) => {
    const board = await boards.resolve(params.board);
    return reads.snapshot(String(board.id), async (tx) => {
      const cursor = await feeds.cursor(tx, board);
      const rows = await listUnfinishedTasks(tx, board.id, LIMITS.snapshotTasksMax + 1);
      return {
        status: 200,
        body: {
          tasks: rows.slice(0, LIMITS.snapshotTasksMax).map((row) => taskOf(board, row)),
          lanes: await lanes.list(board, null, SNAPSHOT_LANES_MAX, tx),
          cursor,
          truncated: rows.length > LIMITS.snapshotTasksMax,
        },
      };
    });
  });
}

function words(name: string, text: string | undefined): string[] | null {
  if (text === undefined) return null;
  const list = text.split(',');
  if (list.length <= FILTER_WORDS_MAX && list.every((word) => word.length > 0)) return list;
  const errors = [
    { pointer: `/${name}`, detail: `must be 1 to ${FILTER_WORDS_MAX} words with commas between them` },
  ];
  throw new ProblemError('invalid_request', `The query parameter ${name} is not valid.`, { errors });
}
