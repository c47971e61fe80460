/** The gates, with stand-ins for npm and Postgres: what both runs are asked for, what they come to together, and that CI goes the same way. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** Starts some ten small programs. */
const WITHIN_MS = 15_000;
const CLEAN = { passed: 3, failed: 0, failures: [] };
/** Notes what it was asked for, and leaves the result where it was told to. */
const NPM = `echo "$CI $LANEKEEPER_REQUIRE_BROWSER $LANEKEEPER_REQUIRE_PROGRAMS \${DATABASE_URL-embedded} $*" >>"$CALLS"
for word; do file=$word; done
[ -z "$RESULT" ] || printf %s "$RESULT" >"$file"`;

interface Given {
  /** Of each run; null: it leaves none. */
  readonly result?: unknown;
  readonly hasPostgres?: boolean;
}

function runGates({ result = CLEAN, hasPostgres = true }: Given = {}) {
  const place = mkdtempSync(join(tmpdir(), 'lanekeeper-gates-test-'));
  onTestFinished(() => rmSync(place, { recursive: true }));
  const [calls, summary] = [join(place, 'calls'), join(place, 'summary.json')];
  // Nobody is root, so that nothing changes its account.
  const programs = { npm: NPM, id: 'echo 1000' };
  const postgres = { postgres: '', initdb: '', pg_ctl: '' };
  for (const [name, text] of Object.entries({ ...programs, ...(hasPostgres ? postgres : {}) }))
    writeFileSync(join(place, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const { status, stdout } = spawnSync(
    'bash',
    [join(ROOT, 'scripts/gates.sh'), '--summary', summary, '--postgres', place],
    {
      env: {
        ...process.env,
        PATH: `${place}${delimiter}${process.env['PATH']}`,
        DATABASE_URL: 'postgres://somewhere.test/else',
        CALLS: calls,
        RESULT: result === null ? '' : JSON.stringify(result),
      },
      encoding: 'utf8',
      timeout: WITHIN_MS,
    },
  );
  const lines = stdout.trimEnd().split('\n');
  return {
    status,
    lines,
    calls: readFileSync(calls, 'utf8').trimEnd().split('\n'),
    summary: JSON.parse(readFileSync(summary, 'utf8')) as unknown,
  };
}

test('everything runs on the embedded Postgres, then the database tests on the oldest one, and nothing may be left out', () => {
  const { status, lines, calls, summary } = runGates();
  expect(calls).toEqual([
    expect.stringMatching(/^true 1 1 embedded test -- --summary \/\S+\/first\.json$/),
    expect.stringMatching(
      /^true 1 1 postgres:\/\/postgres@127\.0\.0\.1:\d+\/postgres test -- --only pg --other-postgres --partitioned --summary \/\S+\/second\.json$/,
    ),
  ]);
  expect([status, lines.at(-1), summary]).toEqual([0, '6 passed, 0 failed', { passed: 6, failed: 0 }]);
  const [, work = ''] = / (\/\S+)\/first\.json$/.exec(calls[0] ?? '') ?? [];
  expect(existsSync(work)).toBe(false);
});

test('a failure of either run fails, and stands once more before the last line', () => {
  const { status, lines, summary } = runGates({ result: { passed: 3, failed: 1, failures: ['lint'] } });
  expect(lines.slice(-3)).toEqual(['FAILED: lint', 'FAILED: lint', '6 passed, 2 failed']);
  expect([status, summary]).toEqual([1, { passed: 6, failed: 2 }]);
});

test('a run that leaves no result has failed', () => {
  const { status, lines } = runGates({ result: null });
  expect(lines.slice(-3)).toEqual([
    'FAILED: first run: it left no summary',
    'FAILED: second run: it left no summary',
    '0 passed, 2 failed',
  ]);
  expect(status).toBe(1);
});

test('without the oldest Postgres there is no second run, which is a failure with a name', () => {
  const { status, lines, calls } = runGates({ hasPostgres: false });
  expect(calls).toHaveLength(1);
  expect(lines.at(-2)).toMatch(
    /^FAILED: second run: there is no Postgres 15 in \S+ \(Debian: postgresql-15\)$/,
  );
  expect([status, lines.at(-1)]).toEqual([1, '3 passed, 1 failed']);
});

test('CI ends in them, and runs no test beside them', () => {
  const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8').trimEnd().split('\n');
  expect(ci.at(-1)).toBe('exec bash scripts/gates.sh');
  expect(ci.filter((line) => /\bnpm (?:test|run)\b/.test(line) && !line.startsWith('#'))).toEqual([]);
});
