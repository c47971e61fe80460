/** The list of long test files names files that there are. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LONG_FILES } from '../../scripts/test/longest-first.mjs';

test('every file of the list is a test', () => {
  const missing = Object.keys(LONG_FILES).filter(
    (path) => !path.endsWith('.test.ts') || !existsSync(join(import.meta.dirname, '../..', path)),
  );
  expect(missing).toEqual([]);
});
