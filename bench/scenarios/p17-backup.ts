/** P17: what a backup of a million tasks takes, and what it takes from the load beside it. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { fillBoard, tidyTables } from '../bulk-fill.ts';
import type { Layout } from '../driver.ts';
import type { BackupFigures, BackupRequest } from '../lanekeeper/backup-process.ts';
import { boardNamesOf, laneNamesOf } from '../layout.ts';
import { openParty } from '../parties.ts';
import type { Contender, Measured, Measurement, Scenario } from '../scenario.ts';
import { type Load, measureThroughput, THROUGHPUT_METRICS } from '../throughput.ts';
import { BATCH_LOAD } from './batch-load.ts';

/** Given by the bar. A trial with shorter windows backs up less. */
const TASKS = 1_000_000;
const TASKS_PER_SECOND_GIVEN = 100_000;
const DATABASE = 'backup';
const FULL: Layout = { name: 'full', boards: 1, lanesPerBoard: 1 };
/** The load of P1. */
const SINGLE_LOAD: Load = {
  party: 'lanekeeper',
  concurrency: 64,
  manner: { kind: 'single' },
  warmUpPieces: 25_000,
};
const PROGRAM = new URL('../lanekeeper/backup-process.ts', import.meta.url);
/** Beside a backup there are about three times as many. */
const WINDOWS_ALONE = 3;
const MEBIBYTE = 2 ** 20;

const single = contender('single cycles', SINGLE_LOAD, false);
const singleBeside = contender('single cycles beside a backup', SINGLE_LOAD, true);
const batch = contender('batches of 50', BATCH_LOAD, false);
const batchBeside = contender('batches of 50 beside a backup', BATCH_LOAD, true);

export const backup: Scenario = {
  id: 'P17',
  title: 'backup of a million tasks beside the load of P1 and of P2',
  isExtra: true,
  roundsMax: 1,
  metrics: [
    ...THROUGHPUT_METRICS,
    { key: 'backup_seconds', unit: 'backup, s', digits: 1 },
    { key: 'backup_rate', unit: 'MiB of rows/s', digits: 1 },
    { key: 'backup_size', unit: 'MiB of file', digits: 0 },
    { key: 'backup_rows', unit: 'rows', digits: 0 },
  ],
  contenders: [single, singleBeside, batch, batchBeside],
  comparisons: [
    {
      metric: 'per_second',
      of: singleBeside.name,
      against: single.name,
      bar: { kind: 'at_least', value: 0.8 },
    },
    {
      metric: 'per_second',
      of: batchBeside.name,
      against: batch.name,
      bar: { kind: 'at_least', value: 0.8 },
    },
    ...[singleBeside, batchBeside].map(({ name }) => ({
      metric: 'backup_seconds',
      of: name,
      against: null,
      bar: { kind: 'at_most' as const, value: 120 },
    })),
  ],
  close: (bench) => bench.dropDatabase(DATABASE),
};

function contender(name: string, load: Load, hasBackup: boolean): Contender {
  return { name, measure: (bench) => measure(bench, load, hasBackup) };
}

async function measure(bench: Bench, load: Load, hasBackup: boolean): Promise<Measured> {
  // Each on the same: the load of the one before has added tasks.
  await bench.dropDatabase(DATABASE);
  await fill(bench);
  const party = await openParty('lanekeeper', bench, { database: DATABASE });
  try {
    const measureOnce = (): Promise<Measurement> => measureThroughput(bench, party, load);
    return { figures: await (hasBackup ? measureBeside(bench, measureOnce) : measureAlone(measureOnce)) };
  } finally {
    await party.close();
  }
}

async function measureAlone(measureOnce: () => Promise<Measurement>): Promise<Measurement> {
  const windows: Measurement[] = [];
  while (windows.length < WINDOWS_ALONE) windows.push(await measureOnce());
  return medianOf(windows);
}

/** Windows until the backup is there: of those that lie within it the median one is told, and of none the first. */
async function measureBeside(bench: Bench, measureOnce: () => Promise<Measurement>): Promise<Measurement> {
  let isDone = false;
  const running = backUp(bench).finally(() => {
    isDone = true;
  });
  const windows: Measurement[] = [];
  do {
    const window = await measureOnce();
    if (windows.length === 0 || !isDone) windows.push(window);
  } while (!isDone);
  const { seconds, rowBytes, fileBytes, rows } = await running;
  return {
    ...medianOf(windows),
    backup_seconds: seconds,
    backup_rate: rowBytes / MEBIBYTE / seconds,
    backup_size: fileBytes / MEBIBYTE,
    backup_rows: rows,
  };
}

function medianOf(windows: readonly Measurement[]): Measurement {
  const sorted = [...windows].sort((left, right) => (left['per_second'] ?? 0) - (right['per_second'] ?? 0));
  return sorted[Math.floor(sorted.length / 2)] ?? {};
}

async function backUp(bench: Bench): Promise<BackupFigures> {
  const request: BackupRequest = {
    url: await bench.databaseUrlFor(DATABASE),
    file: join(bench.scratchDir, 'lanes.backup'),
  };
  return new Promise((resolve, reject) => {
    const child = fork(PROGRAM, [JSON.stringify(request)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const stop = (): void => void child.kill('SIGKILL');
    bench.signal.addEventListener('abort', stop, { once: true });
    child.once('message', (figures) => resolve(figures as BackupFigures));
    child.once('exit', (code, signal) => {
      bench.signal.removeEventListener('abort', stop);
      // After the figures it says nothing new.
      reject(new Error(`the backup ended without a result: ${signal ?? code}`));
    });
  });
}

async function fill(bench: Bench): Promise<void> {
  const { seconds, areSecondsGiven } = bench.options;
  const tasks = areSecondsGiven ? Math.min(TASKS, seconds * TASKS_PER_SECOND_GIVEN) : TASKS;
  // The server makes schema, boards and lanes, and is gone while tables are filled.
  const party = await openParty('lanekeeper', bench, { database: DATABASE });
  try {
    await party.driver.call('layOut', FULL);
  } finally {
    await party.close();
  }
  const sql = await bench.sqlFor(DATABASE);
  for (const board of boardNamesOf(FULL))
    await fillBoard(sql, { board, lanes: laneNamesOf(FULL), ready: tasks / 2, finished: tasks / 2 });
  await tidyTables(sql);
  bench.report(`P17 filled its database with ${tasks} tasks`);
}
