/**
 * One typed request: builds it from the operation table, bounds it in time, repeats it where that is safe, and
 * turns every failure into one of two errors. Never logs, never puts a credential into a URL or an error.
 */
import { HEADERS } from '../contract/constants.ts';
import { ASKED_AGAIN_AFTER_MS, currentToken, isUnauthenticated, type TokenSource } from './credential.ts';
import { errorOfAnswer, LanekeeperError, UnreachableError, unreachableBy } from './errors.ts';
import type { ArgumentsOf, OperationId, ReplyOf } from './operation-types.ts';
import type { Operation } from './operations.ts';
import { OPERATIONS, repetitionOf } from './operations.ts';
import type { RetryPolicy } from './retry.ts';
import { DEFAULT_RETRY, retryDelayMs } from './retry.ts';
import type { Timing } from './timing.ts';
import { joinSignals, reasonOf, startDeadline, systemTiming } from './timing.ts';

/** Beyond the wait that was asked for: a round trip, a slow database, and the server's own limits (contract of the client). */
const REQUEST_TIMEOUT_MS = 15_000;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Speaks for this call only, e.g. a claim token. */
  readonly token?: string | undefined;
  /** `Prefer: wait`: how long the server may hold the answer back; it clamps to 60. */
  readonly waitSeconds?: number | undefined;
  /** Of calls that honour one; made by the client when absent. Give your own to survive a restart of your process; null: none. */
  readonly idempotencyKey?: string | null | undefined;
  /** `If-Match`: the version the change is made against. */
  readonly ifVersion?: number | undefined;
  /** Of one attempt, on top of waitSeconds. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
}

export interface TransportOptions {
  readonly url: string;
  /** An API key or a claim token, or where to ask for it: a key that changes, or that is not there yet. */
  readonly token?: string | TokenSource | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Told why a call is made again, and how often it has been made. */
  readonly onRetry?: ((error: unknown, attempts: number) => void) | undefined;
  /** Ends every call of this client. */
  readonly signal?: AbortSignal | undefined;
  readonly timing?: Timing | undefined;
}

interface PreparedRequest {
  readonly method: string;
  /** But for the credential, which may change between attempts. */
  readonly headers: Readonly<Record<string, string>>;
  readonly redirect: 'error';
  readonly body?: string;
}

type QueryParameters = Readonly<Record<string, string | number | readonly string[] | undefined>>;

interface LooseArguments {
  readonly params?: Readonly<Record<string, string>> | undefined;
  readonly query?: QueryParameters | undefined;
  readonly body?: unknown;
}

export class Transport {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string | TokenSource | undefined;
  readonly timing: Timing;
  readonly signal: AbortSignal | undefined;
  readonly #fetch: typeof fetch;
  readonly #onRetry: TransportOptions['onRetry'];

  constructor(options: TransportOptions) {
    this.url = baseUrl(options.url);
    this.token = options.token;
    this.signal = options.signal;
    this.#onRetry = options.onRetry;
    this.timing = options.timing ?? systemTiming;
    const given = options.fetch;
    // Called through an arrow: browsers refuse fetch with another `this`.
    this.#fetch = given ?? ((input, init) => fetch(input, init));
  }

  /** Calls one operation of the contract; method, path, arguments and answer are typed by its descriptor. */
  async request<Id extends OperationId>(
    id: Id,
    args: ArgumentsOf<Id>,
    options: CallOptions = {},
  ): Promise<ReplyOf<Id>> {
    const operation: Operation = OPERATIONS[id];
    const reply = await this.#repeat(operation, args as LooseArguments, options);
    // The cast is the parser: the server is held to the contract by its own conformance tests.
    return reply as ReplyOf<Id>;
  }

  async #repeat(operation: Operation, args: LooseArguments, options: CallOptions): Promise<unknown> {
    const policy = { ...DEFAULT_RETRY, ...options.retry };
    // Time that the server was asked to spend is not time lost.
    const totalMs = policy.totalMs + (options.waitSeconds ?? 0) * 1000;
    const repetition = repetitionOf(operation);
    const key = repetition === 'with-key' ? keyOf(options) : undefined;
    const target = this.url + fillPath(operation.path, args.params ?? {}) + queryText(args.query ?? {});
    const init = {
      method: operation.method.toUpperCase(),
      headers: this.#headers(options, key, args.body !== undefined),
      redirect: 'error',
      ...(args.body === undefined ? {} : { body: JSON.stringify(args.body) }),
    } satisfies PreparedRequest;
    const startedAt = this.timing.now();
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await this.#attemptWithToken(target, init, options);
      } catch (error) {
        const elapsedMs = this.timing.now() - startedAt;
        const failure = { error, repetition, hasKey: key !== undefined, attempts, elapsedMs };
        const delayMs = retryDelayMs(failure, { ...policy, totalMs }, this.timing.random);
        if (delayMs === null) throw error;
        this.#onRetry?.(error, attempts);
        await this.#pause(delayMs, options.signal);
      }
    }
  }

  async #pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const joined = joinSignals([signal, this.signal]);
    try {
      await this.timing.wait(delayMs, joined.signal);
    } finally {
      joined.release();
    }
  }

  /** What was refused for its credential has done nothing: it is made again, once, if the source has another one meanwhile. */
  async #attemptWithToken(target: string, init: PreparedRequest, options: CallOptions): Promise<unknown> {
    const source = options.token ?? this.token;
    if (typeof source !== 'function') return this.#attempt(target, authorized(init, source), options);
    const refused = await this.#ask(source, options);
    try {
      return await this.#attempt(target, authorized(init, refused), options);
    } catch (error) {
      if (!isUnauthenticated(error)) throw error;
      await this.#pause(ASKED_AGAIN_AFTER_MS, options.signal);
      const token = await this.#ask(source, options);
      if (token === refused) throw error;
      return this.#attempt(target, authorized(init, token), options);
    }
  }

  async #ask(source: TokenSource, options: CallOptions): Promise<string | undefined> {
    const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    const deadline = startDeadline(timeoutMs, [options.signal, this.signal]);
    try {
      return await currentToken(source, deadline.signal);
    } catch (error) {
      throw deadline.isTimedOut()
        ? new Error(`no key within ${timeoutMs / 1000} s`, { cause: error })
        : error;
    } finally {
      deadline.release();
    }
  }

  async #attempt(target: string, init: PreparedRequest, options: CallOptions): Promise<unknown> {
    const timeoutMs = (options.waitSeconds ?? 0) * 1000 + (options.timeoutMs ?? REQUEST_TIMEOUT_MS);
    const deadline = startDeadline(timeoutMs, [options.signal, this.signal]);
    try {
      const response = await this.#fetch(target, { ...init, signal: deadline.signal });
      const text = await response.text();
      if (!response.ok) throw errorOfAnswer(response, text);
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      if (text === '') return undefined;
      return isJson ? JSON.parse(text) : text;
    } catch (error) {
      if (error instanceof LanekeeperError) throw error;
      if (deadline.isTimedOut())
        throw new UnreachableError(`nothing within ${timeoutMs / 1000} s`, { url: this.url, cause: error });
      if (deadline.signal.aborted) throw reasonOf(deadline.signal);
      throw unreachableBy(error, this.url);
    } finally {
      deadline.release();
    }
  }

  #headers(options: CallOptions, key: string | undefined, hasBody: boolean): Record<string, string> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (hasBody) headers['content-type'] = 'application/json';
    if (key !== undefined) headers[HEADERS.idempotencyKey] = key;
    if (options.waitSeconds !== undefined)
      headers[HEADERS.prefer] = `wait=${Math.trunc(options.waitSeconds)}`;
    if (options.ifVersion !== undefined) headers['if-match'] = `"${options.ifVersion}"`;
    return headers;
  }
}

function authorized(init: PreparedRequest, token: string | undefined): PreparedRequest {
  return token === undefined
    ? init
    : { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } };
}

function keyOf({ idempotencyKey }: CallOptions): string | undefined {
  return idempotencyKey === null ? undefined : (idempotencyKey ?? randomKey());
}

function baseUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new TypeError(`Not an http or https URL: ${url}`);
  if (parsed.username !== '' || parsed.password !== '')
    throw new TypeError('The URL must not hold a credential');
  return (parsed.origin + parsed.pathname).replace(/\/+$/, '');
}

export function fillPath(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined || value === '') throw new TypeError(`The path ${path} needs "${name}"`);
    return encodeURIComponent(value);
  });
}

function queryText(query: QueryParameters): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    search.set(name, Array.isArray(value) ? value.join(',') : String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

/** 128 random bits in hex. Not randomUUID: browsers offer that only to pages that came over https. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
