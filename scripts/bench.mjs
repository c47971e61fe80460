// `npm run bench`: builds what is stale and runs bench/main.ts, with the flags after `--`. Peers (other queues to
// compare with) live in bench/peers with a package.json of their own, so that nobody installs them for less; they
// are installed here, at the versions of their lock file, the first time.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './ensure-built.mjs';

const peers = join(ROOT, 'bench', 'peers');
await ensureBuilt();
if (existsSync(join(peers, 'package.json')) && !existsSync(join(peers, 'node_modules'))) {
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: peers, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
const tsx = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const { status } = spawnSync(process.execPath, [tsx, 'bench/main.ts', ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
