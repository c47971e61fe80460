/**
 * One typed request: builds it from the operation table, bounds it in time, repeats it where that is safe, and
 * turns every failure into one of two errors. Never logs, never puts a credential into a URL or an error.
 */
import { HEADERS } from '../contract/constants.ts';
import { authorizationOf, isUnauthenticated, LATE_TOKEN, type LateToken } from './credential.ts';
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
  readonly token?: string | undefined;
  /** Where there will be a token later, as of a server that is away and makes its key when it starts. */
  readonly lateToken?: LateToken | undefined;
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
  readonly timing: Timing;
  readonly signal: AbortSignal | undefined;
  readonly #lateToken: LateToken | undefined;
  #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #onRetry: TransportOptions['onRetry'];

  constructor(options: TransportOptions) {
    this.url = baseUrl(options.url);
    this.#token = options.token;
    this.#lateToken = options.lateToken;
    this.signal = options.signal;
    this.#onRetry = options.onRetry;
    this.timing = options.timing ?? systemTiming;
    const given = options.fetch;
    // Called through an arrow: browsers refuse fetch with another `this`.
    this.#fetch = given ?? ((input, init) => fetch(input, init));
  }

  get token(): string | undefined {
    return this.#token;
  }

  /** The token, which is looked for as long as there is none. */
  async findToken(): Promise<string | undefined> {
    this.#token ??= await this.#lateToken?.();
    return this.#token;
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

  /** Without a token a call has done nothing: it is made again with the one that is there meanwhile. */
  async #attemptWithToken(target: string, init: PreparedRequest, options: CallOptions): Promise<unknown> {
    const token = options.token ?? this.#token ?? (await this.findToken());
    try {
      return await this.#attempt(target, authorized(init, token), options);
    } catch (error) {
      if (token !== undefined || !isUnauthenticated(error)) throw error;
      const late = await this.#tokenSoon(options.signal);
      if (late === undefined) throw error;
      return this.#attempt(target, authorized(init, late), options);
    }
  }

  async #tokenSoon(signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.#lateToken === undefined) return undefined;
    for (let asks = 0; asks < LATE_TOKEN.asksMax && (await this.findToken()) === undefined; asks += 1)
      await this.#pause(LATE_TOKEN.intervalMs, signal);
    return this.#token;
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
  return { ...init, headers: { ...init.headers, ...authorizationOf(token) } };
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
