/**
 * What long runs with fixed seeds showed, written down where readers find it: all of it in chaos/proof.md, and a table in
 * docs/guarantees.md. Nobody writes a figure there by hand. What is no proof, too short, not all seeds or not clean, takes the place of none: it
 * stands in a file of its own.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FaultCount } from './report.ts';
import { listMissed, type Verdict } from './verdict.ts';

export const PROOF_SEEDS = [1, 2, 3] as const;
/** Half an hour for each seed: the bar of the project. */
const PROOF_SECONDS_MIN = 1800;

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

interface ProofPlaces {
  readonly page: string;
  readonly guarantees: string;
}

const PUBLISHED: ProofPlaces = { page: PAGE, guarantees: GUARANTEES };

/**
 * To be called after each run: a proof takes hours, and what it has shown so far is not to be lost with the rest. Answers where it stands.
 * @param directory For what proves nothing, or not yet.
 */
export function writeProof(
  verdicts: readonly Verdict[],
  origin: ProofOrigin,
  directory: string,
  places: ProofPlaces = PUBLISHED,
): string {
  const page = renderProof(verdicts, origin);
  const draft = join(directory, 'proof.md');
  writeFileSync(draft, page);
  if (!isProof(verdicts)) return draft;
  const { guarantees } = places;
  writeFileSync(places.page, page);
  writeFileSync(guarantees, replaceTable(readFileSync(guarantees, 'utf8'), renderSummary(verdicts, origin)));
  return places.page;
}

/** All seeds, each for long enough, each clean, with every window hit. */
function isProof(verdicts: readonly Verdict[]): boolean {
  return PROOF_SEEDS.every((wanted) => {
    const verdict = verdicts.find(({ seed }) => seed === wanted);
    return (
      verdict?.isClean === true &&
      verdict.seconds >= PROOF_SECONDS_MIN &&
      listMissed(verdict.windows).length === 0
    );
  });
}

/** Before the first run: what was changed since is not what was run. */
export function readOrigin(): ProofOrigin {
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
    ...renderFaults(verdicts),
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

function renderFaults(verdicts: readonly Verdict[]): string[] {
  const counted = (read: (verdict: Verdict) => readonly FaultCount[]): string =>
    perSeed(
      verdicts,
      'fault',
      namesOf(verdicts, (verdict) => read(verdict).map(({ fault }) => fault)).map((name) => [
        name,
        (verdict) => read(verdict).find(({ fault }) => fault === name)?.times ?? 0,
      ]),
    );
  return [
    ...['## Faults', '', counted(({ faults }) => faults), ''],
    ...['Planned and not carried out, because the target was taken by another fault or not there:', ''],
    ...[counted(({ skipped }) => skipped), ''],
  ];
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
