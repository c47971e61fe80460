/** CI's chaos run has failovers: where the machine cannot bring them about, the run is not the one to be made smaller. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readOptions } from '../../chaos/options.ts';
import { chaosArguments } from '../../scripts/test/chaos-arguments.mjs';

/** A folder for each version, as Debian has them. */
function installed(...versions: readonly string[]): string {
  const place = mkdtempSync(join(tmpdir(), 'lanekeeper-postgres-'));
  onTestFinished(() => rmSync(place, { recursive: true }));
  for (const version of versions) {
    mkdirSync(join(place, version, 'bin'), { recursive: true });
    writeFileSync(join(place, version, 'bin', 'pg_basebackup'), '');
  }
  return place;
}

/** What the run makes of it; npm takes the first word. */
const optionsFor = (place: string, areAllRequired: boolean) =>
  readOptions(chaosArguments(place, areAllRequired).slice(1));

test('a machine that can fail over does', () => {
  expect(optionsFor(installed('13', '15'), false)).toMatchObject({ seed: 1, seconds: 90, hasStandby: true });
});

test('a machine that cannot does without, unless all is required', () => {
  for (const place of [installed(), installed('14'), '/nowhere']) {
    expect(optionsFor(place, false).hasStandby, place).toBe(false);
    expect(optionsFor(place, true).hasStandby, place).toBe(true);
  }
});
