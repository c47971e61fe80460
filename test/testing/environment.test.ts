/** Settings that a test gives its server: one that the server does not know is a mistake that nothing else would tell of. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SERVER_SETTINGS, unknownSettings } from '../../src/testing/environment.ts';

test('settings are known as the server and its start read them', () => {
  const readers = ['../../src/server/config.ts', '../../scripts/ensure-built.mjs'];
  const read = readers.flatMap((file) =>
    [...readFileSync(new URL(file, import.meta.url), 'utf8').matchAll(/LANEKEEPER_[A-Z_]+/g)].map(String),
  );
  expect([...new Set(read)].sort()).toEqual([...SERVER_SETTINGS].sort());
  const given = { LANEKEEPER_RATE_LIMIT: '60', LANEKEEPER_RATELIMIT: '60', TZ: 'UTC' };
  expect(unknownSettings(given)).toEqual(['LANEKEEPER_RATELIMIT']);
});
