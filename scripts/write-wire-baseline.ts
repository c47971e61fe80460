// Writes down the wire as this version has it, for test/contract/released.test.ts to hold later versions against. A step of each release, which
// `npm run release` looks for. The files of a version that is out are not written again: whatever comes then has another number.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { CLOSE_CODES, WATCH_SUBPROTOCOL } from '../src/contract/constants.ts';
import { ClientFrame, ServerFrame } from '../src/contract/frames.ts';
import { PROBLEMS } from '../src/contract/problems.ts';
import { EVENT_KINDS } from '../src/contract/statuses.ts';
import type { Protocol } from '../test/contract/wire-compatibility.ts';
import { readChangelog } from './release/changelog.ts';
import { requireNoTag } from './release/tag.ts';
import { planRelease } from './release/version.ts';
import { renderOpenApiYaml } from './write-openapi.ts';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'test/contract/released');

export function protocolOfNow(): Protocol {
  const problems = Object.entries(PROBLEMS).map(
    ([code, { status, retryable }]) => [code, { status, retryable }] as const,
  );
  return {
    subprotocol: WATCH_SUBPROTOCOL,
    close_codes: CLOSE_CODES,
    problems: Object.fromEntries(problems),
    event_kinds: EVENT_KINDS,
    client_frames: z.toJSONSchema(ClientFrame, { io: 'input' }),
    server_frames: z.toJSONSchema(ServerFrame, { io: 'output' }),
  };
}

/** By the name of each file, what stands in it. */
function renderBaseline(version: string): ReadonlyMap<string, string> {
  const banner = `# The wire of ${version}, written by scripts/write-wire-baseline.ts. Not changed after the release.\n`;
  const frames = stringify(protocolOfNow(), { lineWidth: 0, aliasDuplicateObjects: false });
  return new Map([
    [`frames-${version}.yaml`, banner + frames],
    [`openapi-${version}.yaml`, renderOpenApiYaml(version).replace(/^#.*\n/, banner)],
  ]);
}

export async function writeBaseline(version: string, folder = FOLDER): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of renderBaseline(version)) await writeFile(join(folder, name), text);
}

/** The names of those files of this version that are not there, or hold another wire than that of now. */
export async function findStaleBaseline(version: string, folder = FOLDER): Promise<string[]> {
  const stale: string[] = [];
  for (const [name, text] of renderBaseline(version)) {
    const written = await readFile(join(folder, name), 'utf8').catch(() => null);
    if (written !== text) stale.push(name);
  }
  return stale;
}

async function main(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  // Throws where the changelog says that what has changed needs another version.
  planRelease(version, readChangelog(await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8')));
  // What is out is not written down again, whatever the changelog does not say yet.
  await requireNoTag(version, ROOT);
  await writeBaseline(version);
}

if (import.meta.filename === process.argv[1]) await main();
