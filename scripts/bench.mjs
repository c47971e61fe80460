// `npm run bench`: builds what is stale and runs bench/main.ts, with the flags after `--`. Peers (other queues to
// compare with) have a package.json of their own in bench/, so that nobody installs them for less; they are installed
// here, at the versions of their lock file, the first time and whenever that file has changed.

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './ensure-built.mjs';

const bench = join(ROOT, 'bench');

/** @param {string} path */
function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

await ensureBuilt();
// npm writes it at the end of an installation.
const installed = changedAt(join(bench, 'node_modules', '.package-lock.json'));
if (installed < changedAt(join(bench, 'package-lock.json'))) {
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: bench, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
const tsx = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const { status } = spawnSync(process.execPath, [tsx, 'bench/main.ts', ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
