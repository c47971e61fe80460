import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readOptions, UsageError } from '../../chaos/options.ts';
import { type ProofOrigin, renderProof, renderSummary, replaceTable, writeProof } from '../../chaos/proof.ts';
import type { Verdict } from '../../chaos/verdict.ts';

const ORIGIN: ProofOrigin = {
  commit: 'abc1234',
  lanekeeper: '1.2.3',
  node: 'v20.19.0',
  system: 'linux x64, 2 cores',
  day: '2026-01-02',
};
const [BEGIN, END] = ['<!-- proof: written by npm run chaos -- --proof -->', '<!-- end of proof -->'];

const verdict = (seed: number, change: Partial<Verdict> = {}): Verdict => ({
  seed,
  seconds: 1800,
  isClean: true,
  operations: [
    { kind: 'claim', ok: 1000, refused: 20, unknown: 3 },
    { kind: 'create', ok: 500, refused: 0, unknown: 1 },
  ],
  faults: [
    { fault: 'failover', times: 4 },
    { fault: 'stall', times: 90 },
  ],
  windows: [
    { window: 'two at once', count: 7, isExpected: true },
    { window: 'lane taken over', count: 0, isExpected: false },
  ],
  skipped: [{ fault: 'stop worker', times: 3 }],
  violations: [],
  troubles: [],
  omissions: [],
  counts: { tasks: 400, runs: 700, events: 2500, delegations: 9, deliveries: 8, servers: 2, workers: 12 },
  postgresVersion: '15.3',
  ...change,
});

test('a summary has a line for each seed, and counts as a fault only what was done on purpose', () => {
  const text = renderSummary([verdict(1), verdict(2)], ORIGIN);
  expect(text).toContain('| 1 | 1,800 | 4 | 1,524 | 700 | 2,500 | 1 of 1 | 0 |');
  expect(text).toContain('| 2 | 1,800 |');
  expect(text).toContain('commit abc1234');
});

test('neither violations nor windows that were never hit are kept from the reader', () => {
  const bad = verdict(3, {
    violations: [{ property: 11, detail: 'a claim was taken before its lease was over', evidence: {} }],
    windows: [{ window: 'two at once', count: 0, isExpected: true }],
  });
  expect(renderSummary([bad], ORIGIN)).toContain('| 0 of 1 | 1 |');
  const page = renderProof([verdict(1), bad], ORIGIN);
  expect(page).toContain('| violations | 0 | 1 |');
  expect(page).toContain('| race windows never hit | 0 | 1 |');
});

test('the page has every operation, fault and window of every seed, and what the runs were made with', () => {
  const other = verdict(2, { faults: [{ fault: 'kill server', times: 6 }] });
  const page = renderProof([verdict(1), other], ORIGIN);
  expect(page).toContain('| claim | 1000 / 20 / 3 | 1000 / 20 / 3 |');
  expect(page).toContain('| kill server | 0 | 6 |');
  expect(page).toContain('| two at once | 7 | 7 |');
  expect(page).toContain('| stop worker | 3 | 3 |');
  expect(page).toContain('| Postgres | 15.3 |');
});

test('a kind of fault that the machine could not bring about is named on the page', () => {
  expect(renderProof([verdict(1, { omissions: ['left out: failover: no standby'] })], ORIGIN)).toContain(
    'left out: failover: no standby',
  );
});

test('the table takes the place of the one before, and nothing else on the page changes', () => {
  const page = `before\n${BEGIN}\n\nold figures\n\n${END}\nafter`;
  expect(replaceTable(page, 'new')).toBe(`before\n${BEGIN}\n\nnew\n\n${END}\nafter`);
  expect(() => replaceTable('a page without marks', 'new')).toThrow('no place for the table');
});

test('a proof is what it says: nothing about it can be chosen but its length', () => {
  expect(readOptions(['--proof']).proofMinutes).toBe(30);
  expect(readOptions(['--proof', '--minutes', '2']).proofMinutes).toBe(2);
  expect(readOptions([]).proofMinutes).toBeNull();
  expect(() => readOptions(['--proof', '--seed', '7'])).toThrow(UsageError);
  expect(() => readOptions(['--minutes', '2'])).toThrow(UsageError);
  expect(() => readOptions(['--proof', '--minutes', '0'])).toThrow(UsageError);
});

/** Pages with an older proof, in a directory of their own. */
function publishedBefore() {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-proof-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const places = { page: join(directory, 'published.md'), guarantees: join(directory, 'guarantees.md') };
  writeFileSync(places.page, 'the proof before');
  writeFileSync(places.guarantees, `${BEGIN}\n\nthe table before\n\n${END}\n`);
  const read = () => [readFileSync(places.page, 'utf8'), readFileSync(places.guarantees, 'utf8')];
  return { directory, places, read };
}

test('a clean proof of all seeds takes the place of the one before', () => {
  const { directory, places, read } = publishedBefore();
  const where = writeProof([verdict(1), verdict(2), verdict(3)], ORIGIN, directory, places);
  expect(where).toBe(places.page);
  const [page, guarantees] = read();
  expect(page).toContain('| | seed 1 | seed 2 | seed 3 |'.replace('| |', '|  |'));
  expect(guarantees).toContain('commit abc1234');
});

test.each([
  ['not all seeds yet', [verdict(1), verdict(2)]],
  ['a run that was too short', [verdict(1), verdict(2), verdict(3, { seconds: 1740 })]],
  ['a run that found something', [verdict(1), verdict(2, { isClean: false }), verdict(3)]],
  [
    'a window that was never hit',
    [
      verdict(1),
      verdict(2),
      verdict(3, { windows: [{ window: 'two at once', count: 0, isExpected: true }] }),
    ],
  ],
])('with %s it stands in a file of its own, and the proof before stays', (_, verdicts) => {
  const { directory, places, read } = publishedBefore();
  const before = read();
  const where = writeProof(verdicts, ORIGIN, directory, places);
  expect(read()).toEqual(before);
  expect(where).not.toBe(places.page);
  expect(readFileSync(where, 'utf8')).toContain('| violations |');
});
