/**
 * What long runs with fixed seeds showed, written down where readers find it: all of it in chaos/proof.md, and a table in
 * docs/guarantees.md. Nobody writes a figure there by hand.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listMissed, type Verdict } from './verdict.ts';

export const PROOF_SEEDS = [1, 2, 3] as const;

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PAGE = join(ROOT, 'chaos', 'proof.md');
const GUARANTEES = join(ROOT, 'docs', 'guarantees.md');
const [BEGIN, END] = ['<!-- proof: written by npm run chaos -- --proof -->', '<!-- end of proof -->'];

/** Of what the runs were made with. */
export interface ProofOrigin {
  readonly commit: string;
  readonly lanekeeper: string;
  readonly node: string;
  readonly system: string;
  /** YYYY-MM-DD. */
  readonly day: string;
}

export function writeProof(verdicts: readonly Verdict[]): void {
  const origin = readOrigin();
  writeFileSync(PAGE, renderProof(verdicts, origin));
  writeFileSync(GUARANTEES, replaceTable(readFileSync(GUARANTEES, 'utf8'), renderSummary(verdicts, origin)));
}

function readOrigin(): ProofOrigin {
  const git = (...parameters: string[]): string =>
    execFileSync('git', parameters, { cwd: ROOT, encoding: 'utf8' }).trim();
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const isChanged = git('status', '--porcelain', '--', 'src', 'chaos/*.ts', 'drizzle') !== '';
  return {
    commit: `${git('rev-parse', '--short', 'HEAD')}${isChanged ? ' with changes' : ''}`,
    lanekeeper: version,
    node: process.version,
    system: `${process.platform} ${process.arch}, ${availableParallelism()} cores`,
    day: new Date().toISOString().slice(0, 10),
  };
}

/** Between its marks; whoever took them away finds no old figures under new words. */
export function replaceTable(page: string, table: string): string {
  const [from, until] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || until < from) throw new Error(`docs/guarantees.md has no place for the table: ${BEGIN}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${table}\n\n${page.slice(until)}`;
}

export function renderSummary(verdicts: readonly Verdict[], origin: ProofOrigin): string {
  const hit = (verdict: Verdict): string => {
    const sought = verdict.windows.filter(({ isExpected }) => isExpected).length;
    return `${sought - listMissed(verdict.windows).length} of ${sought}`;
  };
  const rows = verdicts.map((verdict) => [
    ...[verdict.seed, verdict.seconds, countFaults(verdict)],
    sum(verdict.operations.map(({ ok, refused, unknown }) => ok + refused + unknown)),
    ...[verdict.counts.runs, verdict.counts.events, hit(verdict), verdict.violations.length],
  ]);
  return [
    `The published run, of ${origin.day} (commit ${origin.commit}); all of its figures are in [chaos/proof.md](../chaos/proof.md):`,
    '',
    table(
      ['seed', 'seconds', 'faults', 'operations', 'runs', 'events', 'race windows hit', 'violations'],
      rows,
    ),
  ].join('\n');
}

export function renderProof(verdicts: readonly Verdict[], origin: ProofOrigin): string {
  const { counts, postgresVersion, omissions } = verdicts[0] ?? { omissions: [] };
  const versions = [
    ['Lanekeeper', `${origin.lanekeeper}, commit ${origin.commit}`],
    ['Node.js', origin.node],
    ['Postgres', postgresVersion ?? 'none'],
    ['machine', origin.system],
    ['servers, workers', `${counts?.servers ?? 0}, ${counts?.workers ?? 0}`],
    ['day', origin.day],
  ];
  return [
    '# What the chaos runs showed',
    '',
    'Written by `npm run chaos -- --proof`: no figure here is written by hand. [README](README.md) says what the runs are.',
    '',
    table(['', ''], versions),
    '',
    ...omissions.map((omission) => `${omission}.\n`),
    '## Runs',
    '',
    perSeed(verdicts, '', [
      ['seconds', ({ seconds }) => seconds],
      ['violations', ({ violations }) => violations.length],
      ['processes that ended or hung without cause', ({ troubles }) => troubles.length],
      ['race windows never hit', ({ windows }) => listMissed(windows).length],
      ['tasks', (verdict) => verdict.counts.tasks],
      ['runs', (verdict) => verdict.counts.runs],
      ['events', (verdict) => verdict.counts.events],
      ['delegations', (verdict) => verdict.counts.delegations],
      ['deliveries', (verdict) => verdict.counts.deliveries],
    ]),
    '',
    '## Operations: acknowledged / refused / without an answer that says',
    '',
    perSeed(
      verdicts,
      'operation',
      namesOf(verdicts, ({ operations }) => operations.map(({ kind }) => kind)).map((kind) => [
        kind,
        ({ operations }) => {
          const found = operations.find((operation) => operation.kind === kind);
          return found === undefined ? 0 : `${found.ok} / ${found.refused} / ${found.unknown}`;
        },
      ]),
    ),
    '',
    '## Faults',
    '',
    perSeed(
      verdicts,
      'fault',
      namesOf(verdicts, ({ faults }) => faults.map(({ fault }) => fault)).map((name) => [
        name,
        ({ faults }) => faults.find(({ fault }) => fault === name)?.times ?? 0,
      ]),
    ),
    '',
    '## Race windows: how often each was hit',
    '',
    perSeed(
      verdicts,
      'window',
      (verdicts[0]?.windows ?? []).map(({ window: name }) => [
        name,
        ({ windows }) => windows.find(({ window }) => window === name)?.count ?? 0,
      ]),
    ),
    '',
  ].join('\n');
}

type Row = readonly [name: string, read: (verdict: Verdict) => string | number];

function perSeed(verdicts: readonly Verdict[], head: string, rows: readonly Row[]): string {
  return table(
    [head, ...verdicts.map(({ seed }) => `seed ${seed}`)],
    rows.map(([name, read]) => [name, ...verdicts.map(read)]),
  );
}

function namesOf(verdicts: readonly Verdict[], read: (verdict: Verdict) => readonly string[]): string[] {
  return [...new Set(verdicts.flatMap(read))].sort();
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : cell)).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** A machine that had no time for us is nothing that we did to it. */
const countFaults = ({ faults }: Verdict): number =>
  sum(faults.filter(({ fault }) => fault !== 'stall').map(({ times }) => times));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
