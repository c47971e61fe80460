/**
 * Which of several hosts takes writes. After a failover nobody tells us: every host is asked, at the same time, when a connection is to be
 * opened and the last answer is not fresh or is in doubt. One search serves all connections that want to be opened. Of two that take writes,
 * an old primary that has come back and the one that was promoted meanwhile, the later timeline is the one that was promoted. Once a
 * timeline is known, an earlier one is never used again by this process, whoever answers first or alone. Only a restart forgets: a cluster
 * that was made anew begins with 1 again, and cannot be told from an old primary.
 *
 * The alternative, to ask each new connection what it has reached and to close it again, leaves the choice of the next host to every
 * connection by itself, and cannot tell an old primary from a new one.
 */
import postgres from 'postgres';
import { codeOf } from './failures.ts';
import { type DatabaseHosts, withoutCredentials } from './hosts.ts';

/** What a host says of itself, with timeline 0 where it keeps that to itself; a text: why it is of no use. */
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
  readonly #onPromotion: () => void;
  /** The latest that a host which takes writes has named. */
  #timelineSeen = 0;
  #search: Promise<Found> | null = null;
  #found: Found | null = null;
  #foundAt = 0;

  /** @param onPromotion A later timeline than the one in use was seen: what is connected to the host before is to be given up. */
  constructor(
    urls: DatabaseHosts['urls'],
    { probe = probeHost, onPromotion = () => undefined }: { probe?: Probe; onPromotion?: () => void } = {},
  ) {
    this.#urls = urls;
    this.#probe = probe;
    this.#onPromotion = onPromotion;
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
    this.#notice(best?.timeline ?? 0);
    const reasons = answers.map(({ url, answer }) => `${hostOf(url)}: ${String(answer)}`).join('; ');
    this.#found =
      best === undefined
        ? { error: new NoWritableHostError(`no host takes writes at the moment (${reasons})`) }
        : { url: best.url };
    this.#foundAt = performance.now();
    return this.#found;
  }

  #notice(timeline: number): void {
    if (timeline <= this.#timelineSeen) return;
    const isPromotion = this.#timelineSeen > 0;
    this.#timelineSeen = timeline;
    if (!isPromotion) return;
    this.#found = null;
    this.#onPromotion();
  }

  /** Of all hosts, or of those that have answered shortly after the first that takes writes. */
  #answers(): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let isOver = false;
      const end = (): void => {
        isOver = true;
        clearTimeout(timer);
        resolve([...answers]);
      };
      for (const url of this.#urls) {
        void this.#ask(url).then((said) => {
          const answer = this.#withoutOldPrimary(said);
          answers.push({ url, answer });
          if (isOver) this.#notice(typeof answer === 'string' ? 0 : answer.timeline);
          else if (answers.length === this.#urls.length) end();
          else if (typeof answer !== 'string') timer ??= setTimeout(end, SECOND_ANSWER_MS);
        });
      }
    });
  }

  #withoutOldPrimary(answer: Answer['answer']): Answer['answer'] {
    if (typeof answer === 'string' || answer.timeline === 0) return answer;
    return answer.timeline < this.#timelineSeen
      ? `an old primary (timeline ${answer.timeline}; ${this.#timelineSeen} was in use)`
      : answer;
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

/** insufficient_privilege, feature_not_supported, undefined_function: a provider that keeps the timeline to itself. */
const TIMELINE_WITHHELD = ['42501', '0A000', '42883'];

/**
 * The beginning of a log file's name, in hex. 0 where it is kept from us: there, only one host ever says that it takes writes. Every other
 * failure is the host's: one that was cut off while it answered must not count as one that has no timeline, and lose against an old primary.
 */
async function readTimeline(sql: postgres.Sql): Promise<number> {
  try {
    const [row] = await sql`
      /* hosts.timeline */ SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline`;
    return Number(row?.['timeline']);
  } catch (error) {
    if (TIMELINE_WITHHELD.includes(codeOf(error) ?? '')) return 0;
    throw error;
  }
}
