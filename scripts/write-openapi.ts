// Writes openapi.yaml and asyncapi.yaml from the contract; with --check only says whether the committed ones are current.
// The files are never edited by hand: a change starts in src/contract.

import { readFile, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { buildAsyncApiDocument } from '../src/contract/asyncapi.ts';
import { buildOpenApiDocument } from '../src/contract/openapi.ts';

const BANNER = '# Generated from src/contract by `npm run openapi`. Do not edit.\n';

const FILES = [
  { name: 'openapi.yaml', render: renderOpenApiYaml },
  { name: 'asyncapi.yaml', render: renderAsyncApiYaml },
] as const;

/** The text of openapi.yaml. */
export function renderOpenApiYaml(version: string): string {
  return asYaml(buildOpenApiDocument(version));
}

/** The text of asyncapi.yaml. */
export function renderAsyncApiYaml(version: string): string {
  return asYaml(buildAsyncApiDocument(version));
}

/** Long lines are not folded, so that a change of a word stays a change of one line. */
function asYaml(document: unknown): string {
  return BANNER + stringify(document, { lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false });
}

async function packageVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return String(version);
}

async function main(flags: readonly string[]): Promise<void> {
  const version = await packageVersion();
  for (const { name, render } of FILES) {
    const target = new URL(`../${name}`, import.meta.url);
    const rendered = render(version);
    if (!flags.includes('--check')) {
      await writeFile(target, rendered);
      continue;
    }
    const committed = await readFile(target, 'utf8').catch(() => '');
    if (committed === rendered) continue;
    console.error(`${name} is stale: run \`npm run openapi\` and commit the result.`);
    process.exitCode = 1;
  }
}

if (import.meta.filename === process.argv[1]) await main(process.argv.slice(2));
