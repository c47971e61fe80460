/**
 * P18: ten thousand boards with ten lanes each, of which a share is at work. What the others cost every second, by sweep, and what a cycle
 * costs among them.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { makeBoards } from '../board-fill.ts';
import type { HeldClaim } from '../lanekeeper/bench-board.ts';
import { HttpConnection } from '../lanekeeper/http-connection.ts';
import { startServerProcess } from '../lanekeeper/server-process.ts';
import { measureCores } from '../processor-time.ts';
import type { Measured, Scenario, Series } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { pauseMs } from '../window.ts';

const DATABASE = 'boards';
/** Given by the bar; the command line may ask for fewer. */
const BOARDS = 10_000;
const LANES_PER_BOARD = 10;
/** Of all lanes: the rest is there and rests. */
const WORKING_SHARE = 0.1;
/** Below what saturates two cores with boards chosen at random. */
const CONNECTIONS = 16;
/** Of each connection to Postgres its plans, of the server its compiled code: the first seconds are half as fast. */
const WARM_UP_MS = 10_000;
/** Every sweep has had its turn several times. */
const IDLE_MS = 15_000;
/** A new board is looked at once by statistics and by the search for stranded tasks, some hundred a sweep. */
const SETTLE_MS_MAX = 600_000;
const SETTLE_LOOK_MS = 1000;
const MIB = 1024 * 1024;

export const tenThousandBoards: Scenario = {
  id: 'P18',
  title: `boards with ${LANES_PER_BOARD} lanes each, a tenth of the lanes at work`,
  isExtra: true,
  roundsMax: 1,
  metrics: [
    { key: 'boards', unit: 'boards', digits: 0 },
    { key: 'cycles_per_second', unit: 'cycles/s', digits: 0 },
    { key: 'claim_p50_ms', unit: 'claim, ms p50', digits: 1 },
    { key: 'claim_p99_ms', unit: 'claim, ms p99', digits: 1 },
    { key: 'server_cores', unit: 'server cores', digits: 2 },
    { key: 'postgres_cores', unit: 'Postgres cores', digits: 2 },
    { key: 'other_cores', unit: 'cores of client and others', digits: 2 },
    { key: 'server_mb', unit: 'MB server', digits: 0 },
    { key: 'postgres_mb', unit: 'MB Postgres', digits: 0 },
    { key: 'idle_percent', unit: '% of a core at rest, server + Postgres', digits: 1 },
    { key: 'sweeps_percent', unit: '% of the time in sweeps at rest, all together', digits: 1 },
  ],
  contenders: [{ name: 'lanekeeper', measure }],
  comparisons: [],
  close: (bench) => bench.dropDatabase(DATABASE),
};

async function measure(bench: Bench): Promise<Measured> {
  const boards = bench.options.boards ?? BOARDS;
  const databaseUrl = await bench.databaseUrlFor(DATABASE);
  const server = await startServerProcess({
    databaseUrl,
    adminKey: bench.adminKey,
    dataDir: join(bench.scratchDir, 'server-boards'),
    nodeFlags: [],
  });
  const connections: HttpConnection[] = [];
  try {
    const sql = await bench.sqlFor(DATABASE);
    await makeBoards(sql, { boards, lanesPerBoard: LANES_PER_BOARD });
    await untilSettled(bench);
    await bench.checkpoint();
    const pids = { server: [server.pid], postgres: [bench.postmasterPid] };
    const before = await readSweeps(server.url, bench.adminKey);
    const { cores } = await measureCores(pids, () => pauseMs(IDLE_MS));
    const sweeps = sweepsBetween(before, await readSweeps(server.url, bench.adminKey));
    // Not before: a server closes what nobody uses.
    for (let opened = 0; opened < CONNECTIONS; opened += 1)
      connections.push(await HttpConnection.open(server.url));
    await runLoad(bench, connections, { boards, ms: WARM_UP_MS });
    const ms = bench.options.seconds * 1000;
    const { value: load, cores: used } = await measureCores(pids, () =>
      runLoad(bench, connections, { boards, ms }),
    );
    const busySeconds = sweeps.reduce((sum, sweep) => sum + sweep.seconds, 0);
    return {
      figures: {
        boards,
        cycles_per_second: (load.claimMs.length / load.elapsedMs) * 1000,
        claim_p50_ms: percentile(load.claimMs, 0.5),
        claim_p99_ms: percentile(load.claimMs, 0.99),
        server_cores: used['server'] ?? Number.NaN,
        postgres_cores: used['postgres'] ?? Number.NaN,
        other_cores: used['other'] ?? Number.NaN,
        server_mb: (await ownBytes(server.pid)) / MIB,
        postgres_mb: (await familyBytes(bench.postmasterPid)) / MIB,
        idle_percent: ((cores['server'] ?? Number.NaN) + (cores['postgres'] ?? Number.NaN)) * 100,
        sweeps_percent: (busySeconds / IDLE_MS) * 100_000,
      },
      series: tableOf(sweeps),
    };
  } finally {
    for (const connection of connections) connection.close();
    await server.stop();
  }
}

/** Both sweeps that look at new boards have been everywhere. */
async function untilSettled(bench: Bench): Promise<void> {
  const sql = await bench.sqlFor(DATABASE);
  const deadline = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    bench.signal.throwIfAborted();
    const [row] = await sql<{ left: number }[]>`
      SELECT (2 * (SELECT count(*) FROM boards) - (SELECT count(*) FROM stats_progress) - (SELECT count(*) FROM stranded_marks))::int AS left`;
    if (row?.left === 0) return;
    if (performance.now() > deadline) throw new Error(`${row?.left} looks at new boards are still to come`);
    await pauseMs(SETTLE_LOOK_MS);
  }
}

interface Load {
  readonly claimMs: readonly number[];
  readonly elapsedMs: number;
}

/** Create, claim, complete, one after the other on each connection, on the lanes at work by chance. */
async function runLoad(
  bench: Bench,
  connections: readonly HttpConnection[],
  { boards, ms }: { readonly boards: number; readonly ms: number },
): Promise<Load> {
  const claimMs: number[] = [];
  const working = Math.max(1, Math.floor(boards * LANES_PER_BOARD * WORKING_SHARE));
  const admin = { method: 'POST', token: bench.adminKey } as const;
  const startedAt = performance.now();
  const until = startedAt + ms;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < until) {
        bench.signal.throwIfAborted();
        const place = Math.floor(Math.random() * working);
        const board = `/v1/boards/board-${place % boards}`;
        const lane = `lane-${Math.floor(place / boards)}`;
        const task = { title: 'a task', lane };
        await connection.call({ ...admin, path: `${board}/tasks`, body: task });
        const askedAt = performance.now();
        const { claims } = await connection.call<{ claims: readonly HeldClaim[] }>({
          ...admin,
          path: `${board}/lanes/${lane}/claims`,
          body: { worker: `worker-${lane}` },
        });
        claimMs.push(performance.now() - askedAt);
        for (const { run_id: run, token } of claims)
          await connection.call({ method: 'POST', path: `/v1/runs/${run}/complete`, token, body: {} });
      }
    }),
  );
  return { claimMs, elapsedMs: performance.now() - startedAt };
}

interface SweepTotals {
  readonly seconds: number;
  readonly count: number;
}

type Sweep = SweepTotals & { readonly name: string };

async function readSweeps(url: string, token: string): Promise<ReadonlyMap<string, SweepTotals>> {
  const response = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
  const text = await response.text();
  const read = (suffix: string): Map<string, number> =>
    new Map(
      [
        ...text.matchAll(
          new RegExp(`^lanekeeper_sweep_seconds_${suffix}\\{sweep="([^"]+)"\\} (\\S+)$`, 'gm'),
        ),
      ].map(([, name = '', value]) => [name, Number(value)]),
    );
  const [sums, counts] = [read('sum'), read('count')];
  return new Map([...sums].map(([name, seconds]) => [name, { seconds, count: counts.get(name) ?? 0 }]));
}

/** Those that took longest first. */
function sweepsBetween(
  before: ReadonlyMap<string, SweepTotals>,
  after: ReadonlyMap<string, SweepTotals>,
): readonly Sweep[] {
  return [...after]
    .map(([name, { seconds, count }]) => {
      const earlier = before.get(name) ?? { seconds: 0, count: 0 };
      return { name, seconds: seconds - earlier.seconds, count: count - earlier.count };
    })
    .sort((a, b) => b.seconds - a.seconds);
}

const SHOWN = 10;

function tableOf(sweeps: readonly Sweep[]): Series {
  return {
    header: ['sweep at rest', 'times', 'ms each', '% of the time'],
    rows: sweeps
      .slice(0, SHOWN)
      .map(({ name, seconds, count }) => [
        name,
        String(count),
        ((seconds / Math.max(count, 1)) * 1000).toFixed(1),
        ((seconds / IDLE_MS) * 100_000).toFixed(2),
      ]),
  };
}

/** Shared pages counted by share, so that a family's add up: Postgres' shared buffers once. */
async function ownBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024;
}

async function familyBytes(pid: number): Promise<number> {
  let bytes = await ownBytes(pid);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) === pid) bytes += (await ownBytes(Number(name))) || 0;
  }
  return bytes;
}
