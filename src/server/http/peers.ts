/**
 * Who is at the other end of a connection: the peer itself, or, where the peer is a proxy that the operator trusts, the client that it
 * names. Anybody can send `X-Forwarded-For`; it is heard from trusted peers alone, and only as far as trusted ones have written it: from the
 * right, up to the first address that no trusted proxy has. One header is heard and not both: a proxy sets its own and hands the other on
 * as the client wrote it.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

export type ForwardedHeader = 'x-forwarded-for' | 'forwarded';

export interface ProxyTrust {
  /** Addresses and CIDR ranges. Empty: no forwarding header is heard. */
  readonly trustedProxies: readonly string[];
  readonly forwardedHeader: ForwardedHeader;
}

/** What is known of a connection whatever is asked over it. */
interface Connection {
  /** An IPv4 address inside IPv6 is written as IPv4. '' when the connection has gone. */
  readonly address: string;
  readonly isLoopback: boolean;
  readonly isTrusted: boolean;
}

/** What a proxy adds: whoever sends one of these speaks for another, trusted or not. */
const FORWARDING_HEADERS = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'forwarded',
  'via',
];
/** Of a link-local address: the interface. */
const ZONE = /%.*$/;
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
/** Of a name and a port; what is longer was not written by a proxy of ours. */
const HOST_PATTERN = /^[a-z0-9._[\]:-]{1,261}$/i;
/** Proxies one behind another. Nobody has as many; what is further left was written by who knows whom. */
const HOPS_MAX = 32;

/** null: it is neither an address nor a range. */
export function parseRange(text: string): Range | null {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text);
    const address = parseAddress(text);
    return address === null ? null : [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    return null;
  }
}

/** Addresses in full form alone: `127.1` and octal digits are read in several ways by several programs. */
function parseAddress(text: string): Address | null {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return null;
  return ipaddr.process(text);
}

export class Peers {
  readonly #ranges: readonly Range[];
  readonly #header: ForwardedHeader;
  /** Connections are kept alive for thousands of requests. */
  readonly #connections = new WeakMap<Socket, Connection>();

  constructor({ trustedProxies, forwardedHeader }: ProxyTrust) {
    this.#ranges = trustedProxies.flatMap((text) => {
      const range = parseRange(text);
      return range === null ? [] : [range];
    });
    this.#header = forwardedHeader;
  }

  /** Of the client, as far as it is known. */
  addressOf({ headers, socket }: IncomingMessage): string {
    const { address, isTrusted } = this.#connectionOf(socket);
    if (!isTrusted) return address;
    return this.#clientOf(this.#forwardedOf(headers).map((element) => element.for)) ?? address;
  }

  /** It is on this machine, and nothing says that it asks for somebody else, or by a name that leads here by somebody else's doing. */
  isLocal({ headers, socket }: IncomingMessage): boolean {
    return (
      this.#connectionOf(socket).isLoopback &&
      LOOPBACK_HOST.test(headers.host ?? '') &&
      FORWARDING_HEADERS.every((name) => headers[name] === undefined)
    );
  }

  /** The origin that pages of this server have for the client; undefined without a Host. */
  ownOriginOf({ headers, socket }: IncomingMessage): string | undefined {
    if (!this.#connectionOf(socket).isTrusted) return originOf('http', headers.host);
    const nearest = this.#forwardedOf(headers).at(-1);
    const isSecure = this.#said(headers, 'x-forwarded-proto', nearest?.proto) === 'https';
    const host = this.#said(headers, 'x-forwarded-host', nearest?.host) ?? headers.host;
    return originOf(isSecure ? 'https' : 'http', host);
  }

  #connectionOf(socket: Socket): Connection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const address = parseAddress((socket.remoteAddress ?? '').replace(ZONE, ''));
    const connection = {
      address: address?.toString() ?? '',
      isLoopback: address?.range() === 'loopback',
      isTrusted: address !== null && this.#trusts(address),
    };
    this.#connections.set(socket, connection);
    return connection;
  }

  #trusts(address: Address): boolean {
    return this.#ranges.some(([base, bits]) => address.kind() === base.kind() && address.match([base, bits]));
  }

  /** The rightmost address that is no trusted proxy; of those that all are, the leftmost. What cannot be read ends the walk. */
  #clientOf(hops: readonly (string | undefined)[]): string | null {
    let nearest: string | null = null;
    for (const hop of hops.slice(-HOPS_MAX).reverse()) {
      const address = parseAddress(withoutPort(hop ?? ''));
      if (address === null) return nearest;
      nearest = address.toString();
      if (!this.#trusts(address)) return nearest;
    }
    return nearest;
  }

  #forwardedOf(headers: IncomingMessage['headers']): readonly ForwardedElement[] {
    const text = textOf(headers[this.#header]);
    if (text === undefined) return [];
    if (this.#header === 'forwarded') return forwardedElements(text);
    return text.split(',').map((hop) => ({ for: hop.trim() }));
  }

  /** Of several values the last one: what the nearest proxy has added. */
  #said(
    headers: IncomingMessage['headers'],
    name: 'x-forwarded-proto' | 'x-forwarded-host',
    element: string | undefined,
  ): string | undefined {
    if (this.#header === 'forwarded') return element?.toLowerCase();
    return textOf(headers[name])?.split(',').at(-1)?.trim().toLowerCase();
  }
}

interface ForwardedElement {
  readonly for?: string | undefined;
  readonly proto?: string | undefined;
  readonly host?: string | undefined;
}

/** RFC 7239. A comma inside of quotes is not between elements. */
function forwardedElements(text: string): ForwardedElement[] {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []).map((element) => {
    const pairs: Record<string, string> = Object.create(null);
    for (const [, name = '', quoted, bare] of element.matchAll(
      /([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]+))/gi,
    ))
      pairs[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '';
    return { for: pairs['for'], proto: pairs['proto'], host: pairs['host'] };
  });
}

function originOf(scheme: string, host: string | undefined): string | undefined {
  return host !== undefined && HOST_PATTERN.test(host) ? `${scheme}://${host}` : undefined;
}

/** `1.2.3.4:5`, `[::1]:5` and `[::1]` without what is not the address. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^([^:]*):\d+$/.exec(hop)?.[1] ?? hop;
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
