/** The gates of CI (scripts/gates.sh), in the checkout as it is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @returns how many have passed, for the table. Throws when one has not. */
export async function runGates(script: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-gates-'));
  try {
    const summary = join(directory, 'summary.json');
    const gates = spawn('bash', [script, '--summary', summary], { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = (await once(gates, 'exit')) as [number | null];
    if (!existsSync(summary)) throw new Error(`The gates ended with ${code}, and came to nothing.`);
    const { passed, failed } = JSON.parse(readFileSync(summary, 'utf8')) as {
      passed: number;
      failed: number;
    };
    if (code !== 0 || failed > 0) throw new Error(`${passed} passed, ${failed} failed`);
    return `${passed} passed`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
