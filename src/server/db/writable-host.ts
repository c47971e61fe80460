/**
 * Which of several hosts takes writes. After a failover nobody tells us: every host is asked, at the same time, when a connection is to be
 * opened and the last answer is not fresh or is in doubt. One search serves all connections that want to be opened. Of two that take writes,
 * an old primary that has come back and the one that was promoted meanwhile, the later timeline is the one that was promoted.
 *
 * The alternative, to ask each new connection what it has reached and to close it again, leaves the choice of the next host to every
 * connection by itself, and cannot tell an old primary from a new one.
 */
import postgres from 'postgres';
import { type DatabaseHosts, withoutCredentials } from './hosts.ts';

/** What a host says of itself; a text: why it is of no use. */
export type Probe = (url: string) => Promise<{ readonly timeline: number } | string>;

/** No host takes writes at the moment: like a database that is away. */
class NoWritableHostError extends Error {
  override readonly name = 'NoWritableHostError';
  readonly code = 'NO_WRITABLE_HOST';
}

/** A burst of connections is one search; a promotion seldom takes less. */
const TRUSTED_MS = 1000;
/** Thirty-four connections that come back one by one do not each ask a standby that is being promoted. */
const FAILED_TRUSTED_MS = 250;
/** Of one host, from the dialing to its answer: some round trips between data centres, and below the patience of a caller (8 s). */
const PROBE_MS = 3000;
const PROBE_CONNECT_SECONDS = 2;
/** After one has answered that it takes writes: time for another, which may have been promoted later. */
const SECOND_ANSWER_MS = 200;

interface Answer {
  readonly url: string;
  readonly answer: Awaited<ReturnType<Probe>>;
}

type Found = { readonly url: string } | { readonly error: NoWritableHostError };

export class WritableHost {
  readonly #urls: DatabaseHosts['urls'];
  readonly #probe: Probe;
  #search: Promise<Found> | null = null;
  #found: Found | null = null;
  #foundAt = 0;

  constructor(urls: DatabaseHosts['urls'], probe: Probe = probeHost) {
    this.#urls = urls;
    this.#probe = probe;
  }

  /**
   * The URL of the host that takes writes.
   * @throws NoWritableHostError
   */
  async find(): Promise<string> {
    const found = this.#remembered() ?? (await this.#searched());
    if ('error' in found) throw found.error;
    return found.url;
  }

  /** A connection was lost, or has turned out to take no writes: the next one asks again. */
  doubt(): void {
    if (this.#found !== null && 'url' in this.#found) this.#found = null;
  }

  #remembered(): Found | null {
    if (this.#found === null) return null;
    const trustedMs = 'url' in this.#found ? TRUSTED_MS : FAILED_TRUSTED_MS;
    return performance.now() - this.#foundAt < trustedMs ? this.#found : null;
  }

  #searched(): Promise<Found> {
    this.#search ??= this.#look().finally(() => {
      this.#search = null;
    });
    return this.#search;
  }

  async #look(): Promise<Found> {
    const answers = await this.#answers();
    const best = answers
      .flatMap(({ url, answer }) => (typeof answer === 'string' ? [] : [{ url, timeline: answer.timeline }]))
      .sort((a, b) => b.timeline - a.timeline)[0];
    const reasons = answers.map(({ url, answer }) => `${hostOf(url)}: ${String(answer)}`).join('; ');
    this.#found =
      best === undefined
        ? { error: new NoWritableHostError(`no host takes writes at the moment (${reasons})`) }
        : { url: best.url };
    this.#foundAt = performance.now();
    return this.#found;
  }

  /** Of all hosts, or of those that have answered shortly after the first that takes writes. */
  #answers(): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      for (const url of this.#urls) {
        void this.#ask(url).then((answer) => {
          answers.push({ url, answer });
          if (answers.length === this.#urls.length) {
            clearTimeout(timer);
            resolve(answers);
          } else if (typeof answer !== 'string') {
            timer ??= setTimeout(() => resolve([...answers]), SECOND_ANSWER_MS);
          }
        });
      }
    });
  }

  async #ask(url: string): ReturnType<Probe> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`no answer within ${PROBE_MS} ms`), PROBE_MS);
    });
    try {
      return await Promise.race([this.#probe(url), silence]);
    } catch (error) {
      return error instanceof Error ? error.message || error.name : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function hostOf(url: string): string {
  return withoutCredentials(url).replace(/^[a-z]+:\/\/([^/]*).*$/, '$1');
}

async function probeHost(url: string): ReturnType<Probe> {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: PROBE_CONNECT_SECONDS,
    prepare: false,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: 'lanekeeper' },
  });
  try {
    const [row] = await sql`
      /* hosts.role */ SELECT pg_is_in_recovery() AS is_standby, current_setting('transaction_read_only') = 'on' AS is_read_only`;
    if (row?.['is_standby'] === true) return 'a standby';
    if (row?.['is_read_only'] !== false) return 'read-only';
    return { timeline: await readTimeline(sql) };
  } finally {
    void sql.end({ timeout: 0 });
  }
}

/** The beginning of a log file's name, in hex. Some providers keep it to themselves: there, only one host ever says that it takes writes. */
async function readTimeline(sql: postgres.Sql): Promise<number> {
  try {
    const [row] = await sql`
      /* hosts.timeline */ SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline`;
    return Number(row?.['timeline']);
  } catch {
    return 0;
  }
}
