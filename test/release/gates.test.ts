/** A release believes its gates only when they have ended well and said so. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runGates } from '../../scripts/release/gates.ts';

/** Gates that do what these lines of a shell do; the file of the summary is the second word. */
function gatesThat(lines: string): string {
  const place = mkdtempSync(join(tmpdir(), 'lanekeeper-release-gates-'));
  onTestFinished(() => rmSync(place, { recursive: true }));
  const script = join(place, 'gates.sh');
  writeFileSync(script, lines);
  return script;
}
const summaryOf = (passed: number, failed: number): string =>
  `echo '{"passed": ${passed}, "failed": ${failed}}' >"$2"\n`;

test('gates that passed say how many', async () => {
  expect(await runGates(gatesThat(summaryOf(7, 0)))).toBe('7 passed');
});

test.each([
  ['something failed', `${summaryOf(7, 1)}exit 1`, '7 passed, 1 failed'],
  ['something failed, whatever the exit code says', summaryOf(7, 1), '7 passed, 1 failed'],
  ['they ended badly after all', `${summaryOf(7, 0)}exit 3`, '7 passed, 0 failed'],
  ['they came to no end', 'exit 130', 'ended with 130'],
])('no release where %s', async (_, lines, message) => {
  await expect(runGates(gatesThat(lines))).rejects.toThrow(message);
});
