// Writes down the wire as this version has it, for test/contract/released.test.ts to hold later versions against. Run once for each release.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { z } from 'zod';
import { CLOSE_CODES, WATCH_SUBPROTOCOL } from '../src/contract/constants.ts';
import { ClientFrame, ServerFrame } from '../src/contract/frames.ts';
import { PROBLEMS } from '../src/contract/problems.ts';
import { EVENT_KINDS } from '../src/contract/statuses.ts';
import type { Protocol } from '../test/contract/wire-compatibility.ts';
import { renderOpenApiYaml } from './write-openapi.ts';

const FOLDER = new URL('../test/contract/released/', import.meta.url);

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

async function main(): Promise<void> {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const banner = `# The wire of ${version}, written by scripts/write-wire-baseline.ts. Not changed after the release.\n`;
  const frames = stringify(protocolOfNow(), { lineWidth: 0, aliasDuplicateObjects: false });
  await mkdir(FOLDER, { recursive: true });
  await writeFile(new URL(`frames-${version}.yaml`, FOLDER), banner + frames);
  const openapi = renderOpenApiYaml(version).replace(/^#.*\n/, banner);
  await writeFile(new URL(`openapi-${version}.yaml`, FOLDER), openapi);
}

if (import.meta.filename === process.argv[1]) await main();
