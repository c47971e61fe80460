/** P12: what it costs to be told why, for a page of tasks of a full board and for one of them, and what waits for a person. One at a time. */
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { fillBoard, tidyTables } from '../bulk-fill.ts';
import { HttpConnection } from '../lanekeeper/http-connection.ts';
import { startServerProcess } from '../lanekeeper/server-process.ts';
import type { Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';

const BOARD = 'why';
const DATABASE = 'why';
/** Of each half: a million tasks in all, given by the bar. */
const TASKS = 500_000;
const LANES = Array.from({ length: 20 }, (_, index) => `lane-${index}`);
/** A page, given by the bar, half of them waiting for twenty parents each. */
const PAGE = 200;
const PARENTS = 20;
const SAMPLES = 300;
/** Unrecorded: compiles the path and opens every pool's connections. */
const WARM_UP_SAMPLES = 50;
const NAME = 'lanekeeper, 1M tasks';
/** Given by the bar. */
const P95_MS_MAX = 50;

export const why: Scenario = {
  id: 'P12',
  title: 'why: lists of 200 tasks with their reasons at 1M tasks, idle',
  isExtra: true,
  metrics: [
    { key: 'plain_p95_ms', unit: 'plain list, ms p95', digits: 1 },
    { key: 'mixed_p95_ms', unit: 'with why, newest, ms p95', digits: 1 },
    { key: 'ready_p95_ms', unit: 'with why, ready on 20 lanes, ms p95', digits: 1 },
    { key: 'one_p95_ms', unit: 'why of one, ms p95', digits: 1 },
    { key: 'attention_p95_ms', unit: 'attention, ms p95', digits: 1 },
  ],
  contenders: [{ name: NAME, measure }],
  comparisons: ['mixed_p95_ms', 'ready_p95_ms'].map((metric) => ({
    metric,
    of: NAME,
    against: null,
    bar: { kind: 'at_most' as const, value: P95_MS_MAX },
  })),
  close: (bench) => bench.dropDatabase(DATABASE),
};

const filled = new WeakSet<Bench>();

async function measure(bench: Bench): Promise<Measured> {
  const server = await startServerProcess({
    databaseUrl: await bench.databaseUrlFor(DATABASE),
    adminKey: bench.adminKey,
    dataDir: join(bench.scratchDir, 'server-why'),
    nodeFlags: [],
  });
  const connection = await HttpConnection.open(server.url);
  try {
    const token = bench.adminKey;
    const read = <T>(path: string): Promise<T> =>
      connection.call<T>({ method: 'GET', path: `/v1/boards/${BOARD}${path}`, token });
    if (!filled.has(bench)) await fill(bench, connection);
    filled.add(bench);
    const page = `/tasks?limit=${PAGE}`;
    const { tasks } = await read<{ tasks: { id: string }[] }>(page);
    const sample = async (path: string): Promise<number> => {
      const times: number[] = [];
      for (let number = 0; number < WARM_UP_SAMPLES + SAMPLES; number += 1) {
        const startedAt = performance.now();
        await read(path);
        if (number >= WARM_UP_SAMPLES) times.push(performance.now() - startedAt);
      }
      bench.signal.throwIfAborted();
      return percentile(times, 0.95);
    };
    return {
      figures: {
        plain_p95_ms: await sample(page),
        mixed_p95_ms: await sample(`${page}&include=why`),
        ready_p95_ms: await sample(`${page}&include=why&status=ready`),
        one_p95_ms: await sample(`/tasks/${tasks[0]?.id}/why`),
        attention_p95_ms: await sample('/attention'),
      },
    };
  } finally {
    connection.close();
    await server.stop();
  }
}

/** A full board, and on top of it a page of tasks that wait for all kinds of things. */
async function fill(bench: Bench, connection: HttpConnection): Promise<void> {
  const token = bench.adminKey;
  const path = `/v1/boards/${BOARD}`;
  await connection.call({ method: 'PUT', path, token, body: {} });
  for (const lane of LANES)
    await connection.call({
      method: 'PUT',
      path: `${path}/lanes/${lane}`,
      token,
      body: { max_concurrent_claims: 5 },
    });
  const sql = await bench.sqlFor(DATABASE);
  await fillBoard(sql, { board: BOARD, lanes: LANES, ready: TASKS, finished: TASKS });
  const create = (tasks: unknown[]): Promise<{ tasks: { id: string }[] }> =>
    connection.call({ method: 'POST', path: `${path}/tasks/batch`, token, body: { tasks } });
  const parents = await create(
    Array.from({ length: PARENTS }, () => ({ title: 'a parent', lane: LANES[0] })),
  );
  const ids = parents.tasks.map((task) => task.id);
  const kinds = [{ parents: ids }, { status: 'triage' }, { parents: ids }, {}];
  await create(
    Array.from({ length: PAGE }, (_, index) => ({
      title: 'a task',
      lane: LANES[index % LANES.length],
      ...kinds[index % kinds.length],
    })),
  );
  await tidyTables(sql);
}
