/**
 * The HTTP application: finds who answers a request, and answers those that nobody takes. Handlers get Node's own request and
 * response: through the framework's Request and Response the claim cycle took twice the processor time, so only its router is used.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { SmartRouter } from 'hono/router/smart-router';
import { TrieRouter } from 'hono/router/trie-router';
import { WATCH_SUBPROTOCOL } from '../../contract/constants.ts';
import type { Route } from '../../contract/route.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { asProblem, problemAnswer } from './on-error.ts';
import { requestIdOf } from './request-headers.ts';
import { WATCH_PATH } from './watch-path.ts';
import { writeAnswer } from './write-answer.ts';

/** A request that has found its handler. */
export interface Call {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Decoded; a text that is not valid percent-encoding stays as it came. */
  readonly params: Readonly<Record<string, string>>;
  /** What stands behind the question mark, undecoded. */
  readonly search: string;
}

export type CallHandler = (call: Call) => Promise<void>;

interface KnownPath {
  readonly pattern: RegExp;
  readonly method: string;
}

/**
 * A refused request may still be sending: what it sends is thrown away for so long, then the connection is closed. After an answer with
 * `Connection: close` Node closes at once, with what has not been read yet.
 */
const UNREAD_BODY_MS = 500;

export class App {
  readonly routes: { readonly method: string; readonly path: string }[] = [];
  readonly #router = new SmartRouter<CallHandler>({ routers: [new RegExpRouter(), new TrieRouter()] });
  readonly #known: readonly KnownPath[];
  readonly #onBug: (error: unknown, requestId: string) => void;

  constructor(routes: readonly Route[], onBug: (error: unknown, requestId: string) => void) {
    this.#known = routes.map((route) => ({
      pattern: new RegExp(`^${route.path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      method: route.method.toUpperCase(),
    }));
    this.#onBug = onBug;
  }

  /** `path` names its parameters as in `/v1/boards/{board}`. */
  on(method: string, path: string, handler: CallHandler): void {
    const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1');
    this.routes.push({ method, path: pattern });
    this.#router.add(method, pattern, handler);
  }

  readonly handle = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    // A peer that goes away under a write is no error of ours; those who must know ask the response.
    outgoing.on('error', ignore);
    this.#answer(incoming, outgoing)
      .catch((error: unknown) => {
        const requestId = requestIdOf(incoming);
        this.#onBug(error, requestId);
        if (outgoing.headersSent) outgoing.destroy();
        else writeAnswer(outgoing, requestId, problemAnswer(asProblem(error), requestId));
      })
      .finally(() => {
        if (!incoming.complete) letGoOf(incoming);
      });
  };

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { path, search } = addressOf(incoming);
    // HEAD is answered as GET; Node leaves the body out.
    const method = incoming.method === 'HEAD' ? 'GET' : (incoming.method ?? 'GET');
    const [matches, stash] = this.#router.match(method, path);
    const first = matches[0];
    if (first === undefined) {
      const requestId = requestIdOf(incoming);
      writeAnswer(outgoing, requestId, problemAnswer(this.#untaken(method, path), requestId));
      return;
    }
    const [handler, found] = first;
    const params: Record<string, string> = {};
    for (const [name, value] of Object.entries(found))
      params[name] = decoded(typeof value === 'number' ? (stash?.[value] ?? '') : value);
    await handler({ incoming, outgoing, params, search });
  }

  #untaken(method: string, path: string): ProblemError {
    const isSocket = WATCH_PATH.test(path);
    if (isSocket && method === 'GET')
      return new ProblemError(
        'invalid_request',
        `This is a WebSocket: open it with an upgrade, and the subprotocol ${WATCH_SUBPROTOCOL}.`,
      );
    const known = this.#known.filter(({ pattern }) => pattern.test(path)).map((route) => route.method);
    const allowed = isSocket ? ['GET'] : known;
    if (allowed.length > 0)
      return new ProblemError('method_not_allowed', `This resource offers ${allowed.join(', ')}.`, {
        headers: { Allow: allowed.join(', ') },
      });
    return new ProblemError('not_found', 'There is nothing at this path.', {
      extensions: { resource: 'route' },
    });
  }
}

export function createApp(routes: readonly Route[], onBug: (error: unknown, requestId: string) => void): App {
  return new App(routes, onBug);
}

function addressOf({ url = '/' }: IncomingMessage): { readonly path: string; readonly search: string } {
  // A proxy's client may send the whole address; what is before the path has been heard in the Host header.
  const address = url.startsWith('/') ? url : url.replace(/^[a-z]+:\/\/[^/?#]*/i, '');
  const end = address.indexOf('?');
  return end < 0
    ? { path: address, search: '' }
    : { path: address.slice(0, end), search: address.slice(end + 1) };
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function letGoOf(incoming: IncomingMessage): void {
  const timer = setTimeout(() => incoming.socket.destroySoon(), UNREAD_BODY_MS);
  timer.unref();
  incoming.once('close', () => clearTimeout(timer));
  incoming.on('error', ignore);
  incoming.resume();
}

function ignore(): void {
  // Nothing to do: the connection is gone.
}
