/** Whose address it is, with and without proxies in between; what a client writes itself is never believed. */
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FORWARDED_CHARACTERS_MAX } from '../../../src/server/http/forwarded.ts';
import { type ForwardedHeader, Peers, readRange } from '../../../src/server/http/peers.ts';

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
      ['for="198.51.100.7";ext-1="a \\" b; for=2.2.2.2\\\\";', '198.51.100.7'],
      ['for=198.51.100.7:47, for = 10.3.3.3', '198.51.100.7'],
      ['for=198.51.100.7, for=10.3.3.3, not a pair, for=10.4.4.4', '10.4.4.4'],
      ['for=198.51.100.7, x-for=10.3.3.3, for=10.4.4.4', '10.4.4.4'],
      ['for=1.1.1.1;for=2.2.2.2', '10.1.2.3'],
      ['for=6.6.6.6;a="', '10.1.2.3'],
      ['for=6.6.6.6;a="b\\", for=10.4.4.4', '10.4.4.4'],
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

/** What a client may send ahead: anything, and rather often what means something in such a header. */
const anyPrefix = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 40 }),
      fc.constantFrom(
        '"',
        '\\',
        ',',
        ';',
        'for=',
        'for=6.6.6.6',
        'for="',
        '6.6.6.6',
        '[',
        '10.1.1.1',
        'a="',
        '" ',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const client = fc.constantFrom('198.51.100.7', '2001:db8:2::7');
const proxies = fc.array(fc.constantFrom('10.3.3.3', '10.4.4.4', '2001:db8:1::9'), { maxLength: 3 });
const rest = fc.constantFrom(
  '',
  ';proto=https',
  ';by="a, \\"for=7.7.7.7\\" \\\\";host=board.example',
  ' ; proto=http',
);

describe('whatever a client sends ahead', () => {
  const elementOf = (address: string, isQuoted: boolean): string => {
    if (address.includes(':')) return `for="[${address}]:4711"`;
    return isQuoted ? `for="${address}:80"` : `for=${address}`;
  };

  test('the trusted proxies’ elements decide in Forwarded', () => {
    const peers = peersOf(['10.0.0.0/8', '2001:db8:1::/48'], 'forwarded');
    fc.assert(
      fc.property(anyPrefix, client, proxies, rest, fc.boolean(), (prefix, address, hops, more, isQuoted) => {
        const appended = [address, ...hops].map((hop) => `${elementOf(hop, isQuoted)}${more}`);
        const forwarded = [prefix, ...appended].join(', ');
        expect(peers.addressOf(requestFrom('10.1.2.3', { forwarded }))).toBe(address);
      }),
      { numRuns: 2000 },
    );
  });

  test('they decide in X-Forwarded-For', () => {
    fc.assert(
      fc.property(anyPrefix, client, proxies, (prefix, address, hops) => {
        const headers = { 'x-forwarded-for': [prefix, address, ...hops].join(', ') };
        expect(OF_PROXIES.addressOf(requestFrom('10.1.2.3', headers))).toBe(address);
      }),
      { numRuns: 1000 },
    );
  });

  test('no more than the end of it is looked at, and no proxy that is cut in two', () => {
    for (const header of ['forwarded', 'x-forwarded-for'] as const) {
      const peers = peersOf(['10.0.0.0/8'], header);
      const name = header === 'forwarded' ? 'for=' : '';
      const chain = (hops: number): string =>
        [`${name}198.51.100.7`, ...Array.from({ length: hops }, () => `${name}10.3.3.3`)].join(', ');
      const addressAt = (hops: number, padding: string): string =>
        peers.addressOf(requestFrom('10.1.2.3', { [header]: padding + chain(hops) }));
      expect(addressAt(31, '')).toBe('198.51.100.7');
      expect(addressAt(32, '')).toBe('10.3.3.3');
      for (const unit of ['a', '"', '\\', 'a=', '",', '="', '\\"', ',', ';'])
        expect(addressAt(3, `${unit.repeat(15_000)}, `)).toBe('198.51.100.7');
      const [last, own] = [`, ${name}10.3.3.3`, `${name}6.6.6.6`];
      const cut = `1${own}${' '.repeat(FORWARDED_CHARACTERS_MAX - own.length - last.length)}${last}`;
      expect(cut).toHaveLength(FORWARDED_CHARACTERS_MAX + 1);
      expect(peers.addressOf(requestFrom('10.1.2.3', { [header]: cut }))).toBe('10.3.3.3');
      expect(peers.addressOf(requestFrom('10.1.2.3', { [header]: cut.slice(1) }))).toBe('6.6.6.6');
    }
  });
});

test('ranges are read strictly, and those of IPv4 inside of IPv6 as the ranges of IPv4 that they are', () => {
  for (const text of ['10.0.0.0/8', '127.0.0.1', '::1', '2001:db8::/32', '::ffff:10.0.0.0/104', '1.2.3.4/32'])
    expect(() => readRange(text)).not.toThrow();
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '010.0.0.0/8',
    '10.1/8',
    '10.1',
    '0xa.0.0.0/8',
    '::ffff:010.0.0.0/104',
    'fe80::1%eth0/64',
    '::1/129',
    'proxy.example',
    '',
    '0x7f000001',
    '10.0.0.0/',
    '/8',
    'all',
  ])
    expect([text, faultOfRange(text)]).toEqual([text, expect.stringContaining('is neither')]);
  for (const text of ['0.0.0.0/0', '::/0', '::ffff:0.0.0.0/96'])
    expect([text, faultOfRange(text)]).toEqual([text, expect.stringContaining('is everybody')]);
  const mapped = peersOf(['::ffff:10.0.0.0/104']);
  const headers = { 'x-forwarded-for': '198.51.100.7' };
  expect(mapped.addressOf(requestFrom('10.1.2.3', headers))).toBe('198.51.100.7');
  expect(mapped.addressOf(requestFrom('::ffff:10.1.2.3', headers))).toBe('198.51.100.7');
  expect(mapped.addressOf(requestFrom('11.1.2.3', headers))).toBe('11.1.2.3');
});

function faultOfRange(text: string): string {
  try {
    return String(readRange(text));
  } catch (error) {
    return String(error);
  }
}
