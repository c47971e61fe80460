/**
 * The process that owns a server of tests and its data directory. It ends them when its parent disconnects, which the system does for a
 * parent that was killed: nobody who is killed cleans up after himself. Says one thing to its parent: where the server is, or why not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What the parent asks for; everything else is in the environment. */
export interface Order {
  readonly program: string;
  readonly dataDir: string;
  readonly startTimeoutMs: number;
}

export type Report = { readonly url: string } | { readonly failure: string };

const LOOK_INTERVAL_MS = 25;
/** The server itself gives up after 5 s (its quality bar). */
const STOP_TIMEOUT_MS = 10_000;
/** Of what the server printed: enough for the reason, which comes last. */
const OUTPUT_CHARACTERS_MAX = 4000;

const abandoned = new AbortController();
process.once('disconnect', () => abandoned.abort());
// A terminal sends its Ctrl-C to everybody: the parent decides, and its end is noticed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function readJson(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>;
  } catch {
    return {}; // Not there, or not yet.
  }
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function waitUntilReady(
  server: ChildProcess,
  { dataDir, startTimeoutMs }: Order,
  output: () => string,
): Promise<Report> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline && !abandoned.signal.aborted) {
    if (hasExited(server))
      return { failure: `it ended with ${server.exitCode ?? server.signalCode}:\n${output()}` };
    const { url, pid } = await readJson(join(dataDir, 'server.json'));
    if (typeof url === 'string' && pid === server.pid) return { url };
    await pause(LOOK_INTERVAL_MS);
  }
  return { failure: `it was not ready within ${startTimeoutMs / 1000} s:\n${output()}` };
}

async function stop(server: ChildProcess): Promise<void> {
  if (hasExited(server)) return;
  const exited = once(server, 'exit');
  server.kill('SIGTERM');
  const killer = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(killer);
}

/** Under root, a database whose account may not enter the directory of temporary files lives elsewhere; its data dir knows where. */
async function removeData(dataDir: string): Promise<void> {
  const { place } = await readJson(join(dataDir, 'postgres.json'));
  const isCluster = typeof place === 'string' && basename(dirname(place)) === 'clusters';
  const options = { recursive: true, force: true, maxRetries: 3 };
  if (isCluster) await rm(place, options);
  await rm(dataDir, options);
}

async function supervise(order: Order): Promise<void> {
  const server = spawn(process.execPath, [order.program, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const keep = (chunk: Buffer): void => {
    printed = (printed + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX);
  };
  server.stdout.on('data', keep);
  server.stderr.on('data', keep);
  const ended = once(server, 'exit');
  try {
    const report = await waitUntilReady(server, order, () => printed.trim());
    if (process.connected) process.send?.(report);
    if ('failure' in report || abandoned.signal.aborted) return;
    await Promise.race([ended, once(abandoned.signal, 'abort')]);
  } finally {
    await stop(server);
    await removeData(order.dataDir);
  }
}

// A parent that is gone before it has asked for anything leaves nothing to end.
const [order] = (await Promise.race([
  once(process, 'message'),
  once(abandoned.signal, 'abort').then(() => []),
])) as [Order?];
if (order !== undefined) await supervise(order);
process.exit(0);
