/** Puts a run into bench/README.md, between its markers, and the chart beside it. What stands outside the markers is written by hand. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { renderChart } from './chart.ts';
import type { RunRecord } from './record.ts';
import { renderMachine, renderRun, renderScenario } from './report.ts';

const README = fileURLToPath(new URL('README.md', import.meta.url));
const CHART_NAME = 'results.svg';
const CHART = fileURLToPath(new URL(CHART_NAME, import.meta.url));
/** Of all scenarios that have no section of their own. */
const MAIN_SECTION = 'results';

/** A scenario, or what came of it. */
interface Named {
  readonly id: string;
}

/** Before a run: it takes its time, and is not for the page if it leaves out what stands there. */
export async function requireReadmeFor(scenarios: readonly Named[]): Promise<void> {
  const text = await readFile(README, 'utf8');
  const main = scenarios.filter((scenario) => !hasSection(text, scenario));
  if (main.length > 0) requireAll(text, main);
}

export async function writeReadme(record: RunRecord): Promise<void> {
  const text = await readFile(README, 'utf8');
  const { main } = partsOf(text, record);
  await writeFile(README, replaceResults(text, record));
  if (main.length > 0) await writeFile(CHART, renderChart({ ...record, results: main }));
}

/** Sections of which the run has nothing stay as they are. */
export function replaceResults(text: string, record: RunRecord): string {
  const { main, alone } = partsOf(text, record);
  const sections = alone.map((result): readonly [string, RunRecord] => [
    result.id,
    { ...record, results: [result] },
  ]);
  if (main.length > 0) {
    requireAll(text, main);
    sections.unshift([MAIN_SECTION, { ...record, results: main }]);
  }
  return sections.reduce((whole, [name, part]) => replaceSection(whole, name, part), text);
}

/** A scenario with markers of its own, such as one that is never part of a whole run, keeps its own section. */
function partsOf(text: string, { results }: RunRecord) {
  return {
    main: results.filter((result) => !hasSection(text, result)),
    alone: results.filter((result) => hasSection(text, result)),
  };
}

function hasSection(text: string, { id }: Named): boolean {
  return text.includes(beginOf(id));
}

/** The section of the whole run is written as a whole: a run of some of it would take the others out. */
function requireAll(text: string, results: readonly Named[]): void {
  const { begin, end } = placeOf(text, MAIN_SECTION);
  const ids = new Set(results.map(({ id }) => id));
  const lost = [...text.slice(begin, end).matchAll(/^### (P\w+) /gm)].flatMap(([, id = '']) =>
    ids.has(id) ? [] : [id],
  );
  if (lost.length > 0) throw new Error(`the README has results of ${lost.join(', ')}, and this run has none`);
}

function placeOf(text: string, name: string): { readonly begin: number; readonly end: number } {
  const begin = text.indexOf(beginOf(name));
  const end = text.indexOf(endOf(name));
  if (begin < 0 || end < begin) throw new Error(`the README has no section ${name}`);
  return { begin: begin + beginOf(name).length, end };
}

function replaceSection(text: string, name: string, record: RunRecord): string {
  const { begin, end } = placeOf(text, name);
  return `${text.slice(0, begin)}\n${renderSection(name, record)}\n${text.slice(end)}`;
}

function renderSection(name: string, record: RunRecord): string {
  return [
    `\`${record.command}\`, ${record.at.slice(0, 10)}: ${renderRun(record)}.`,
    renderMachine(record.machine),
    ...(name === MAIN_SECTION ? [`![How far beyond or short of its bar each figure is](${CHART_NAME})`] : []),
    ...record.results.map(renderScenario),
  ].join('\n\n');
}

function beginOf(name: string): string {
  return `<!-- ${name}:begin -->`;
}

function endOf(name: string): string {
  return `<!-- ${name}:end -->`;
}
