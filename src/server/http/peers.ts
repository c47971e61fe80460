/**
 * Who is at the other end of a connection: the peer itself, or, where the peer is a proxy that the operator trusts, the client that it
 * names. Anybody can send `X-Forwarded-For`; it is heard from trusted peers alone, and only as far as trusted ones have written it: from the
 * right, up to the first address that no trusted proxy has. One header is heard and not both: a proxy sets its own and hands the other on
 * as the client wrote it.
 */
import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type ForwardedElement, readForwarded, readForwardedFor } from './forwarded.ts';

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
const BITS = /^(?:0|[1-9]\d{0,2})$/;
/** Before an IPv4 address that is written as IPv6. */
const MAPPED_BITS = 96;

/**
 * An address or a CIDR range. Of addresses that are written as IPv6 and are IPv4 it is one of IPv4, as these addresses are everywhere here.
 * @throws Error that says what is wrong.
 */
export function readRange(text: string): Range {
  const [written = '', bitsText, ...more] = text.split('/');
  const address = written.includes('%') ? null : parseAddress(written);
  const isIpv4 = address?.kind() === 'ipv4';
  const bitsBefore = isIpv4 && isIP(written) === 6 ? MAPPED_BITS : 0;
  const bitsMax = (isIpv4 ? 32 : 128) + bitsBefore;
  const bits = Number(bitsText ?? bitsMax);
  const isInForm = BITS.test(String(bitsText ?? bitsMax)) && more.length === 0;
  if (address === null || !isInForm || bits > bitsMax)
    throw new Error(
      `must be addresses or CIDR ranges in full form, separated by commas; "${text}" is neither`,
    );
  if (bits <= bitsBefore)
    throw new Error(`must name the proxies: "${text}" is everybody, and everybody could choose an address`);
  return [address, bits - bitsBefore];
}

/** Addresses in full form alone: `127.1` and octal digits are read in several ways by several programs. */
function parseAddress(text: string): Address | null {
  return isIP(text) !== 0 && ipaddr.isValid(text) ? ipaddr.process(text) : null;
}

export class Peers {
  readonly #ranges: readonly Range[];
  readonly #header: ForwardedHeader;
  /** Connections are kept alive for thousands of requests. */
  readonly #connections = new WeakMap<Socket, Connection>();

  constructor({ trustedProxies, forwardedHeader }: ProxyTrust) {
    this.#ranges = trustedProxies.map(readRange);
    this.#header = forwardedHeader;
  }

  /** Of the client, as far as it is known. */
  addressOf({ headers, socket }: IncomingMessage): string {
    const { address, isTrusted } = this.#connectionOf(socket);
    if (!isTrusted) return address;
    return this.#clientOf(this.#forwardedOf(headers)) ?? address;
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
    const [nearest] = this.#forwardedOf(headers);
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

  /** The last address that is no trusted proxy; of those that all are, the first. What cannot be read ends the walk. */
  #clientOf(elements: readonly ForwardedElement[]): string | null {
    let nearest: string | null = null;
    for (const element of elements) {
      const address = parseAddress(withoutPort(element.for ?? ''));
      if (address === null) return nearest;
      nearest = address.toString();
      if (!this.#trusts(address)) return nearest;
    }
    return nearest;
  }

  /** The last one first. */
  #forwardedOf(headers: IncomingMessage['headers']): readonly ForwardedElement[] {
    const text = textOf(headers[this.#header]);
    if (text === undefined) return [];
    return this.#header === 'forwarded' ? readForwarded(text) : readForwardedFor(text);
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
