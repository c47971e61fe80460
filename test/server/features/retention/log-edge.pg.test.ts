/** A cursor at the pruned end is good, the one before it is expired: by whatever way the log is read, and whatever happens meanwhile. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { BoardFeeds } from '../../../../src/server/features/watch/service.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { openStream } from '../../../fixtures/event-stream-client.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

/** Prunes its log up to an event as the pruner does, at the moment that the test wants. */
async function pruneTo(board: TestBoard, seq: number): Promise<void> {
  await servers.database.sql.begin(async (tx) => {
    const id = tx`(SELECT id FROM boards WHERE name = ${board.name})`;
    await tx`DELETE FROM events WHERE board_id = ${id} AND seq <= ${seq}`;
    await tx`UPDATE board_seq SET pruned_seq = ${seq} WHERE board_id = ${id}`;
  });
}

const PRUNED = 4;
let board: TestBoard;
let events: Event[];
const cursorOf = (seq: number): string => events[seq - 1]?.cursor ?? '';

beforeAll(async () => {
  [board] = await servers.board();
  await board.tasks('work', 9);
  events = await board.events();
  await pruneTo(board, PRUNED);
});

const read = (query: string) => board.call('GET', `/events?${query}`);

describe('the edge', () => {
  test('of pages: at it the next event comes, before it none', async () => {
    const at = expectStatus(await read(`after=${cursorOf(PRUNED)}`), 200).body.events;
    expect(at.map(({ seq }: Event) => seq)).toEqual(events.slice(PRUNED).map(({ seq }) => seq));
    const before = await read(`after=${cursorOf(PRUNED - 1)}`);
    expect([before.status, before.body.code]).toEqual([410, 'cursor_expired']);
  });

  test('of the beginning: it is the oldest event that there is', async () => {
    const start = expectStatus(await read('after=start&limit=1'), 200).body.events;
    expect(start).toMatchObject([{ seq: PRUNED + 1 }]);
  });

  test('of reading back: it ends there, and a cursor before it is expired', async () => {
    const back = expectStatus(await read('before=now'), 200).body;
    expect(back.events.at(-1)).toMatchObject({ seq: PRUNED + 1 });
    expect(back.cursor).toBe(cursorOf(PRUNED));
    expect(expectStatus(await read(`before=${cursorOf(PRUNED)}`), 200).body.events).toEqual([]);
    expect((await read(`before=${cursorOf(PRUNED - 1)}`)).body.code).toBe('cursor_expired');
  });

  test('of one task: its log is expired where the log is', async () => {
    const task = events.at(-1)?.task_id;
    const ofTask = (query: string) => board.call('GET', `/tasks/${task}/events?${query}`);
    expectStatus(await ofTask(`after=${cursorOf(PRUNED)}`), 200);
    expect((await ofTask(`after=${cursorOf(PRUNED - 1)}`)).body.code).toBe('cursor_expired');
  });

  test('of a watch over a socket', async () => {
    const socket = await openSocket(board.server, board.name);
    await socket.watch({ id: 'at', after: cursorOf(PRUNED) });
    await eventually('the events after it came', () => socket.events('at').length === events.length - PRUNED);
    socket.send({ type: 'watch', id: 'before', after: cursorOf(PRUNED - 1) });
    expect(await socket.frame('error', ({ id }) => id === 'before')).toMatchObject({
      code: 'cursor_expired',
    });
  });

  test('of an event stream', async () => {
    const stream = await openStream(board, { lastEventId: cursorOf(PRUNED) });
    expect((await stream.untilEvents(events.length - PRUNED))[0]).toMatchObject({ seq: PRUNED + 1 });
    const refused = await board.call('GET', '/events', {
      headers: { Accept: 'text/event-stream', 'Last-Event-ID': cursorOf(PRUNED - 1) },
    });
    expect([refused.status, refused.body.code]).toEqual([410, 'cursor_expired']);
  });

  test('of a long poll', async () => {
    const wait = (cursor: string) =>
      board.call('GET', `/events?after=${cursor}`, { headers: { Prefer: 'wait=5' } });
    expect((await wait(cursorOf(PRUNED))).body.events[0]).toMatchObject({ seq: PRUNED + 1 });
    expect((await wait(cursorOf(PRUNED - 1))).status).toBe(410);
  });
});

describe('what is pruned between the look at a cursor and the read', () => {
  const NO_FILTER = { kinds: null, lanes: null, tasks: null };

  async function openFeeds() {
    const database = openDatabase({ url: servers.database.url });
    onTestFinished(() => database.close());
    const [row] = await servers.database.sql<{ id: number; incarnation: string }[]>`
      SELECT id, log_incarnation AS incarnation FROM boards WHERE name = ${board.name}`;
    const feeds = new BoardFeeds({
      sql: database.cold,
      wake: { subscribe: () => () => undefined } as never,
      clock: { now: () => Date.now() },
      onError: () => undefined,
      onLag: () => undefined,
    });
    return {
      feeds,
      runner: database.cold,
      place: { id: row?.id ?? 0, name: board.name, incarnation: row?.incarnation ?? '' },
    };
  }

  test('is told by the page, by the log of a task and by a watch', async () => {
    const { feeds, runner, place } = await openFeeds();
    const afterSeq = PRUNED - 1;
    const expired = { code: 'cursor_expired' };
    await expect(feeds.read(place, { afterSeq }, NO_FILTER, 10)).rejects.toMatchObject(expired);
    await expect(feeds.readOn(place, afterSeq)).rejects.toMatchObject(expired);
    const task = '01890000-0000-7000-8000-000000000001' as Uuid;
    await expect(feeds.readTask(place, task, { afterSeq }, 10, runner)).rejects.toMatchObject(expired);
  });

  test('is nothing to whoever wants whatever there is', async () => {
    const { feeds, place } = await openFeeds();
    const page = await feeds.read(place, { afterSeq: 0, isFromStart: true }, NO_FILTER, 2);
    expect(page.events.map(({ seq }) => seq)).toEqual([PRUNED + 1, PRUNED + 2]);
  });
});

describe('a server that is so far behind that the log was pruned before it read it', () => {
  test('tells those who follow that there is a gap, and goes on behind it', async () => {
    const [own] = await servers.board();
    await own.tasks('work', 3);
    const database = openDatabase({ url: servers.database.url });
    onTestFinished(() => database.close());
    const [row] = await servers.database.sql<{ id: number; incarnation: string }[]>`
      SELECT id, log_incarnation AS incarnation FROM boards WHERE name = ${own.name}`;
    let ring: () => void = () => undefined;
    const feeds = new BoardFeeds({
      sql: database.cold,
      wake: {
        subscribe: (_board: number, onRing: () => void) => {
          ring = onRing;
          return () => undefined;
        },
      } as never,
      clock: { now: () => Date.now() },
      onError: (error) => {
        throw error;
      },
      onLag: () => undefined,
    });
    const heard: (number | string)[] = [];
    const place = { id: row?.id ?? 0, name: own.name, incarnation: row?.incarnation ?? '' };
    const { seq } = await feeds.follow(place, {
      onEvents: (news) => heard.push(...news.map((event) => event.seq)),
      onGap: () => heard.push('gap'),
      onEnd: () => heard.push('end'),
    });
    await own.tasks('work', 3);
    await pruneTo(own, seq + 2);
    ring();
    await eventually('the rest is heard', () => heard.length === 2);
    expect(heard).toEqual(['gap', seq + 3]);
  });
});

describe('a log that is pruned to its very end', () => {
  test('is expired for everybody but who stands at its end', async () => {
    const [own] = await servers.board();
    await own.tasks('work', 3);
    const log = await own.events();
    await pruneTo(own, log.length);
    const readAfter = (seq: number) => own.call('GET', `/events?after=${log[seq - 1]?.cursor}`);
    expect(expectStatus(await readAfter(log.length), 200).body).toMatchObject({ events: [] });
    expect((await readAfter(log.length - 1)).body.code).toBe('cursor_expired');
    expect(expectStatus(await own.call('GET', '/events?after=start'), 200).body.events).toEqual([]);
    await own.task('work');
    expect((await own.events()).map(({ seq }) => seq)).toEqual([log.length + 1]);
  });
});
