/**
 * One message to /mcp, and what comes back: one JSON document, or a stream of events. Whatever goes wrong is one of the client's two
 * errors. Never sends anything twice; whether that is safe is for the bridge to know.
 */
import { authorizationOf } from '../../client/credential.ts';
import {
  errorOfAnswer,
  isObject,
  parseObject,
  UnreachableError,
  unreachableBy,
} from '../../client/errors.ts';
import { joinSignals, reasonOf } from '../../client/timing.ts';
import { readEventData } from './event-data.ts';

export interface McpEndpoint {
  readonly url: string;
  /** Asked with every message: the server may be away, and its key with it, when the agent starts. */
  readonly token: () => Promise<string | undefined>;
  /** Sent with every message: where the agent's requests come from. */
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
}

/** The longest wait of a tool, 45 s, and as long on top as every request of the client may take. A stream shows a sign of life more often. */
const SILENCE_MS_MAX = 60_000;
/** Far above the 20 KB to which the server caps results: what is longer did not come from it. */
const ANSWER_CHARACTERS_MAX = 8 * 1024 * 1024;

type RpcMessage = Readonly<Record<string, unknown>>;

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export async function* postMessage(
  endpoint: McpEndpoint,
  text: string,
  options: PostOptions,
): AsyncGenerator<RpcMessage> {
  const joined = joinSignals([options.signal]);
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    joined.abort(new DOMException('The server has been silent for too long', 'TimeoutError'));
  }, SILENCE_MS_MAX);
  try {
    const response = await endpoint.fetch(endpoint.url, {
      method: 'POST',
      headers: {
        ...authorizationOf(await endpoint.token()),
        ...endpoint.headers,
        ...options.headers,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      },
      body: text,
      redirect: 'error',
      signal: joined.signal,
    });
    yield* readAnswer(response, () => silence.refresh());
  } catch (error) {
    if (options.signal.aborted) throw reasonOf(options.signal);
    if (isSilent)
      throw new UnreachableError(`nothing within ${SILENCE_MS_MAX / 1000} s`, {
        url: endpoint.url,
        cause: error,
      });
    throw error instanceof RefusedAnswer ? error.reason : unreachableBy(error, endpoint.url);
  } finally {
    clearTimeout(silence);
    // Whoever stops reading wants no more of it.
    joined.abort(new DOMException('The answer is no longer read', 'AbortError'));
    joined.release();
  }
}

/** Carries a refusal past the catch that takes everything else for a broken connection. */
class RefusedAnswer extends Error {
  readonly reason: Error;

  constructor(reason: Error) {
    super(reason.message);
    this.reason = reason;
  }
}

async function* readAnswer(response: Response, heard: () => void): AsyncGenerator<RpcMessage> {
  const type = response.headers.get('content-type') ?? '';
  const texts = readTexts(response, heard);
  if (response.ok && type.startsWith('text/event-stream')) {
    for await (const data of readEventData(texts, ANSWER_CHARACTERS_MAX)) {
      const message = parseObject(data);
      if (message !== undefined) yield message;
    }
    return;
  }
  const text = await wholeText(texts);
  const message = parseObject(text);
  const isRpc = message?.['jsonrpc'] === '2.0';
  // A refusal in the words of the protocol goes to the client as it is.
  if (message !== undefined && isRpc && (response.ok || isObject(message['error']))) yield message;
  else if (!response.ok || text !== '') throw new RefusedAnswer(errorOfAnswer(response, text));
}

async function* readTexts(response: Response, heard: () => void): AsyncGenerator<string> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    heard();
    yield decoder.decode(chunk, { stream: true });
  }
}

async function wholeText(texts: AsyncIterable<string>): Promise<string> {
  let whole = '';
  for await (const text of texts) {
    whole += text;
    if (whole.length > ANSWER_CHARACTERS_MAX) throw new Error('the answer is too long');
  }
  return whole;
}
