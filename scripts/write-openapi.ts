// Writes openapi.yaml from the contract; with --check only says whether the committed one is current.
// The file is never edited by hand: a change starts in src/contract.

import { readFile, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { buildOpenApiDocument } from '../src/contract/openapi.ts';

const TARGET = new URL('../openapi.yaml', import.meta.url);
const BANNER = '# Generated from src/contract by `npm run openapi`. Do not edit.\n';

/** The text of openapi.yaml. Long lines are not folded, so that a change of a word stays a change of one line. */
export function renderOpenApiYaml(version: string): string {
  return (
    BANNER +
    stringify(buildOpenApiDocument(version), {
      lineWidth: 0,
      singleQuote: true,
      aliasDuplicateObjects: false,
    })
  );
}

async function packageVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return String(version);
}

async function main(flags: readonly string[]): Promise<void> {
  const rendered = renderOpenApiYaml(await packageVersion());
  if (!flags.includes('--check')) {
    await writeFile(TARGET, rendered);
    return;
  }
  const committed = await readFile(TARGET, 'utf8').catch(() => '');
  if (committed === rendered) return;
  console.error('openapi.yaml is stale: run `npm run openapi` and commit the result.');
  process.exitCode = 1;
}

if (import.meta.filename === process.argv[1]) await main(process.argv.slice(2));
