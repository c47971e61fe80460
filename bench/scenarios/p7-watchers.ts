/** P7: what an idle watch socket costs, how soon a thousand of them have an event, and how many events a server sends them in a second. */
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import { measureCores } from '../processor-time.ts';
import type { Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { pauseMs } from '../window.ts';

/** Given by the bar. */
const IDLE_SOCKETS = 5000;
const WATCHERS = 1000;
/** Of processes that do nothing but serve or hold sockets: the libraries, the pools and the logs need few more. */
const OPEN_FILES_MIN = IDLE_SOCKETS + WATCHERS + 200;
/** The garbage of so many fills the young generation, whose size is the server's and not that of its sockets. */
const WARM_UP_REQUESTS = 5000;
/** Longer than the server's bookmarks are apart: each socket has then been told of its place once, and is idle. */
const IDLE_MS = 12_000;
const WARM_UP_EVENTS = 5;
/** Of a thousand watchers each: the slowest hundredth is 300 arrivals. */
const EVENTS = 30;
const INTERVAL_MS = 50;
/** Some seconds; a socket has a frame of 20 events at a time, far below what it may have open. */
const FLOOD = { batches: 100, tasks: 20 } as const;
/** Unrecorded. */
const WARM_UP_FLOOD = { batches: 5, tasks: 20 } as const;
const KIB = 1024;

const lanekeeper = { name: 'lanekeeper', missing: missingFiles, measure };

export const watchers: Scenario = {
  id: 'P7',
  title: `watch sockets: ${IDLE_SOCKETS} idle ones; one event to ${WATCHERS} watchers`,
  metrics: [
    { key: 'kb_per_socket', unit: 'KB of server memory per idle socket', digits: 1 },
    { key: 'p50_ms', unit: 'ms p50 create → watcher', digits: 1 },
    { key: 'p99_ms', unit: 'ms p99', digits: 1 },
    { key: 'max_ms', unit: 'ms max', digits: 1 },
    { key: 'events_per_second', unit: 'events/s to them', digits: 0 },
    { key: 'per_core', unit: 'events/s per server core', digits: 0 },
    { key: 'idle_percent', unit: '% of a core for the idle', digits: 1 },
    { key: 'other_cores', unit: 'cores of others', digits: 2 },
  ],
  contenders: [lanekeeper],
  comparisons: [
    {
      metric: 'kb_per_socket',
      of: lanekeeper.name,
      against: null,
      bar: { kind: 'at_most', value: 20 },
    },
    { metric: 'p99_ms', of: lanekeeper.name, against: null, bar: { kind: 'at_most', value: 50 } },
  ],
};

/** Node raises the soft limit to the hard one by itself. */
function missingFiles(): string | null {
  if (!existsSync('/proc/self/limits')) return 'what a process uses is read from /proc, which is not here';
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  const hard = line?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[1]);
  if (hard >= OPEN_FILES_MIN) return null;
  return `it takes ${OPEN_FILES_MIN} open files in one process, and the limit here is ${hard} (ulimit -Hn)`;
}

async function measure(bench: Bench): Promise<Measured> {
  const party = await openParty('lanekeeper', bench);
  try {
    const { driver, pids } = party;
    const [serverPid = 0] = pids['server'] ?? [];
    await driver.call('warmUp', { requests: WARM_UP_REQUESTS });
    const before = await residentBytes(serverPid);
    await driver.call('openWatchers', { board: 'idle', sockets: IDLE_SOCKETS });
    await pauseMs(IDLE_MS);
    const after = await residentBytes(serverPid);
    const { cores } = await measureCores(pids, () => pauseMs(IDLE_MS));
    await driver.call('openWatchers', { board: 'fan-out', sockets: WATCHERS });
    await driver.call('sampleFanOut', {
      board: 'fan-out',
      events: WARM_UP_EVENTS,
      intervalMs: INTERVAL_MS,
    });
    await bench.checkpoint();
    const delays = await driver.call('sampleFanOut', {
      board: 'fan-out',
      events: EVENTS,
      intervalMs: INTERVAL_MS,
    });
    await driver.call('floodFanOut', { board: 'fan-out', ...WARM_UP_FLOOD });
    const flood = await measureCores(pids, () => driver.call('floodFanOut', { board: 'fan-out', ...FLOOD }));
    const figures = {
      kb_per_socket: (after - before) / IDLE_SOCKETS / KIB,
      p50_ms: percentile(delays, 0.5),
      p99_ms: percentile(delays, 0.99),
      max_ms: Math.max(...delays),
      events_per_second: flood.value,
      per_core: flood.value / (flood.cores['server'] ?? Number.NaN),
      idle_percent: (cores['server'] ?? Number.NaN) * 100,
      other_cores: cores['other'] ?? Number.NaN,
    };
    return { figures };
  } finally {
    await party.close();
  }
}

/** What the process holds of the machine's memory; without the buffers of its sockets, which are the kernel's. */
async function residentBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * KIB;
}
