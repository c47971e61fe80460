// Fans three tasks out to two lanes and prints the one block that comes back. Two workers do them, which are started here and stopped in the
// end; what they run is only echo.
//   node examples/fan-out.mjs      beside a server (npm start), or with LANEKEEPER_URL and LANEKEEPER_TOKEN

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../bin/lanekeeper.js', import.meta.url));
const LANES = ['builders', 'testers'];
const TIMEOUT = '60s';

/** Stops the example when a command fails. @param {string[]} args */
function lanekeeper(...args) {
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`lanekeeper ${args[0]} ended with ${status}`);
  return stdout;
}

/** A worker is a command that is run for each task, with the task as JSON on its stdin. @param {string} lane */
function work(lane) {
  const command = ['sh', '-c', `echo "${lane} did $LANEKEEPER_TASK_ID"`];
  return spawn(process.execPath, [PROGRAM, 'work', lane, '--register', '--', ...command], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const workers = LANES.map(work);
try {
  // At once: nobody has done anything yet.
  const id = lanekeeper(
    'delegate',
    ...['--goal', 'release 2.0'],
    ...['--task', 'builders: build the server'],
    ...['--task', 'builders: build the documents'],
    ...['--task', 'testers: test what is on main'],
  ).trim();
  console.error(`delegated as ${id}`);
  process.stdout.write(lanekeeper('collect', id, '--timeout', TIMEOUT));
} finally {
  for (const worker of workers) worker.kill();
}
