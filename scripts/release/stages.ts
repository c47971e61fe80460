/** The steps of a release, in order, with what each has shown and how long it took. The first that fails ends the run. */

export interface Stage {
  readonly name: string;
  /** Resolves to what it has shown, for the table. */
  run(): Promise<string>;
}

export type Outcome = 'ok' | 'FAILED' | 'not run';

export interface StageResult {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly shown: string;
}

export async function runStages(
  stages: readonly Stage[],
  say: (line: string) => void,
): Promise<StageResult[]> {
  const results: StageResult[] = [];
  let isOver = false;
  for (const { name, run } of stages) {
    if (isOver) {
      results.push({ name, outcome: 'not run', seconds: 0, shown: '' });
      continue;
    }
    say(`── ${name}`);
    const startedAt = performance.now();
    const secondsSince = () => (performance.now() - startedAt) / 1000;
    try {
      results.push({ name, outcome: 'ok', shown: await run(), seconds: secondsSince() });
    } catch (error) {
      isOver = true;
      const text = error instanceof Error ? error.message : String(error);
      say(text);
      // The whole text stands above; a table has lines.
      results.push({ name, outcome: 'FAILED', shown: text.split('\n', 1)[0] ?? '', seconds: secondsSince() });
    }
  }
  return results;
}

export function renderResults(results: readonly StageResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  return results
    .map(({ name, outcome, seconds, shown }) =>
      `${name.padEnd(width)}  ${outcome.padEnd(7)}  ${`${seconds.toFixed(1)} s`.padStart(8)}  ${shown}`.trimEnd(),
    )
    .join('\n');
}
