/**
 * An MCP server on stdin and stdout that is none itself: each message goes to /mcp, and what comes back goes out as a line. It holds no
 * state that a restart would miss but which tools may be called twice.
 *
 * It must never print anything that is no message, and never repeat a call that could take effect twice. The official package's stdio
 * server was no help: it drops the calls under way when stdin ends, which is when a script that piped one in expects its answer.
 */
import { isObject, LanekeeperError, UnreachableError } from '../../client/errors.ts';
import { DEFAULT_RETRY, retryDelayMs } from '../../client/retry.ts';
import { joinSignals, type Timing } from '../../client/timing.ts';
import {
  headersOf,
  isAnswerTo,
  type McpRequest,
  type RequestId,
  RPC_CODES,
  readMessage,
  rpcError,
} from './message.ts';
import { type McpEndpoint, postMessage } from './post.ts';
import { RepeatableCalls } from './repeatable-calls.ts';

export interface BridgeOptions {
  readonly endpoint: McpEndpoint;
  readonly timing: Timing;
  /** Resolves when there is room for more. */
  readonly write: (message: unknown) => Promise<void>;
}

/** Far more than one agent has under way; each may wait for 45 s. */
const REQUESTS_MAX = 32;
/** An official client that closes stdin kills after 2 s; what can be answered before is. */
export const LAST_ANSWERS_MS = 1500;
/** A wait that the server was asked for is no time lost: see SILENCE_MS_MAX. */
const RETRY = { ...DEFAULT_RETRY, totalMs: DEFAULT_RETRY.totalMs + 45_000 };

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #underWay = new Map<RequestId, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #repeatable = new RepeatableCalls();
  /** Nobody says anything more: what failed is not tried again. */
  readonly #lastMoment = new AbortController();
  /** Ends what no request's own signal ends. */
  readonly #end = new AbortController();
  #negotiated: string | null = null;

  constructor(options: BridgeOptions) {
    this.#options = options;
  }

  /** Until the lines end. null is a line that was too long to be read. */
  async run(lines: AsyncIterable<string | null>): Promise<void> {
    try {
      for await (const line of lines) await this.#take(line);
      this.#lastMoment.abort();
      await Promise.race([
        Promise.allSettled(this.#tasks),
        this.#options.timing.wait(LAST_ANSWERS_MS, this.#end.signal),
      ]);
    } finally {
      this.#end.abort();
      await this.#leave();
    }
  }

  /** A script that reads on hears of what it will get no answer to. */
  async #leave(): Promise<void> {
    const left = [...this.#underWay];
    for (const [, controller] of left) controller.abort();
    for (const [id] of left) {
      const message = 'stdin ended before there was an answer; the request may have taken effect.';
      await this.#options.write(rpcError(id, RPC_CODES.server, message));
    }
  }

  async #take(line: string | null): Promise<void> {
    const { write } = this.#options;
    if (line === null) {
      await write(rpcError(null, RPC_CODES.invalidRequest, 'The line is too long to be read.'));
      return;
    }
    const message = readMessage(line);
    switch (message.kind) {
      case 'malformed':
        await write(message.error);
        return;
      case 'cancel':
        this.#underWay.get(message.requestId)?.abort();
        return;
      case 'answer':
        return;
      case 'notification':
        if (this.#tasks.size < REQUESTS_MAX) this.#start(this.#notify(message.text));
        return;
      case 'request':
        await this.#takeRequest(message);
    }
  }

  async #takeRequest(request: McpRequest): Promise<void> {
    const refuse = (message: string): Promise<void> =>
      this.#options.write(rpcError(request.id, RPC_CODES.invalidRequest, message));
    if (this.#underWay.has(request.id)) await refuse('A request with this id is under way.');
    else if (this.#underWay.size >= REQUESTS_MAX) await refuse(`${REQUESTS_MAX} requests are under way.`);
    else {
      const controller = new AbortController();
      this.#underWay.set(request.id, controller);
      this.#start(this.#serve(request, controller.signal).finally(() => this.#underWay.delete(request.id)));
    }
  }

  #start(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  /** Nobody waits for an answer, so there is nothing to say when it fails. */
  async #notify(text: string): Promise<void> {
    try {
      const answers = postMessage(this.#options.endpoint, text, { headers: {}, signal: this.#end.signal });
      for await (const _ of answers);
    } catch {
      // The server keeps no state between messages: a lost notification changes nothing.
    }
  }

  /** Never throws; without a word once the signal has fired. */
  async #serve(request: McpRequest, signal: AbortSignal): Promise<void> {
    const { timing, write } = this.#options;
    const startedAtMs = timing.now();
    for (let attempts = 1; ; attempts += 1) {
      try {
        await this.#attempt(request, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const delayMs = this.#delayMs(request, error, attempts, timing.now() - startedAtMs);
        if (delayMs !== null) await this.#pause(delayMs, signal);
        if (signal.aborted) return;
        if (delayMs === null || this.#lastMoment.signal.aborted) {
          await write(refusalOf(request, error));
          return;
        }
      }
    }
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const joined = joinSignals([signal, this.#lastMoment.signal]);
    await this.#options.timing.wait(delayMs, joined.signal).catch(() => undefined);
    joined.release();
  }

  #delayMs(request: McpRequest, error: unknown, attempts: number, elapsedMs: number): number | null {
    const isUnseen = error instanceof UnreachableError && !error.mayHaveTakenEffect;
    const isSafe = isUnseen || this.#repeatable.has(request);
    const failure = {
      error,
      repetition: isSafe ? 'free' : 'never',
      hasKey: false,
      attempts,
      elapsedMs,
    } as const;
    return retryDelayMs(failure, RETRY, this.#options.timing.random);
  }

  async #attempt(request: McpRequest, signal: AbortSignal): Promise<void> {
    const { endpoint, write } = this.#options;
    let isAnswered = false;
    const headers = headersOf(request, this.#negotiated);
    for await (const message of postMessage(endpoint, request.text, { headers, signal })) {
      if (signal.aborted) return;
      const isAnswer =
        isAnswerTo(message, request.id) || (message['id'] === null && isObject(message['error']));
      if (isAnswer) this.#learn(request, message);
      isAnswered ||= isAnswer;
      await write(isAnswer ? { ...message, id: request.id } : message);
    }
    if (isAnswered || signal.aborted) return;
    throw new UnreachableError('the connection ended before the answer', {
      url: endpoint.url,
      cause: undefined,
    });
  }

  #learn(request: McpRequest, answer: Readonly<Record<string, unknown>>): void {
    const { result } = answer;
    if (!isObject(result)) return;
    if (request.method === 'tools/list') this.#repeatable.learn(result);
    if (request.method === 'initialize' && typeof result['protocolVersion'] === 'string') {
      this.#negotiated = result['protocolVersion'];
    }
  }
}

function refusalOf(request: McpRequest, error: unknown): unknown {
  if (error instanceof LanekeeperError) {
    const { code, status, message, retryAfterSeconds } = error;
    const next = nextStepOf(error);
    return rpcError(request.id, RPC_CODES.server, message, {
      code,
      status,
      ...(retryAfterSeconds === undefined ? {} : { retry_after_seconds: retryAfterSeconds }),
      ...(next === undefined ? {} : { next }),
    });
  }
  const isUnseen = error instanceof UnreachableError && !error.mayHaveTakenEffect;
  const what = error instanceof Error ? error.message : String(error);
  const next = isUnseen
    ? 'the server did not see the request: is it running, and is its address right? Then try again'
    : 'it may have taken effect: look before you repeat it, or repeat a claim with the same request_id';
  return rpcError(request.id, RPC_CODES.server, `${what}; ${next}.`, { code: 'unreachable', next });
}

function nextStepOf({ status }: LanekeeperError): string | undefined {
  if (status === 401) return 'give the bridge a key: LANEKEEPER_TOKEN, LANEKEEPER_TOKEN_FILE or --profile';
  if (status === 404)
    return 'is this the address of a Lanekeeper server, and is the server new enough to have /mcp?';
  return undefined;
}
