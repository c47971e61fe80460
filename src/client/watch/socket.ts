/**
 * Opens the watch socket where the program runs: the platform's WebSocket where there is one, `ws` on Node 20.
 * A browser cannot set headers, so its credential is offered as a subprotocol; never in the URL, which gets logged.
 */
import { BEARER_SUBPROTOCOL_PREFIX, WATCH_SUBPROTOCOL } from '../../contract/constants.ts';
import { authorizationOf } from '../credential.ts';

/** The part of the WebSocket interface that is used; what `connect({webSocket})` must offer. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'error', listener: (event: unknown) => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: CloseEventLike) => void): void;
}

interface CloseEventLike {
  readonly code: number;
  readonly reason?: string;
}

/** Node's `ws` takes options as a third argument; the platform's ignores or lacks it. */
export type WebSocketConstructor = new (url: string, protocols: string[], options?: object) => WebSocketLike;

export interface SocketFactory {
  readonly constructor: WebSocketConstructor;
  readonly canSetHeaders: boolean;
}

/** A page of the log is at most 1,000 events; 32 KiB each is far beyond what events carry. */
const FRAME_BYTES_MAX = 32 * 1024 * 1024;

let nodeFactory: SocketFactory | undefined;

export async function loadSocketFactory(given: WebSocketConstructor | undefined): Promise<SocketFactory> {
  if (given !== undefined) return { constructor: given, canSetHeaders: false };
  const native: unknown = Reflect.get(globalThis, 'WebSocket');
  if (isConstructor(native)) return { constructor: native, canSetHeaders: false };
  nodeFactory ??= { constructor: await loadNodeConstructor('ws'), canSetHeaders: true };
  return nodeFactory;
}

/** The name is a parameter so that bundlers for browsers do not follow it: it is loaded on Node only. */
async function loadNodeConstructor(moduleName: string): Promise<WebSocketConstructor> {
  const loaded: unknown = await import(/* @vite-ignore */ moduleName);
  const found: unknown =
    typeof loaded === 'object' && loaded !== null ? Reflect.get(loaded, 'WebSocket') : null;
  if (!isConstructor(found)) throw new TypeError('The module has no WebSocket');
  return found;
}

function isConstructor(value: unknown): value is WebSocketConstructor {
  return typeof value === 'function';
}

export function openSocket(factory: SocketFactory, url: string, token: string | undefined): WebSocketLike {
  const protocols = [WATCH_SUBPROTOCOL];
  if (!factory.canSetHeaders) {
    if (token !== undefined) protocols.push(BEARER_SUBPROTOCOL_PREFIX + base64Url(token));
    return new factory.constructor(url, protocols);
  }
  return new factory.constructor(url, protocols, {
    headers: authorizationOf(token),
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
  });
}

function base64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
