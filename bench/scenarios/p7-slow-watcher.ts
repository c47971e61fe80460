/**
 * P7S: a watcher with every misfortune at its full length: paused for half a minute, throttled to 10 KB/s, cut off and connected again a
 * hundred times while the log grows. What it has in the end is the log, or this fails. Only when asked for: it takes over a minute.
 */
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import type { Measured, Scenario } from '../scenario.ts';

/** Given by the bar. */
const MISFORTUNES = {
  pauseMs: 30_000,
  throttleMs: 30_000,
  bytesPerSecond: 10_000,
  connections: 100,
} as const;
/** More than the system's buffers hold comes together in a minute of it, so that the watch is parked in earnest. */
const TASKS_PER_SECOND = 500;

const lanekeeper = { name: 'lanekeeper', measure };

export const slowWatcher: Scenario = {
  id: 'P7S',
  title: 'a watcher that is paused 30 s, throttled to 10 KB/s and connected 100 times',
  metrics: [
    { key: 'events', unit: 'events', digits: 0 },
    { key: 'seen_percent', unit: '% of them seen', digits: 4 },
    { key: 'repeated', unit: 'repeated', digits: 0 },
  ],
  contenders: [lanekeeper],
  comparisons: [
    {
      metric: 'seen_percent',
      of: lanekeeper.name,
      against: null,
      bar: { kind: 'at_least', value: 100 },
    },
  ],
  isExtra: true,
  roundsMax: 1,
};

async function measure(bench: Bench): Promise<Measured> {
  const party = await openParty('lanekeeper', bench);
  try {
    const input = { ...MISFORTUNES, board: 'slow', tasksPerSecond: TASKS_PER_SECOND };
    return { figures: { ...(await party.driver.call('watchSlowly', input)) } };
  } finally {
    await party.close();
  }
}
