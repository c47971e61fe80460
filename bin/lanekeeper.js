#!/usr/bin/env node
// The `lanekeeper` command. The server's own commands go to the server, everything else to the command line client.
// In a checkout it first makes dist/ current; the published package has no src/ and is run as it is.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SERVER_COMMANDS = ['serve', 'migrate', 'backup', 'restore', 'restored'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isServerCommand = SERVER_COMMANDS.includes(process.argv[2] ?? '');
const program = join(root, 'dist', isServerCommand ? 'server' : 'cli', 'main.js');

if (existsSync(join(root, 'src'))) {
  const { ensureBuilt } = await import('../scripts/ensure-built.mjs');
  try {
    await ensureBuilt();
  } catch (error) {
    // A checkout that cannot be built (read-only, or installed without devDependencies) still has its last build.
    process.stderr.write(`lanekeeper: not rebuilt: ${error instanceof Error ? error.message : error}\n`);
  }
}
if (!existsSync(program)) {
  process.stderr.write('lanekeeper: nothing is built yet. Run `npm ci` in the checkout, then try again.\n');
  process.exit(1);
}
if (isServerCommand) process.setSourceMapsEnabled(true);
process.argv[1] = program;
await import(pathToFileURL(program).href);
