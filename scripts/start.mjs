// `npm start`: builds what is stale, then becomes the server. The server runs in this very process, so a signal
// reaches it once and its exit code is npm's. Flags after `--` are the server's own.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DIST, ensureBuilt } from './ensure-built.mjs';

await ensureBuilt();
const server = join(DIST, 'server', 'main.js');
if (!existsSync(server)) {
  console.error('There is no built server. Run `npm ci`, then `npm start` again.');
  process.exit(1);
}
process.setSourceMapsEnabled(true);
process.argv = [process.execPath, server, 'serve', ...process.argv.slice(2)];
await import(pathToFileURL(server).href);
