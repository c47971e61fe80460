/**
 * Connections to Postgres: one driver, six pools. `hot` runs the statements of the claim path, with a planner that cannot choose
 * a plan by missing statistics; `broad` runs the reads whose cost their caller chooses, few at a time and not for long, so that they
 * never stand before the others; `sweeps` keeps the pulse, reaps, wakes scheduled tasks and says which lanes are there, `wakes` tells other
 * servers what has happened here and asks what has happened there, and no caller can put anything before either; `lookups` asks who a caller
 * is; `cold` runs everything else. Nothing else in the server opens a connection.
 *
 * With pulse and reaper in `cold` one claim token with 1,500 comments at once made a queue of more than 2 s there, which passed for an
 * outage: all leases were extended by it, and nobody was reaped. With the wake-ups there
 * they made a wait on one server late for what was done on another.
 */
import postgres from 'postgres';
import { assert } from '../kernel/assert.ts';
import { DeadlineSockets } from './deadline-socket.ts';
import { type DatabaseAddress, readHosts } from './hosts.ts';
import { type StatementWatch, watchStatements } from './statement-watch.ts';
import { WritableHost } from './writable-host.ts';

export type Sql = postgres.Sql<{ bigint: number; moment: string }>;
export type Tx = postgres.TransactionSql<{ bigint: number; moment: string }>;
/** What a store's statement runs on: a pool or a transaction. */
export type Runner = Sql | Tx;
/** A piece of SQL for another statement. */
export type PendingQuery = postgres.PendingQuery<postgres.Row[]>;
/** A value for a jsonb parameter. */
export type JsonParameter = postgres.JSONValue;

export interface Database {
  readonly hot: Sql;
  readonly cold: Sql;
  /** Only through BroadReads, which admits no more at a time than there are connections. */
  readonly broad: Sql;
  /** For work that repeats itself, one transaction of a kind at a time. */
  readonly sweeps: Sql;
  /** For statements of a millisecond. */
  readonly wakes: Sql;
  readonly lookups: Sql;
  /** One session of its own for LISTEN; calls back at every (re)connection, because notifications in between are lost. */
  listen(channel: string, onPayload: (payload: string) => void, onListening: () => void): Promise<void>;
  /**
   * The server that we are connected to takes no writes any more: another may. All connections are given up and opened anew, not more often
   * than is of use.
   */
  leaveReadOnly(): void;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /**
   * Sessions may be shared with others between transactions, as behind PgBouncer in transaction mode: no prepared statements, and no settings
   * of a session, which the role then has to have (see POOLED_ROLE_SETTINGS). Default: false.
   */
  readonly isPooled?: boolean;
  readonly hotConnectionsMax?: number;
  readonly coldConnectionsMax?: number;
  /** Tests shorten it. */
  readonly silenceDeadlineMs?: number;
  /** Told when each statement of the pools has ended. */
  readonly watch?: StatementWatch;
  /** Sees every statement of the hot pool: how a test gets at the very texts whose plans it pins. */
  readonly onHotStatement?: (text: string, parameters: readonly unknown[]) => void;
}

/** Longest statement we allow; every one of ours takes milliseconds, so this only ends the lost ones. */
const STATEMENT_TIMEOUT_MS = 10_000;
/** Below the patience of a caller (8 s, in tx.ts): what was answered 503 must not commit a moment later. */
const HOT_STATEMENT_TIMEOUT_MS = 7000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** Above the statement timeout, so that a slow statement is ended by Postgres and not by cutting the connection. */
const SILENCE_DEADLINE_MS = 15_000;
const CONNECT_TIMEOUT_SECONDS = 5;
/** One batch per verb and board is in flight, so a handful serves the claim path; measured again with the benchmark. */
const HOT_CONNECTIONS_MAX = 8;
const COLD_CONNECTIONS_MAX = 8;
/** Enough to read while one search is slow; each may keep a core of the database busy. */
export const BROAD_CONNECTIONS_MAX = 4;
/** A page takes milliseconds. What takes this long reads through a whole board, and will again. */
const BROAD_STATEMENT_TIMEOUT_MS = 5000;
/** One each for pulse, reaper, scheduler and presence, and one for what any of them has given up waiting for. */
const SWEEP_CONNECTIONS_MAX = 5;
/** Of everybody's sweeps: what somebody has locked for this long is left for the next time. */
const SWEEP_LOCK_TIMEOUT_MS = 1000;
/** One to tell, one to ask. */
const WAKE_CONNECTIONS_MAX = 2;
/** Of keys that are known not to be guesses two at a time, beside the four that the authenticator lets guesses have. */
const LOOKUP_CONNECTIONS_MAX = 6;
const CLOSE_TIMEOUT_SECONDS = 3;
const DEFAULT_PORT = 5432;
/** A database that stays read-only can still be read: what is asked of it is not cut off all the time. */
const LEAVE_INTERVAL_MS = 5000;
/**
 * Statistics of a database that was never analyzed are every new user's: hot statements must not depend on them. Their plans then
 * need no look at the parameters either, and are made once per connection: planning a claim or an end each time took 0.5 ms, as
 * much as executing a batch of ten.
 */
const HOT_SETTINGS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_bitmapscan: 'off',
  jit: 'off',
};

/** What bounds a lost statement where a session has no settings of its own: docs/scaling.md. */
export const POOLED_ROLE_SETTINGS = {
  statement_timeout: `${STATEMENT_TIMEOUT_MS / 1000}s`,
  idle_in_transaction_session_timeout: `${IDLE_IN_TRANSACTION_TIMEOUT_MS / 1000}s`,
} as const;

/** Gives one transaction the plans of the claim path, on whatever connection it is. */
export async function pinPlans(tx: Tx): Promise<void> {
  await tx`
    /* db.pin_plans */
    SELECT set_config(name, value, true)
    FROM unnest(${Object.keys(HOT_SETTINGS)}::text[], ${Object.values(HOT_SETTINGS)}::text[]) AS setting (name, value)`;
}

/** Postgres writes no trailing zeros: with milliseconds at least, the text is as long as this. */
const MILLISECOND_CHARACTERS = '2026-11-21 03:48:32.123+00'.length;

/** The rows of a batch have mostly one moment. */
let lastMoment = { text: '', parsed: '' };

/** `2026-11-21 03:48:32.123456+00` → RFC 3339 with milliseconds. The session's time zone is UTC. */
function parseMoment(text: string): string {
  if (text === lastMoment.text) return lastMoment.parsed;
  const parsed =
    text.length >= MILLISECOND_CHARACTERS
      ? `${text.slice(0, 10)}T${text.slice(11, 23)}Z`
      : `${text.slice(0, 10)}T${text.slice(11, 19)}.${fractionOf(text).padEnd(3, '0')}Z`;
  lastMoment = { text, parsed };
  return parsed;
}

function fractionOf(text: string): string {
  return text.charAt(19) === '.' ? text.slice(20, 23).replace(/[+-].*$/, '') : '';
}

/** Postgres's array literal. Quoting every element is always allowed, and spares looking at what is in it. */
function serializeArray(values: readonly unknown[]): string {
  const items = values.map((value) =>
    value === null ? 'null' : `"${String(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  );
  return `{${items.join(',')}}`;
}

/** Array parameters by the oid of their type. Results hold no arrays: those columns are read as JSON. */
const arrayOf = (oid: number) => ({
  to: oid,
  from: [] as number[],
  serialize: serializeArray,
  parse: (text: string) => text,
});

/**
 * The types of our statements, named here so that the driver need not ask for them at every connection: that query is refused by
 * some poolers, and nobody hears its failure when Postgres dies at that moment.
 */
const TYPES = {
  text_array: arrayOf(1009),
  uuid_array: arrayOf(2951),
  int4_array: arrayOf(1007),
  float8_array: arrayOf(1022),
  /** int8: every count and sequence number of ours stays far below 2^53. */
  bigint: { to: 20, from: [20], parse: Number, serialize: (value: number) => String(value) },
  /** timestamptz is kept as the text that the wire wants. */
  moment: { to: 1184, from: [1184], parse: parseMoment, serialize: (value: string) => value },
};

/** Of a URL with one host. The driver reads directories of Unix sockets and what the environment says; it takes no IPv6 address. */
function addressOf(url: string, options: Parameters<typeof postgres>[1]): DatabaseAddress {
  const { host, port, path } = (postgres(url, options) as Sql).options; // A pool that is never used opens no connection.
  const firstPort = port[0] ?? DEFAULT_PORT;
  if (typeof path === 'string' && path !== '')
    return { host: path.replace(/\/\.s\.PGSQL\.\d+$/, ''), port: firstPort };
  const { hostname, port: ownPort } = new URL(url);
  if (!hostname.startsWith('[')) return { host: host[0] ?? '127.0.0.1', port: firstPort };
  return { host: hostname.slice(1, -1), port: ownPort === '' ? DEFAULT_PORT : Number(ownPort) };
}

export function openDatabase(options: DatabaseOptions): Database {
  const shared = {
    types: TYPES,
    fetch_types: false,
    prepare: !(options.isPooled ?? false),
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    onnotice: () => undefined,
    // A dead server is noticed by the first query after its return, not by a timer that keeps the pool asleep.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1) * (0.5 + Math.random() / 2),
  };
  const isPooled = options.isPooled ?? false;
  // A pooler carries these two from session to session; it refuses whom it would have to carry more for.
  const carried = { application_name: 'lanekeeper', TimeZone: 'UTC' };
  const settings = {
    ...carried,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  };
  const { urls, isWritableSought } = readHosts(options.url);
  const addresses = new Map(urls.map((url) => [url, addressOf(url, shared)]));
  const findAddress = (url: string): DatabaseAddress => {
    const address = addresses.get(url);
    assert(address !== undefined, 'a host that was searched for is one of those that were given');
    return address;
  };
  const writable = isWritableSought
    ? new WritableHost(urls, {
        onPromotion: () => sockets.cut('another database server was promoted in place of this one'),
      })
    : null;
  const sockets = new DeadlineSockets({
    findAddress: () => (writable === null ? findAddress(urls[0]) : writable.find().then(findAddress)),
    onClose: () => writable?.doubt(),
    deadlineMs: options.silenceDeadlineMs ?? SILENCE_DEADLINE_MS,
  });
  const open = (max: number, extraSettings: Record<string, string>, extraOptions: object = {}): Sql =>
    postgres(urls[0], {
      ...shared,
      ...extraOptions,
      max,
      connection: (isPooled ? carried : { ...settings, ...extraSettings }) as typeof settings,
      socket: () => sockets.open(),
    } as Parameters<typeof postgres>[1] & { types: typeof TYPES }) as Sql;

  const pools = openPools(open, options);

  let leftAt = Number.NEGATIVE_INFINITY;
  return {
    ...watched(pools, options.watch),
    listen: async (channel, onPayload, onListening) => {
      await pools.cold.listen(channel, onPayload, onListening);
    },
    leaveReadOnly: () => {
      if (performance.now() - leftAt < LEAVE_INTERVAL_MS) return;
      leftAt = performance.now();
      writable?.doubt();
      sockets.cut('the database server takes no writes any more');
    },
    close: async () => {
      await Promise.all(Object.values(pools).map((pool) => pool.end({ timeout: CLOSE_TIMEOUT_SECONDS })));
      sockets.close();
    },
  };
}

type Pools = Pick<Database, 'hot' | 'cold' | 'broad' | 'sweeps' | 'wakes' | 'lookups'>;

function openPools(
  open: (max: number, extraSettings: Record<string, string>, extraOptions?: object) => Sql,
  options: DatabaseOptions,
): Pools {
  const { onHotStatement } = options;
  const hotSettings = { ...HOT_SETTINGS, statement_timeout: String(HOT_STATEMENT_TIMEOUT_MS) };
  const hot = open(options.hotConnectionsMax ?? HOT_CONNECTIONS_MAX, hotSettings, {
    ...(onHotStatement && {
      debug: (_connection: number, text: string, parameters: readonly unknown[]) =>
        onHotStatement(text, parameters),
    }),
  });
  const cold = open(options.coldConnectionsMax ?? COLD_CONNECTIONS_MAX, { jit: 'off' });
  const broad = open(BROAD_CONNECTIONS_MAX, {
    jit: 'off',
    statement_timeout: String(BROAD_STATEMENT_TIMEOUT_MS),
  });
  const sweeps = open(SWEEP_CONNECTIONS_MAX, {
    jit: 'off',
    statement_timeout: String(HOT_STATEMENT_TIMEOUT_MS),
    lock_timeout: String(SWEEP_LOCK_TIMEOUT_MS),
  });
  const wakes = open(WAKE_CONNECTIONS_MAX, {
    jit: 'off',
    statement_timeout: String(HOT_STATEMENT_TIMEOUT_MS),
  });
  const lookups = open(LOOKUP_CONNECTIONS_MAX, { jit: 'off' });
  return { hot, cold, broad, sweeps, wakes, lookups };
}

function watched(pools: Pools, watch: StatementWatch | undefined): Pools {
  if (watch === undefined) return pools;
  const seen = (pool: keyof Pools): Sql => watchStatements(pools[pool], pool, watch);
  return {
    hot: seen('hot'),
    cold: seen('cold'),
    broad: seen('broad'),
    sweeps: seen('sweeps'),
    wakes: seen('wakes'),
    lookups: seen('lookups'),
  };
}
