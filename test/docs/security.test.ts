import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const read = (name: string): Promise<string> => readFile(join(ROOT, 'docs', name), 'utf8');

/** Tests by their path, without what says what they need. */
const TESTS = new Set(
  readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => path.replaceAll('\\', '/').replace(/(\.(pg|e2e|browser))?\.test\.ts$/, '')),
);

/** What stands in the last column of a table: `security/matrix`, `fuzz/openapi`. */
function testsNamed(text: string): string[] {
  return [...text.matchAll(/`([a-z]+(?:\/[a-z0-9-]+)+)`/g)].map((match) => match[1] ?? '');
}

function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| V'))
    .map((line) => line.slice(2, -2).split(' | '));
}

const STATES = new Set(['met', 'partly', 'not met', 'operator', 'not applicable']);
/** Items of level 1 and 2 in each chapter of ASVS 5.0.0 but V10 and V17, which do not apply as a whole. */
const ITEMS = {
  1: 27,
  2: 11,
  3: 19,
  4: 10,
  5: 9,
  6: 35,
  7: 18,
  8: 7,
  9: 7,
  11: 14,
  12: 9,
  13: 13,
  14: 9,
  15: 13,
  16: 16,
};

describe('docs/security.md', () => {
  test('names only tests that exist, and enough of them', async () => {
    const named = testsNamed(await read('security.md')).filter((name) => !name.startsWith('test/'));
    expect(named.length).toBeGreaterThan(80);
    expect(named.filter((name) => !TESTS.has(name))).toEqual([]);
  });

  test('maps each of the ten API risks of OWASP', async () => {
    const text = await read('security.md');
    const risks = [...text.matchAll(/^\| API(\d+) [A-Z]/gm)].map((match) => Number(match[1]));
    expect(risks).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('meets every letter of STRIDE with something that a test shows', async () => {
    const rows = [...(await read('security.md')).matchAll(/^\| ([STRIDE]) \|.*\| (.*) \|$/gm)];
    expect([...new Set(rows.map((row) => row[1]))].join('')).toBe('STRIDE');
    expect(rows.filter((row) => testsNamed(row[2] ?? '').length === 0).map((row) => row[0])).toEqual([]);
  });
});

describe('docs/security-asvs.md', () => {
  test('has every item of the chapters that apply, once, in order', async () => {
    const rows = rowsOf(await read('security-asvs.md'));
    const counts: Record<string, number> = {};
    for (const [item = ''] of rows) {
      const chapter = item.slice(1).split('.')[0] ?? '';
      counts[chapter] = (counts[chapter] ?? 0) + 1;
    }
    expect(counts).toEqual(ITEMS);
    const order = rows.map(([item = '']) => item.slice(1).split('.').map(Number));
    const sorted = [...order].sort(
      (a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0) || (a[2] ?? 0) - (b[2] ?? 0),
    );
    expect(order).toEqual(sorted);
    expect(new Set(order.map(String)).size).toBe(order.length);
  });

  test('says of each item what it asks, whether it holds, and how; what holds is shown by a test that exists', async () => {
    const incomplete = rowsOf(await read('security-asvs.md')).filter((row) => {
      const [item = '', level = '', asks = '', state = '', how = '', shown = ''] = row;
      const isWhole = row.length === 6 && /^V\d+\.\d+\.\d+$/.test(item) && /^L[12]$/.test(level);
      const isSaid = asks.length > 3 && how.length > 3 && STATES.has(state);
      const tests = testsNamed(shown);
      const isShown = state === 'met' ? tests.length > 0 : shown !== '';
      return !(isWhole && isSaid && isShown && tests.every((name) => TESTS.has(name)));
    });
    expect(incomplete).toEqual([]);
  });
});
