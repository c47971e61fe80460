/** A run as it is kept: what --json writes, and all that tables, chart and README are made from. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Machine } from './machine.ts';
import type { ScenarioResult } from './scenario.ts';

export interface RunRecord {
  readonly at: string;
  readonly command: string;
  readonly machine: Machine;
  readonly rounds: number;
  /** Of a throughput window. */
  readonly seconds: number;
  readonly elapsedSeconds: number;
  readonly results: readonly ScenarioResult[];
}

export async function writeRecord(path: string, record: RunRecord): Promise<void> {
  await writeFile(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** Figures that were NaN come back as null. */
export async function readRecord(path: string): Promise<RunRecord> {
  return JSON.parse(await readFile(path, 'utf8')) as RunRecord;
}
