/** Whose address it is, with and without proxies in between; what a client writes itself is never believed. */
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { type ForwardedHeader, Peers, parseRange } from '../../../src/server/http/peers.ts';

const requestFrom = (
  remoteAddress: string | undefined,
  headers: Record<string, string> = {},
): IncomingMessage =>
  ({
    headers: { host: 'board.example', ...headers },
    socket: { remoteAddress },
  }) as unknown as IncomingMessage;

const peersOf = (
  trustedProxies: readonly string[],
  forwardedHeader: ForwardedHeader = 'x-forwarded-for',
): Peers => new Peers({ trustedProxies, forwardedHeader });

const OF_PROXIES = peersOf(['10.0.0.0/8', '127.0.0.1', '2001:db8:1::/48']);

describe('the address', () => {
  test.each([
    ['of a peer that is no proxy is its own, whatever it says', '203.0.113.9', '198.51.100.7', '203.0.113.9'],
    ['is what a trusted proxy says', '10.1.2.3', '198.51.100.7', '198.51.100.7'],
    [
      'is the last one that is no proxy: what stands left of it, the client has written',
      '10.1.2.3',
      '1.1.1.1, 198.51.100.7, 10.9.9.9',
      '198.51.100.7',
    ],
    ['of several trusted proxies alone is that of the first', '10.1.2.3', '10.4.4.4, 10.5.5.5', '10.4.4.4'],
    ['is the nearest that can be read', '10.1.2.3', '198.51.100.7, not-an-address, 10.5.5.5', '10.5.5.5'],
    ['is the proxy’s where it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['is the proxy’s where it says nonsense', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['is read with a port', '10.1.2.3', '198.51.100.7:1234', '198.51.100.7'],
    ['is read with brackets', '10.1.2.3', '[2001:db8::7]:1234', '2001:db8::7'],
    ['is one for IPv4 and IPv4 inside of IPv6', '::ffff:10.1.2.3', '::ffff:198.51.100.7', '198.51.100.7'],
    ['is not read in odd spellings', '10.1.2.3', '0x7f.1', '10.1.2.3'],
    ['of a trusted proxy is found in IPv6', '2001:db8:1::5', '2001:db8:2::1', '2001:db8:2::1'],
    ['has no zone', 'fe80::1%eth0', undefined, 'fe80::1'],
    ['of a connection that has gone is none', undefined, undefined, ''],
  ])('%s', (_, peer, forwarded, address) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    expect(OF_PROXIES.addressOf(requestFrom(peer, headers as Record<string, string>))).toBe(address);
  });

  test('is not taken from the header that was not chosen: a proxy hands it on as the client wrote it', () => {
    const headers = { forwarded: 'for=1.1.1.1', 'x-forwarded-for': '198.51.100.7' };
    expect(OF_PROXIES.addressOf(requestFrom('10.1.2.3', headers))).toBe('198.51.100.7');
    expect(peersOf(['10.0.0.0/8'], 'forwarded').addressOf(requestFrom('10.1.2.3', headers))).toBe('1.1.1.1');
    expect(OF_PROXIES.addressOf(requestFrom('10.1.2.3', { forwarded: 'for=1.1.1.1' }))).toBe('10.1.2.3');
  });

  test('in the form of RFC 7239 is read with quotes, commas and parameters', () => {
    const peers = peersOf(['10.0.0.0/8'], 'forwarded');
    for (const [forwarded, address] of [
      ['for=198.51.100.7', '198.51.100.7'],
      ['for="[2001:db8::7]:47"; proto=https;by=203.0.113.43', '2001:db8::7'],
      ['for=1.1.1.1;by="a, for=2.2.2.2", For=198.51.100.7, for=10.3.3.3', '198.51.100.7'],
      ['for=_hidden', '10.1.2.3'],
      ['proto=https', '10.1.2.3'],
    ])
      expect([forwarded, peers.addressOf(requestFrom('10.1.2.3', { forwarded: forwarded ?? '' }))]).toEqual([
        forwarded,
        address,
      ]);
  });
});

describe('whoever is on this machine', () => {
  const local = (headers: Record<string, string>, peer = '127.0.0.1'): boolean =>
    OF_PROXIES.isLocal(requestFrom(peer, headers));

  test('asks by a name of it, and for nobody else', () => {
    for (const host of ['127.0.0.1:7420', 'localhost', 'LOCALHOST:7420', '[::1]:7420'])
      expect(local({ host })).toBe(true);
    expect(local({ host: '127.0.0.1' }, '::1')).toBe(true);
    expect(local({ host: '127.0.0.1' }, '::ffff:127.0.0.1')).toBe(true);
    expect(local({ host: '127.0.0.1' }, '192.0.2.1')).toBe(false);
  });

  test('is not a proxy on it, trusted or not, nor a page that has been given a name of it', () => {
    for (const name of [
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-real-ip',
      'forwarded',
      'via',
    ])
      expect([name, local({ host: '127.0.0.1', [name]: 'for=127.0.0.1' })]).toEqual([name, false]);
    expect(local({ host: 'rebound.example:7420' })).toBe(false);
    expect(local({ host: 'localhost.example' })).toBe(false);
  });
});

describe('the own origin', () => {
  test('is that of the Host, and behind a trusted proxy the one that it names', () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'Public.example' };
    expect(OF_PROXIES.ownOriginOf(requestFrom('203.0.113.9', headers))).toBe('http://board.example');
    expect(OF_PROXIES.ownOriginOf(requestFrom('10.1.2.3', headers))).toBe('https://public.example');
    expect(OF_PROXIES.ownOriginOf(requestFrom('10.1.2.3', { 'x-forwarded-proto': 'https' }))).toBe(
      'https://board.example',
    );
    expect(OF_PROXIES.ownOriginOf(requestFrom('10.1.2.3', { 'x-forwarded-proto': 'http, https' }))).toBe(
      'https://board.example',
    );
    expect(OF_PROXIES.ownOriginOf(requestFrom('10.1.2.3', { 'x-forwarded-host': 'a b' }))).toBeUndefined();
    const rfc = peersOf(['10.0.0.0/8'], 'forwarded');
    const forwarded = 'for=198.51.100.7;proto=https;host=public.example';
    expect(rfc.ownOriginOf(requestFrom('10.1.2.3', { ...headers, forwarded }))).toBe(
      'https://public.example',
    );
    expect(rfc.ownOriginOf(requestFrom('10.1.2.3', headers))).toBe('http://board.example');
  });
});

test('ranges are read strictly', () => {
  for (const text of ['10.0.0.0/8', '127.0.0.1', '::1', '2001:db8::/32'])
    expect([text, parseRange(text) !== null]).toEqual([text, true]);
  for (const text of ['10.0.0.0/33', '10.1', 'proxy.example', '', '0x7f000001', '10.0.0.0/', 'all'])
    expect([text, parseRange(text)]).toEqual([text, null]);
});
