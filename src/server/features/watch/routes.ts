/** Binds the routes of the log. */
import type { z } from 'zod';
import { LIMITS } from '../../../contract/constants.ts';
import { getSnapshot, listEvents, listTaskEvents } from '../../../contract/events.ts';
import { LaneName, TaskId } from '../../../contract/identifiers.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardService } from '../boards/service.ts';
import type { LaneService } from '../lanes/service.ts';
import { listUnfinishedTasks, type TaskService, taskOf } from '../tasks/service.ts';
import type { EventStreams } from './event-streams.ts';
import { waitForEvent } from './event-wait.ts';
import { type BoardFeeds, isStart, type LogPlace } from './service.ts';
import { kindsOf, setOf, visibleTo } from './view.ts';

const CALLER = 'routes of the log are not open';
const EVENT_PAGE_ROWS_DEFAULT = 100;
/** Of a word that is refused: more than any good one has. */
const SHOWN_CHARACTERS_MAX = 100;
const SNAPSHOT_LANES_MAX = 10_000;
/** Ten thousand ordinary tasks; four such answers at a time are then a bearable part of what a server has. */
const SNAPSHOT_BYTES_MAX = 8 * 1024 * 1024;

interface WatchRoutes {
  readonly feeds: BoardFeeds;
  readonly streams: EventStreams;
  readonly boards: BoardService;
  readonly lanes: LaneService;
  readonly tasks: TaskService;
  readonly reads: BroadReads;
}

export function bindWatchRoutes(
  bind: Bind,
  { feeds, streams, boards, lanes, tasks, reads }: WatchRoutes,
): void {
  bind(listEvents, async ({ caller, params, query, waitSeconds, eventStream, signal }) => {
    const board = await boards.resolve(params.board);
    const principal = present(caller, CALLER);
    const filter = visibleTo(principal, {
      kinds: kindsOf(words('kinds', query.kinds)),
      lanes: setOf(words('lanes', query.lanes, { schema: LaneName, what: 'the name of a lane' })),
      tasks: setOf(words('tasks', query.tasks, { schema: TaskId, what: 'the id of a task (task_…)' })),
    });
    if (query.before !== undefined && (query.after !== undefined || eventStream !== null))
      throw goesBothWays(eventStream === null);
    if (eventStream !== null) {
      // The id is newer: a client that comes back asks for the same address again, with the `after` of its beginning.
      const after = eventStream.lastEventId ?? query.after ?? null;
      const { authorization } = eventStream;
      const verify = (): Promise<Principal> => eventStream.verify();
      return streams.answer({ board, caller: principal, filter, after, authorization, verify });
    }
    const rows = query.limit === undefined ? EVENT_PAGE_ROWS_DEFAULT : Number(query.limit);
    if (query.before !== undefined) {
      const from = await feeds.position(board, query.before);
      const back = await reads.read(String(board.id), (sql) =>
        feeds.readBack(board, from, filter, rows, sql),
      );
      return { status: 200, body: back };
    }
    const named = query.after ?? null;
    const readPage = (place: LogPlace) =>
      reads.read(String(board.id), (sql) => feeds.read(board, place, filter, rows, sql));
    let page = await readPage({ afterSeq: await feeds.position(board, named), isFromStart: isStart(named) });
    if (page.events.length === 0 && page.isAtEnd && waitSeconds !== null) {
      await waitForEvent({ feeds, board, afterSeq: page.seq, filter, waitSeconds, signal });
      page = await readPage({ afterSeq: page.seq });
    }
    return { status: 200, body: { events: page.events, cursor: page.cursor } };
  });

  bind(listTaskEvents, async ({ caller, params, query }) => {
    const board = await boards.resolve(params.board);
    const principal = present(caller, CALLER);
    const id = await tasks.resolve(principal, board, params.task);
    await tasks.get(principal, board, params.task);
    const rows = query.limit === undefined ? EVENT_PAGE_ROWS_DEFAULT : Number(query.limit);
    const named = query.after ?? null;
    const place = { afterSeq: await feeds.position(board, named), isFromStart: isStart(named) };
    const page = await reads.read(String(board.id), (sql) => feeds.readTask(board, id, place, rows, sql));
    return { status: 200, body: page };
  });

  bind(getSnapshot, async ({ params }) => {
    const board = await boards.resolve(params.board);
    return reads.snapshot(String(board.id), async (tx) => {
      const cursor = await feeds.cursor(tx, board);
      const most = { rows: LIMITS.snapshotTasksMax, bytes: SNAPSHOT_BYTES_MAX };
      const { rows, isCut } = await listUnfinishedTasks(tx, board.id, most);
      return {
        status: 200,
        body: {
          tasks: rows.map((row) => taskOf(board, row)),
          lanes: await lanes.list(board, null, SNAPSHOT_LANES_MAX, tx),
          cursor,
          truncated: isCut,
        },
      };
    });
  });
}

function goesBothWays(isPage: boolean): ProblemError {
  const detail = isPage ? 'is given together with after' : 'is for pages: a stream goes on, not back';
  return new ProblemError('invalid_request', `The query parameter before is not valid: it ${detail}.`, {
    errors: [{ pointer: '/before', detail }],
  });
}

/** What could never match is refused, as on a socket: a stream would be silent for ever. */
function words(
  name: string,
  text: string | undefined,
  each?: { readonly schema: z.ZodType; readonly what: string },
): string[] | null {
  if (text === undefined) return null;
  const list = text.split(',');
  const isTooLong = list.length > LIMITS.filterWordsMax || list.includes('');
  const bad = isTooLong ? undefined : list.find((word) => each?.schema.safeParse(word).success === false);
  if (!isTooLong && bad === undefined) return list;
  const detail =
    bad === undefined
      ? `must be 1 to ${LIMITS.filterWordsMax} words with commas between them`
      : `${JSON.stringify(bad.slice(0, SHOWN_CHARACTERS_MAX))} is not ${each?.what}`;
  throw new ProblemError('invalid_request', `The query parameter ${name} is not valid: ${detail}.`, {
    errors: [{ pointer: `/${name}`, detail }],
  });
}
