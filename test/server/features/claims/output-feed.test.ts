/** The one order of what is appended here and what is read from the rings; the database is a script. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { OutputFeed } from '../../../../src/server/features/claims/output/output-feed.ts';
import type { OutputWatch } from '../../../../src/server/features/watch/service.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { AT, neverEnded, OutputScene, RUN } from './output-scene.ts';

test('lines that are read while they are handed in are sent once, in order', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 2);
  await scene.untilSeen(1, 2);
  let open = (): void => undefined;
  scene.gate = new Promise((resolve) => {
    open = resolve;
  });
  // Another server has appended 3 to 5; the ring is being read when it is our turn again, and what we append follows on it.
  scene.newest = 5;
  scene.feed.look();
  await eventually('the ring is asked for', () => scene.gate === undefined);
  scene.publish(3, 4);
  scene.publish(6, 7);
  open();
  await scene.untilSeen(1, 2, 3, 4, 5, 6, 7);
});

test('what does not follow on the last line is read, and what the ring has lost is counted', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  scene.oldest = 4;
  scene.publish(6, 6);
  await scene.untilSeen(1, -2, 4, 5, 6);
});

test('what follows on the last line is sent without asking the database', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  const { reads } = scene;
  for (let number = 2; number < 50; number += 1) scene.publish(number, number);
  await scene.untilSeen(...Array.from({ length: 49 }, (_, index) => index + 1));
  expect(scene.reads).toBe(reads);
});

test('what a socket had no room for is said with the next line, or by itself when none follows', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  scene.hasRoom = false;
  scene.publish(2, 3);
  scene.hasRoom = true;
  scene.publish(4, 4);
  await scene.untilSeen(1, -2, 4);
  scene.hasRoom = false;
  scene.publish(5, 5);
  scene.hasRoom = true;
  scene.feed.look();
  await scene.untilSeen(1, -2, 4, -1);
});

test('a task is followed from where it stands, not from its beginning', async () => {
  const scene = await new OutputScene().watch();
  scene.oldest = 90;
  scene.publish(100, 100);
  await eventually('the lines', () => scene.seen.length > 0);
  // Those from before are left out by their time, which is the database's to compare; none is counted as lost.
  expect(scene.seen[0]).toBe(90);
});

test('a first burst of more lines than are kept says how many of them are missing', async () => {
  const scene = await new OutputScene().watch();
  scene.oldest = 911;
  scene.publish(111, 1110);
  await scene.untilSeen(-800, ...Array.from({ length: 200 }, (_, index) => 911 + index));
});

test('a later burst of more lines than are kept is sent without asking the database', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  const { reads } = scene;
  scene.publish(2, 1001);
  expect(scene.seen).toEqual([1, -800, ...Array.from({ length: 200 }, (_, index) => 802 + index)]);
  expect(scene.reads).toBe(reads);
});

test('of a ring that another server has filled anew no loss goes unsaid', async () => {
  const scene = await new OutputScene().watch();
  scene.oldest = 301;
  scene.newest = 500;
  scene.feed.look();
  await eventually('the lines', () => scene.frames.length > 0);
  expect([scene.seen[0], scene.seen.length]).toEqual([-300, 201]);
});

test('lines whose numbers a crash of the database took back, and gave out again, are sent', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 9);
  await eventually('the lines', () => scene.seen.length === 9);
  scene.at = '2026-01-01T00:00:02.000Z';
  scene.publish(6, 7);
  expect(scene.seen.slice(9)).toEqual([6, 7]);
  // Another server appended behind what was taken back once more.
  scene.at = '2026-01-01T00:00:03.000Z';
  scene.newest = 5;
  scene.oldest = 5;
  scene.feed.look();
  await eventually('the ring', () => scene.seen.length >= 12);
  expect(scene.seen.slice(11)).toEqual([5]);
});

test('a header that was read before what came since takes nothing back', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 3);
  await scene.untilSeen(1, 2, 3);
  scene.at = '2026-01-01T00:00:02.000Z';
  scene.publish(4, 6);
  scene.at = AT;
  scene.newest = 3;
  const { reads } = scene;
  scene.feed.look();
  scene.publish(7, 7);
  await scene.untilSeen(1, 2, 3, 4, 5, 6, 7);
  expect(scene.reads).toBe(reads);
});

test('what a ring lost all of, before it could be read, is said with the next line', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  // Another server has taken 2 to 4, and overwritten them by the time that they are read.
  scene.newest = 4;
  scene.oldest = 5;
  const { reads } = scene;
  scene.feed.look();
  await eventually('the ring is read', () => scene.reads > reads);
  scene.newest = 5;
  scene.feed.look();
  await scene.untilSeen(1, -3, 5);
});

test('nothing is made for a socket without room', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  scene.hasRoom = false;
  for (let number = 2; number < 50; number += 1) scene.publish(number, number);
  expect([scene.refusals, scene.frames.length]).toEqual([48, 1]);
});

test('what many watch is handed out in slices, each line once and in order, and who comes meanwhile begins behind it', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  const watchers = 20;
  const seen: number[][] = [];
  let sentInTurn = 0;
  let busiestTurn = 0;
  const add = (): void => {
    const dropped: number[] = [];
    seen.push(dropped);
    scene.feed.add({
      board: { id: 1 } as never,
      filter: { kinds: null, lanes: null, tasks: null },
      hasRoom: () => true,
      send: (tail) => {
        const { wire } = tail.frameAfter('{');
        dropped.push(...JSON.parse(wire.toString('utf8', wire.indexOf('{'))).lines.map(Number));
        for (const until = performance.now() + 2; performance.now() < until; );
        sentInTurn += 1;
        busiestTurn = Math.max(busiestTurn, sentInTurn);
        return true;
      },
      end: neverEnded,
    });
  };
  for (let count = 0; count < watchers; count += 1) add();
  let isDone = false;
  const turns = (async () => {
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      sentInTurn = 0;
    }
  })();
  for (let number = 2; number <= 6; number += 1) scene.publish(number, number);
  add();
  scene.publish(7, 7);
  const all = Array.from({ length: 6 }, (_, index) => index + 2);
  await eventually('all lines', () => seen.every((lines) => lines.at(-1) === 7));
  isDone = true;
  await turns;
  expect(seen).toEqual([...Array.from({ length: watchers }, () => all), [7]]);
  // In one go it would be 120. A turn may have the end of one slice and the beginning of the next.
  expect(busiestTurn).toBeLessThan(20);
});

test('a watch that leaves while a line is handed out is not sent it any more, nor what it was still to be told', async () => {
  const scene = await new OutputScene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  let hasRoom = true;
  let isGone = false;
  let lateSends = 0;
  let onSent = (): void => undefined;
  const leaver: OutputWatch = {
    board: { id: 1 } as never,
    filter: { kinds: null, lanes: null, tasks: null },
    hasRoom: () => hasRoom,
    send: () => {
      if (isGone) lateSends += 1;
      return true;
    },
    end: neverEnded,
  };
  const leave = (): void => {
    scene.feed.remove(leaver);
    isGone = true;
  };
  scene.feed.add({
    ...leaver,
    // Takes the whole slice, so that whoever is behind it has to wait for the next turn.
    send: () => {
      for (const until = performance.now() + 15; performance.now() < until; );
      setImmediate(onSent);
      return true;
    },
  });
  scene.feed.add(leaver);
  scene.publish(2, 2);
  leave();
  scene.publish(3, 3);
  await eventually('all is handed out', () => scene.seen.length === 3);

  isGone = false;
  scene.feed.add(leaver);
  hasRoom = false;
  scene.publish(4, 4);
  await eventually('it is counted', () => scene.seen.length === 4);
  hasRoom = true;
  onSent = leave;
  scene.feed.look();
  await eventually('it has left', () => isGone);
  await new Promise((resolve) => setImmediate(resolve));
  expect(lateSends).toBe(0);
});

test('of a socket that has no room for what a thousand tasks print all is told, and one that misses more is ended', async () => {
  const tasks = Array.from({ length: 1001 }, () => randomUUID() as Uuid);
  const upTo = new Map<Uuid, number>();
  const sql = async (strings: TemplateStringsArray, ...values: unknown[]): Promise<unknown[]> => {
    if (strings[0]?.includes('outputs.read_clock')) return [{ at: AT }];
    if (strings[0]?.includes('outputs.list_grown'))
      return [...upTo].map(([task_id, line_count]) => ({
        task_id,
        line_count,
        updated_at: AT,
        lane: 'work',
      }));
    const asked = values[0] as readonly Uuid[];
    return asked.map((task_id) => ({ task_id, number: 1, run_id: RUN, at: AT, text: 'x' }));
  };
  const errors: unknown[] = [];
  const feed = new OutputFeed({ id: 1, name: 'board', incarnation: 'x' } as never, {
    sql: sql as never,
    onError: (error) => void errors.push(error),
  });
  await feed.begin();
  let isRoomy = false;
  let asked = 0;
  let told = 0;
  let ends = 0;
  feed.add({
    board: { id: 1 } as never,
    filter: { kinds: null, lanes: null, tasks: null },
    hasRoom: () => {
      asked += 1;
      return isRoomy;
    },
    send: (_tail, dropped) => {
      told += dropped;
      return true;
    },
    end: () => {
      ends += 1;
    },
  });
  const print = (task: Uuid): void => void upTo.set(task, 1);
  tasks.slice(0, 1000).forEach(print);
  feed.look();
  await eventually('a thousand tasks have lost a line', () => asked >= 1000);
  isRoomy = true;
  await eventually('it is told of each', () => {
    feed.look();
    return told === 1000;
  });
  expect(ends).toBe(0);

  isRoomy = false;
  asked = 0;
  for (const taskId of tasks.slice(0, 1000)) {
    const lines = [{ number: 2, runId: RUN, text: 'y' }];
    feed.publish({ taskId, lane: 'work', at: AT, lines, afterNumber: 1, upToNumber: 2 });
    upTo.set(taskId, 2);
    if (upTo.size % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('a thousand tasks have lost another line', () => asked >= 1000);
  expect(ends).toBe(0);
  print(tasks[1000] as Uuid);
  feed.look();
  await eventually('it is ended', () => ends > 0);
  isRoomy = true;
  const before = [asked, told];
  feed.publish({ taskId: tasks[0] as Uuid, lane: 'work', at: AT, lines: [], afterNumber: 2, upToNumber: 3 });
  feed.look();
  await new Promise((resolve) => setImmediate(resolve));
  expect([asked, told]).toEqual(before);
  expect([ends, errors]).toEqual([1, []]);
});
