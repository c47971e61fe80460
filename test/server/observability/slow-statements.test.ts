import { expect, test } from 'vitest';
import { SlowStatements } from '../../../src/server/observability/slow-statements.ts';

function setup() {
  const lines: object[] = [];
  const counted: string[] = [];
  let nowMs = 0;
  const slow = new SlowStatements({
    logger: { warn: (line: object) => void lines.push(line) } as never,
    count: (tag) => void counted.push(tag),
    now: () => nowMs,
  });
  const report = (tag: string, milliseconds: number): void =>
    slow.report('hot', { tag, milliseconds, rows: 3, failure: null });
  const wait = (ms: number): void => {
    nowMs += ms;
  };
  return { slow, lines, counted, report, wait };
}

test('each tag has five lines a minute; the others are counted, and summed up once', () => {
  const { slow, lines, counted, report, wait } = setup();
  for (let n = 0; n < 20; n += 1) report('claims.claim', 1000 + n);
  report('auth.find_live_key', 1500.4);
  expect(lines).toHaveLength(6);
  expect(lines[0]).toEqual({ statement: 'claims.claim', pool: 'hot', ms: 1000, rows: 3 });
  expect(lines[5]).toEqual({ statement: 'auth.find_live_key', pool: 'hot', ms: 1500, rows: 3 });
  expect(counted).toHaveLength(21);
  slow.summarise();
  expect(lines).toHaveLength(6);
  wait(60_000);
  slow.summarise();
  slow.summarise();
  expect(lines.slice(6)).toEqual([{ statement: 'claims.claim', more: 15, slowest_ms: 1019 }]);
  report('claims.claim', 2000);
  expect(lines).toHaveLength(8);
});

test('a minute that begins before the last one was summed up sums it up', () => {
  const { lines, report, wait } = setup();
  for (let n = 0; n < 7; n += 1) report('claims.claim', 1000);
  wait(60_000);
  report('claims.claim', 1234);
  expect(lines.slice(5)).toEqual([
    { statement: 'claims.claim', more: 2, slowest_ms: 1000 },
    { statement: 'claims.claim', pool: 'hot', ms: 1234, rows: 3 },
  ]);
});

test('what is no tag of ours finds an end', () => {
  const { lines, counted, report } = setup();
  for (let n = 0; n < 1500; n += 1) report(`made.up_${n}`, 1000);
  expect([lines.length, counted.length]).toEqual([1000, 1000]);
});
