/** The one order of what is appended here and what is read from the rings; the database is a script. */
import { expect, test } from 'vitest';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import { type Growth, OutputFeed } from '../../../../src/server/features/claims/output-feed.ts';
import { OutputFeeds } from '../../../../src/server/features/claims/output-feeds.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { eventually } from '../../../fixtures/eventually.ts';

const TASK = '01900000-0000-7000-8000-000000000001' as Uuid;
const RUN = '01900000-0000-7000-8000-000000000002' as Uuid;
const AT = '2026-01-01T00:00:01.000Z';

type OutputFrame = Extract<ServerFrame, { type: 'output' }>;

class Scene {
  /** The number of the newest line there is, by the header. */
  newest = 0;
  /** The oldest line that the ring still has. */
  oldest = 1;
  reads = 0;
  hasRoom = true;
  /** Set: the next read of a ring waits for it, and has been asked for before. */
  gate: Promise<void> | undefined;
  readonly frames: OutputFrame[] = [];
  readonly errors: unknown[] = [];
  readonly feed: OutputFeed;

  constructor() {
    const sql = (strings: TemplateStringsArray): Promise<unknown[]> => this.#answer(strings[0] ?? '');
    this.feed = new OutputFeed({ id: 1, name: 'board', incarnation: 'x' } as never, {
      sql: sql as never,
      onError: (error) => void this.errors.push(error),
    });
  }

  /** One watch, as from the beginning of the test. */
  async watch(): Promise<this> {
    await this.feed.begin();
    this.feed.add({
      id: 'out',
      board: { id: 1 } as never,
      filter: { kinds: null, lanes: null, tasks: null },
      send: (frame) => {
        if (this.hasRoom) this.frames.push(frame as OutputFrame);
        return this.hasRoom;
      },
    });
    return this;
  }

  /** Numbers of the lines sent, in order, and -n for n dropped. */
  get seen(): number[] {
    return this.frames.flatMap(({ dropped, lines }) => [
      ...(dropped === undefined ? [] : [-dropped]),
      ...lines.map(Number),
    ]);
  }

  async untilSeen(...numbers: number[]): Promise<void> {
    await eventually(`${numbers.join()} after ${this.seen.join()}`, () => this.seen.length >= numbers.length);
    expect(this.seen).toEqual(numbers);
    expect(this.errors).toEqual([]);
  }

  publish(from: number, to: number): void {
    const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    const lines = numbers.map((number) => ({ number, runId: RUN, text: String(number) }));
    this.newest = Math.max(this.newest, to);
    this.feed.publish({ taskId: TASK, lane: 'work', at: AT, lines, upToNumber: to } satisfies Growth);
  }

  async #answer(statement: string): Promise<unknown[]> {
    if (statement.includes('outputs.read_clock')) return [{ at: AT }];
    if (statement.includes('outputs.list_grown'))
      return this.newest === 0
        ? []
        : [{ task_id: TASK, line_count: this.newest, updated_at: AT, lane: 'work' }];
    this.reads += 1;
    const { newest, gate } = this;
    this.gate = undefined;
    await gate;
    const rows: unknown[] = [];
    for (let number = this.oldest; number <= newest; number += 1)
      rows.push({ task_id: TASK, number, run_id: RUN, at: AT, text: String(number) });
    return rows;
  }
}

test('lines that are read while they are handed in are sent once, in order', async () => {
  const scene = await new Scene().watch();
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
  const scene = await new Scene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  scene.oldest = 4;
  scene.publish(6, 6);
  await scene.untilSeen(1, -2, 4, 5, 6);
});

test('what follows on the last line is sent without asking the database', async () => {
  const scene = await new Scene().watch();
  scene.publish(1, 1);
  await scene.untilSeen(1);
  const { reads } = scene;
  for (let number = 2; number < 50; number += 1) scene.publish(number, number);
  expect(scene.seen).toHaveLength(49);
  expect(scene.reads).toBe(reads);
});

test('what a socket had no room for is said with the next line, or by itself when none follows', async () => {
  const scene = await new Scene().watch();
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
  const scene = await new Scene().watch();
  scene.oldest = 90;
  scene.publish(100, 100);
  await eventually('the lines', () => scene.seen.length > 0);
  // Those from before are left out by their time, which is the database's to compare; none is counted as lost.
  expect(scene.seen[0]).toBe(90);
});

test('a watch stands when the database has said from when on, and is let go of when it cannot', async () => {
  const asked: ((rows: unknown[]) => void)[] = [];
  let isAway = true;
  const sql = (strings: TemplateStringsArray): Promise<unknown[]> => {
    if (!strings[0]?.includes('outputs.read_clock')) return Promise.resolve([]);
    return isAway ? Promise.reject(new Error('away')) : new Promise((resolve) => asked.push(resolve));
  };
  let listeners = 0;
  const wake = {
    subscribeNudges: () => {
      listeners += 1;
      return () => {
        listeners -= 1;
      };
    },
  };
  const feeds = new OutputFeeds({ sql: sql as never, wake: wake as never, onError: () => undefined });
  const filter = { kinds: null, lanes: null, tasks: null };
  const watch = { id: 'out', board: { id: 1 } as never, filter, send: () => true };
  await expect(feeds.follow(watch)).rejects.toThrow('away');
  expect(listeners).toBe(0);

  isAway = false;
  let isStanding = false;
  const following = feeds.follow(watch).then((leave) => {
    isStanding = true;
    return leave;
  });
  await eventually('the clock is asked for', () => asked.length > 0);
  expect([isStanding, listeners]).toEqual([false, 1]);
  asked[0]?.([{ at: AT }]);
  (await following)();
  expect(listeners).toBe(0);
});
