/**
 * One server for all tests of a process: starting a database takes seconds, making a board on one that runs takes milliseconds. The last
 * user's leave does not end it at once, because the next test file or the next case mostly wants it again.
 */
import { givenDatabaseUrl } from './environment.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';

/** Longer than a runner takes between two test files. It keeps nobody waiting: it ends with the process at the latest. */
const LINGER_MS = 10_000;

interface Instance {
  readonly starting: Promise<ServerProcess>;
  users: number;
  linger: NodeJS.Timeout | undefined;
}

/** By the database that it uses; '' is one of its own. Few: a process of tests names one, or none. */
const instances = new Map<string, Instance>();

export interface ServerLease {
  readonly url: string;
  readonly adminKey: string;
  release(): Promise<void>;
}

export interface ServerWishes {
  readonly databaseUrl?: string | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly startTimeoutMs: number;
}

/** Of all servers of this process. Not in the form of keys that the server makes (lk_…), whose check digits it would miss. */
const ADMIN_KEY = `testing-${crypto.randomUUID()}`;

function start(databaseUrl: string, wishes: ServerWishes): Promise<ServerProcess> {
  const settings = {
    LANEKEEPER_ADMIN_KEY: ADMIN_KEY,
    LANEKEEPER_LOG_LEVEL: 'warn',
    ...(databaseUrl === '' ? {} : { DATABASE_URL: databaseUrl }),
    ...wishes.environment,
  };
  return startServerProcess(settings, wishes.startTimeoutMs);
}

/** With an environment of its own it is a server of its own, which ends when it is released. */
export async function leaseServer(wishes: ServerWishes): Promise<ServerLease> {
  const databaseUrl = wishes.databaseUrl ?? givenDatabaseUrl() ?? '';
  if (wishes.environment !== undefined) {
    const server = await start(databaseUrl, wishes);
    return { url: server.url, adminKey: ADMIN_KEY, release: () => server.end() };
  }
  const instance = await usable(databaseUrl, wishes);
  clearTimeout(instance.linger);
  instance.users += 1;
  try {
    const { url } = await instance.starting;
    return { url, adminKey: ADMIN_KEY, release: () => leave(databaseUrl, instance) };
  } catch (error) {
    forget(databaseUrl, instance);
    throw error;
  }
}

/** The one that runs, or one that begins to: what has ended in the meantime is replaced. */
async function usable(databaseUrl: string, wishes: ServerWishes): Promise<Instance> {
  const known = instances.get(databaseUrl);
  if (known !== undefined && !(await known.starting).hasEnded()) return known;
  const fresh: Instance = { starting: start(databaseUrl, wishes), users: 0, linger: undefined };
  instances.set(databaseUrl, fresh);
  return fresh;
}

/** Unless another has taken its place already. */
function forget(databaseUrl: string, instance: Instance): void {
  if (instances.get(databaseUrl) === instance) instances.delete(databaseUrl);
}

async function leave(databaseUrl: string, instance: Instance): Promise<void> {
  instance.users -= 1;
  if (instance.users > 0) return;
  const server = await instance.starting;
  instance.linger = setTimeout(() => {
    forget(databaseUrl, instance);
    void server.end();
  }, LINGER_MS).unref();
}
