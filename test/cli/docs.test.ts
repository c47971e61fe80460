/** docs/cli.md is what the program says of itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderCliDocs } from '../../scripts/write-cli-docs.ts';
import { commandsOf, loadProgram } from './fixtures/every-command.ts';

test('the reference of the command line is current (npx tsx scripts/write-cli-docs.ts)', async () => {
  const committed = await readFile(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
  const rendered = await renderCliDocs();
  // By lines: what differs is what has to be read.
  expect(committed.split('\n')).toEqual(rendered.split('\n'));
  for (const { path } of commandsOf(await loadProgram()))
    if (path !== 'complete') expect(rendered).toMatch(new RegExp(`^##+ ${path}$`, 'm'));
});
