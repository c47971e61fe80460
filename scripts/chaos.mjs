// `npm run chaos`: builds what is stale and runs chaos/main.ts, with the flags after `--`. A signal to this process, or to its group,
// reaches the run, which ends all that it has started.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ROOT } from './ensure-built.mjs';

await ensureBuilt();
const tsx = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const child = spawn(process.execPath, [tsx, 'chaos/main.ts', ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
// In a terminal the group got it already; the run counts them as one.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.on(signal, () => child.kill(signal));
child.once('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
