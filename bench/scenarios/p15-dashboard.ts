/** P15: the dashboard in a real Chromium on the same cores: cards that move, a long column that is scrolled, many events, and a lost connection. */
import { join } from 'node:path';
import { TcpProxy } from '../../chaos/tcp-proxy.ts';
import { findChromium } from '../../scripts/chromium.mjs';
import { type Client, connect } from '../../src/client/index.ts';
import type { Bench } from '../bench.ts';
import { BoardPage } from '../dashboard/board-page.ts';
import { readMainThread } from '../dashboard/trace.ts';
import { startServerProcess } from '../lanekeeper/server-process.ts';
import type { Measured, Measurement, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { pauseMs } from '../window.ts';

const DATABASE = 'dashboard';
const NAME = 'dashboard, Chromium on the same cores';
/** Each moves twice. The bar asks for 200 moves. */
const MOVED_TASKS = 100;
/** Unrecorded: the page and the server compile what they run. */
const WARM_UP_TASKS = 5;
const INTERVAL_MS = { min: 20, max: 80 } as const;
/** Given by the bar. */
const CARDS = 5000;
const CARDS_PER_CALL = 1000;
/** Some 45 cards a second: as fast as people scroll who look for something. */
const PIXELS_PER_FRAME = 60;
const SCROLL_SECONDS = 5;
/** Given by the bar: 100 events a second for ten seconds. */
const EVENTS_SECONDS = 10;
const TICK_MS = 100;
/** Half of a tick's events create, half move what the tick before has created. */
const CREATED_PER_TICK = 5;
/** Given by the bar. */
const CUT_SECONDS = 30;

const LANE = 'factory';
const bars = { move_p95_ms: 250, scroll_p95_ms: 20, longest_ms: 50 } as const;

export const dashboard: Scenario = {
  id: 'P15',
  title: `dashboard: event → card moved, ${CARDS} cards scrolled, 100 events/s, cut off`,
  isExtra: true,
  metrics: [
    { key: 'move_p50_ms', unit: 'event → card moved, ms p50', digits: 0 },
    { key: 'move_p95_ms', unit: 'event → card moved, ms p95', digits: 0 },
    { key: 'scroll_p95_ms', unit: 'main thread per frame while scrolling, ms p95', digits: 1 },
    { key: 'frame_p95_ms', unit: 'between those frames, ms p95', digits: 1 },
    { key: 'longest_ms', unit: 'longest task under events, ms', digits: 0 },
    { key: 'events_per_second', unit: 'events/s of that', digits: 0 },
    { key: 'resync_ms', unit: 'back → caught up, ms', digits: 0 },
  ],
  contenders: [{ name: NAME, missing, measure }],
  comparisons: Object.entries(bars).map(([metric, value]) => ({
    metric,
    of: NAME,
    against: null,
    bar: { kind: 'at_most' as const, value },
  })),
  close: (bench) => bench.dropDatabase(DATABASE),
};

function missing(): string | null {
  return findChromium() === null
    ? 'no Chromium (Debian: apt-get install chromium-headless-shell, or set CHROME_PATH)'
    : null;
}

interface Setting {
  readonly bench: Bench;
  readonly url: string;
  /** A fresh board with one lane. */
  readonly makeBoard: () => Promise<Client>;
}

async function measure(bench: Bench): Promise<Measured> {
  const { adminKey, scratchDir } = bench;
  const server = await startServerProcess({
    databaseUrl: await bench.databaseUrlFor(DATABASE),
    adminKey,
    dataDir: join(scratchDir, 'server-dashboard'),
    nodeFlags: [],
  });
  const makeBoard = async (): Promise<Client> => {
    const client = connect({
      url: server.url,
      token: adminKey,
      board: `b-${crypto.randomUUID().slice(0, 8)}`,
    });
    await client.boards.put(client.board);
    await client.lanes.register(LANE);
    return client;
  };
  const setting: Setting = { bench, url: server.url, makeBoard };
  try {
    const figures: Record<string, number> = {};
    for (const part of [move, scroll, flood, cutOff]) {
      bench.signal.throwIfAborted();
      Object.assign(figures, await part(setting));
      bench.report(`P15 ${part.name}`);
    }
    return { figures };
  } finally {
    await server.stop();
  }
}

/** From the event's own time, which is a little before its commit, to the first frame that shows the card under its new status. */
async function move({ bench, url, makeBoard }: Setting): Promise<Measurement> {
  const client = await makeBoard();
  const page = await BoardPage.open(url, client.board, bench.adminKey);
  try {
    const latencies: number[] = [];
    for (let index = 0; index < WARM_UP_TASKS + MOVED_TASKS; index += 1) {
      bench.signal.throwIfAborted();
      const { task } = await client.tasks.create({ title: `task ${index}`, lane: LANE, status: 'triage' });
      await page.untilCard(task.id);
      for (const verb of ['promote', 'complete'] as const) {
        await pauseMs(INTERVAL_MS.min + Math.random() * (INTERVAL_MS.max - INTERVAL_MS.min));
        let changedAt = Number.NaN;
        const shownAt = await page.whenMoved(task.id, verb === 'promote' ? 'ready' : 'done', async () => {
          const reply = await client.tasks[verb](task.id);
          changedAt = Date.parse(reply.task.status_since);
        });
        if (index >= WARM_UP_TASKS) latencies.push(shownAt - changedAt);
      }
    }
    return { move_p50_ms: percentile(latencies, 0.5), move_p95_ms: percentile(latencies, 0.95) };
  } finally {
    await page.close();
  }
}

async function scroll({ bench, url, makeBoard }: Setting): Promise<Measurement> {
  const client = await makeBoard();
  for (let made = 0; made < CARDS; made += CARDS_PER_CALL)
    await client.tasks.createBatch(
      Array.from({ length: CARDS_PER_CALL }, (_, index) => ({
        title: `Card ${made + index} of a long column, with a title of usual length`,
        lane: LANE,
        labels: { part: `p${index % 7}` },
      })),
    );
  const page = await BoardPage.open(url, client.board, bench.adminKey);
  try {
    const forMs = windowSeconds(bench, SCROLL_SECONDS) * 1000;
    const file = join(bench.scratchDir, 'scroll.json');
    const { trace, outcome } = await page.trace(file, () => page.scroll(forMs, PIXELS_PER_FRAME));
    const { framesMs } = readMainThread(trace);
    return { scroll_p95_ms: percentile(framesMs, 0.95), frame_p95_ms: percentile(outcome, 0.95) };
  } finally {
    await page.close();
  }
}

async function flood({ bench, url, makeBoard }: Setting): Promise<Measurement> {
  const client = await makeBoard();
  const page = await BoardPage.open(url, client.board, bench.adminKey);
  try {
    const forMs = windowSeconds(bench, EVENTS_SECONDS) * 1000;
    const file = join(bench.scratchDir, 'flood.json');
    const { trace, outcome } = await page.trace(file, async () => {
      const [made] = await Promise.all([makeEvents(client, forMs, bench.signal), page.frames(forMs)]);
      return made;
    });
    await page.untilCard(outcome.last);
    const { tasksMs } = readMainThread(trace);
    return { longest_ms: Math.max(...tasksMs), events_per_second: outcome.events / (forMs / 1000) };
  } finally {
    await page.close();
  }
}

async function makeEvents(
  client: Client,
  forMs: number,
  signal: AbortSignal,
): Promise<{ readonly events: number; readonly last: string }> {
  const startedAt = performance.now();
  let events = 0;
  let waiting: readonly string[] = [];
  for (let tick = 0; tick * TICK_MS < forMs; tick += 1) {
    signal.throwIfAborted();
    const drafts = Array.from({ length: CREATED_PER_TICK }, (_, index) => ({
      title: `task ${tick}.${index}`,
      lane: LANE,
      status: 'triage' as const,
    }));
    const [{ tasks }] = await Promise.all([
      client.tasks.createBatch(drafts),
      ...waiting.map((id) => client.tasks.promote(id)),
    ]);
    events += tasks.length + waiting.length;
    waiting = tasks.map(({ id }) => id);
    await pauseMs(Math.max(0, startedAt + (tick + 1) * TICK_MS - performance.now()));
  }
  const { task } = await client.tasks.create({ title: 'the last', lane: LANE, priority: 100 });
  return { events: events + 1, last: task.id };
}

/** Every connection is cut, and new ones refused, while things happen; then the way is free again. */
async function cutOff({ bench, url, makeBoard }: Setting): Promise<Measurement> {
  const client = await makeBoard();
  const proxy = await TcpProxy.open();
  proxy.target = Number(new URL(url).port);
  try {
    const page = await BoardPage.open(`http://127.0.0.1:${proxy.port}`, client.board, bench.adminKey);
    try {
      await page.mark();
      proxy.cut();
      await page.untilConnection('offline');
      const { task } = await client.tasks.create({ title: 'made while away', lane: LANE });
      await pauseMs(windowSeconds(bench, CUT_SECONDS) * 1000);
      proxy.pass();
      const backAt = performance.now();
      await Promise.all([page.untilCard(task.id), page.untilConnection('live')]);
      const resyncMs = performance.now() - backAt;
      if (!(await page.isMarked())) throw new Error('the page was loaded anew');
      return { resync_ms: resyncMs };
    } finally {
      await page.close();
    }
  } finally {
    await proxy.close();
  }
}

/** --seconds shortens every window, for a look whether it works. */
function windowSeconds({ options }: Bench, seconds: number): number {
  return options.areSecondsGiven ? Math.min(options.seconds, seconds) : seconds;
}
