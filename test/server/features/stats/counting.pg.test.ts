/** Every event of a log counts exactly once, whoever counts, and whatever happens to them in the middle of it. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { begin } from '../../../../src/server/db/begin.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { LogCounting } from '../../../../src/server/features/stats/service.ts';
import { addUpEvents, lockProgress } from '../../../../src/server/features/stats/store/add-up.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { type LogShape, writeLog } from './log.ts';

const NEVER = new AbortController().signal;
const TASKS = 200;
const SHAPE: LogShape = {
  tasks: TASKS,
  lanes: 3,
  startedSecondsAgo: 1000,
  spacingSeconds: 2,
  waitSeconds: (task) => 1 + (task % 50),
  runSeconds: (task) => 10 + (task % 100),
};

let site: TestDatabase;
let databases: Database[] = [];
beforeAll(async () => {
  site = await createTestDatabase();
  databases = [openDatabase({ url: site.url }), openDatabase({ url: site.url })];
});
afterAll(async () => {
  await Promise.all(databases.map((database) => database.close()));
  await site?.drop();
});

/** Of two servers, with turns as short as the test wants. */
function counters(eventsPerTurn: number, measuredPerTurn = eventsPerTurn, bytesPerTurn = 1e9): LogCounting[] {
  const bounds = { eventsPerTurn, bytesPerTurn, measuredPerTurn };
  return databases.map(({ cold }) => new LogCounting(cold, bounds));
}

async function positionOf(board: number): Promise<number> {
  const [row] = await site.sql<{ seq: string }[]>`SELECT seq FROM stats_progress WHERE board_id = ${board}`;
  return Number(row?.seq ?? -1);
}

/** Sweeps until the whole log has been added up. */
async function countAll(board: number, counting: readonly LogCounting[]): Promise<void> {
  await eventually('the log is added up', async () => {
    await Promise.all(counting.map((each) => each.sweep(NEVER)));
    const [row] = await site.sql<
      { seq: string }[]
    >`SELECT max(seq) AS seq FROM events WHERE board_id = ${board}`;
    return (await positionOf(board)) === Number(row?.seq);
  });
}

type Numbers = Record<string, number>;
interface Minute {
  readonly minute: Date;
  readonly created: number;
  readonly claims: number;
  readonly ends: Numbers;
  readonly waits: Numbers;
  readonly runs: Numbers;
  readonly lanes: Record<string, [number, number]>;
  readonly depth: Numbers;
}

function minutesOf(board: number): Promise<Minute[]> {
  return site.sql<Minute[]>`
    SELECT minute, created, claims, ends, waits, runs, lanes, depth FROM board_minutes WHERE board_id = ${board} ORDER BY minute`;
}

function emptyMinute(startMs: number): Omit<Minute, 'depth'> {
  return { minute: new Date(startMs), created: 0, claims: 0, ends: {}, waits: {}, runs: {}, lanes: {} };
}

/** The plain fold: from the log alone, at once. */
async function folded(board: number): Promise<Omit<Minute, 'depth'>[]> {
  const events = await site.sql<
    { kind: string; at: Date; us: string; task_id: string; lane: string; data: Record<string, unknown> }[]
  >`SELECT kind, at, (extract(epoch FROM at) * 1e6)::bigint AS us, task_id, lane, data FROM events WHERE board_id = ${board} ORDER BY seq`;
  const minutes = new Map<number, Omit<Minute, 'depth'>>();
  const since = new Map<string, number>();
  const count = (numbers: Numbers, key: string): void => {
    numbers[key] = (numbers[key] ?? 0) + 1;
  };
  for (const { kind, at, us, task_id, lane, data } of events) {
    const start = Math.floor(at.getTime() / 60_000) * 60_000;
    const minute = minutes.get(start) ?? emptyMinute(start);
    const ms = (Number(us) - (since.get(task_id) ?? Number.NaN)) / 1000;
    const step = String(Math.floor(4 * Math.log2(ms)));
    const figures = minute.lanes[lane] ?? [0, 0];
    if (kind === 'task.claimed') {
      count(minute.waits, step);
      minute.lanes[lane] = [figures[0] + 1, figures[1]];
    }
    if (kind === 'task.completed') {
      count(minute.ends, String(data['outcome']));
      count(minute.runs, step);
      minute.lanes[lane] = [figures[0], figures[1] + 1];
    }
    minutes.set(start, {
      ...minute,
      created: minute.created + (kind === 'task.created' ? 1 : 0),
      claims: minute.claims + (kind === 'task.claimed' ? 1 : 0),
    });
    since.set(task_id, Number(us));
  }
  return [...minutes.values()];
}

/** A turn without the patience of a sweep. True: there are more. */
function oneTurn(board: number, bytesMax: number): Promise<boolean> {
  const cold = databases[0]?.cold;
  if (cold === undefined) throw new Error('the databases are opened before the tests');
  return begin(cold, '', async (tx) => {
    const afterSeq = (await lockProgress(tx, board)) ?? -1;
    return addUpEvents(tx, board, { afterSeq, eventsMax: 5000, bytesMax, measuredMax: 100 });
  });
}

const withoutDepth = (minutes: readonly Minute[]) => minutes.map(({ depth: _, ...rest }) => rest);

async function newBoard(shape: Partial<LogShape> = {}): Promise<number> {
  const board = await writeLog(site.sql, `b${Math.random().toString(36).slice(2)}`, { ...SHAPE, ...shape });
  onTestFinished(async () => {
    for (const table of ['events', 'runs', 'board_seq', 'stats_progress', 'board_minutes'])
      await site.sql`DELETE FROM ${site.sql(table)} WHERE board_id = ${board}`;
    await site.sql`DELETE FROM boards WHERE id = ${board}`;
  });
  return board;
}

describe('a log is added up to what folding it gives', () => {
  test('by two servers at once, in turns that cut minutes and tasks in two', async () => {
    const board = await newBoard();
    await countAll(board, counters(7));
    expect(withoutDepth(await minutesOf(board))).toEqual(await folded(board));
  });

  test('when a turn is broken off at its last row, and when its server dies there', async () => {
    const board = await newBoard();
    const [first, second] = counters(100);
    if (first === undefined || second === undefined) throw new Error('there are two');
    await eventually('the counting has begun', async () => {
      await first.sweep(NEVER);
      return (await minutesOf(board)).length > 0;
    });
    const before = { minutes: await minutesOf(board), position: await positionOf(board) };
    // The turn has added up everything and stands at the newest minute that it shares with the one before.
    const last = before.minutes.at(-1)?.minute;
    await site.sql.begin(async (tx) => {
      await tx`SELECT FROM board_minutes WHERE board_id = ${board} AND minute = ${last ?? null} FOR UPDATE`;
      await expect(second.sweep(NEVER)).rejects.toThrow('lock timeout');
      // There is time to end its server. What it failed with.
      const turn = oneTurn(board, 1e9).catch((error: unknown) => error);
      const pid = await eventually('the turn stands', async () => {
        const rows = await site.sql<{ pid: number }[]>`
          SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%/* stats.add_up */%' AND datname = current_database()`;
        return rows[0]?.pid;
      });
      await site.sql`SELECT pg_terminate_backend(${pid})`;
      expect(await turn).toBeInstanceOf(Error);
    });
    expect({ minutes: await minutesOf(board), position: await positionOf(board) }).toEqual(before);
    await countAll(board, [first, second]);
    expect(withoutDepth(await minutesOf(board))).toEqual(await folded(board));
  });

  test('while it grows, and the newest minute knows how many tasks are in each status by then', async () => {
    const board = await newBoard();
    const counting = counters(5000);
    await countAll(board, counting);
    expect((await minutesOf(board)).at(-1)?.depth).toMatchObject({ done: TASKS, ready: 0 });
    await site.sql`UPDATE board_seq SET seq = seq + 1, ready = 1 WHERE board_id = ${board}`;
    await site.sql`
      INSERT INTO events (board_id, seq, kind, at, task_id, lane, actor_type, actor_id, data)
      SELECT board_id, seq, 'task.created', now(), gen_random_uuid(), 'lane-0', 'system', 'test', '{"status_before": null, "status_after": "ready"}'
      FROM board_seq WHERE board_id = ${board}`;
    await countAll(board, counting);
    const minutes = await minutesOf(board);
    expect(minutes.at(-1)?.depth).toMatchObject({ done: TASKS, ready: 1 });
    expect(withoutDepth(minutes)).toEqual(await folded(board));
  });
});

describe('what events say', () => {
  /** Random, so that it stays as long when it is stored; a long line of the same is stored as a hundredth. */
  const LENGTHS = { random: 32_000, same: 250_000 };
  const BYTES = 1_000_000;

  test('cuts turns short where it is much, and each event counts once all the same', async () => {
    const board = await newBoard();
    await site.sql`
      UPDATE events SET data = data || jsonb_build_object('metadata', CASE WHEN seq % 2 = 0 THEN repeat('a', ${LENGTHS.same})
        ELSE (SELECT string_agg(md5(seq || ' ' || n), '') FROM generate_series(1, ${LENGTHS.random / 32}) n) END)
      WHERE board_id = ${board} AND kind = 'task.completed'`;
    await site.sql`INSERT INTO stats_progress (board_id, seq) VALUES (${board}, 0)`;
    expect(await oneTurn(board, BYTES)).toBe(true);
    const position = await positionOf(board);
    const [weight] = await site.sql<{ before: number; until: number }[]>`
      SELECT sum(weight) FILTER (WHERE seq < ${position})::int AS before, sum(weight)::int AS until FROM (
        SELECT seq, pg_column_size(data) * CASE WHEN pg_column_compression(data) IS NULL THEN 1 ELSE 8 END AS weight
        FROM events WHERE board_id = ${board} AND seq <= ${position}
      ) AS event`;
    expect(weight?.before).toBeLessThan(BYTES);
    expect(weight?.until).toBeGreaterThanOrEqual(BYTES);
    // However much one event says, it is passed.
    expect(await oneTurn(board, 1)).toBe(true);
    expect(await positionOf(board)).toBe(position + 1);
    await countAll(board, counters(5000, 5000, BYTES));
    expect(withoutDepth(await minutesOf(board))).toEqual(await folded(board));
    expect(await oneTurn(board, BYTES)).toBe(false);
  });
});

describe('of very many', () => {
  test('claims and ends a sample is measured, evenly over the turn, and all are counted', async () => {
    const board = await newBoard({ waitSeconds: (task) => (task < TASKS / 2 ? 1 : 100) });
    await countAll(board, counters(5000, 20));
    const minutes = await minutesOf(board);
    const sum = (numbers: Numbers) => Object.values(numbers).reduce((total, number) => total + number, 0);
    const total = (read: (minute: Minute) => number) =>
      minutes.reduce((sofar, minute) => sofar + read(minute), 0);
    expect([total(({ claims }) => claims), total(({ ends }) => sum(ends))]).toEqual([TASKS, TASKS]);
    expect([total(({ waits }) => sum(waits)), total(({ runs }) => sum(runs))]).toEqual([20, 20]);
    const short = total(({ waits }) => waits['39'] ?? 0); // 2^(39/4) ms ≤ 1 s < 2^(40/4) ms.
    expect(short).toBe(10);
  });

  test('lanes the busiest 200 of a minute keep their names, also when they come in several turns', async () => {
    const board = await newBoard({ tasks: 900, lanes: 300, spacingSeconds: 0, startedSecondsAgo: 600 });
    await site.sql`UPDATE events SET at = date_trunc('minute', now()) WHERE board_id = ${board}`;
    await countAll(board, counters(1000));
    const [minute, ...others] = await minutesOf(board);
    expect(others).toEqual([]);
    const { '': rest, ...named } = minute?.lanes ?? {};
    expect(Object.keys(named)).toHaveLength(200);
    const sum = (index: 0 | 1) =>
      Object.values(minute?.lanes ?? {}).reduce((total, figures) => total + figures[index], 0);
    expect([sum(0), sum(1), rest === undefined]).toEqual([900, 900, false]);
  });
});

describe('what is old', () => {
  test('of a log that was never added up, no more than a day is', async () => {
    const board = await newBoard({ startedSecondsAgo: 30 * 3600, spacingSeconds: 600 });
    const counting = counters(5000);
    await countAll(board, counting);
    const [row] = await site.sql<{ count: number }[]>`
      SELECT count(*)::int FROM events WHERE board_id = ${board} AND kind = 'task.created'
        AND at >= date_trunc('minute', now()) - interval '24 hours'`;
    const created = (await minutesOf(board)).reduce((sum, minute) => sum + minute.created, 0);
    // The minute may have changed since.
    expect(created - (row?.count ?? 0)).toBeOneOf([0, 1]);
    expect(created).toBeLessThan(TASKS);
  });

  test('and pruned before it was added up is passed over, and holds up no other board', async () => {
    const board = await newBoard();
    const end = TASKS * 3;
    await site.sql`INSERT INTO stats_progress (board_id, seq) VALUES (${board}, 1)`;
    await site.sql`DELETE FROM events WHERE board_id = ${board}`;
    await site.sql`UPDATE board_seq SET pruned_seq = ${end} WHERE board_id = ${board}`;
    expect(await oneTurn(board, 1e9)).toBe(false);
    expect(await positionOf(board)).toBe(end);
    expect(await minutesOf(board)).toEqual([]);
  });

  test('is deleted after eight days, whether or not the board is in use, and nothing younger', async () => {
    const board = await newBoard({ tasks: 1 });
    const [counting] = counters(100);
    await countAll(board, counters(100));
    await site.sql`
      INSERT INTO board_minutes (board_id, minute)
      SELECT ${board}, date_trunc('minute', now()) - make_interval(hours => hours) FROM generate_series(1, 300) AS hours`;
    await counting?.forgetOld();
    const [oldest] = await minutesOf(board);
    const hours = (Date.now() - (oldest?.minute.getTime() ?? 0)) / 3_600_000;
    expect(Math.round(hours)).toBeOneOf([191, 192]);
  });
});
