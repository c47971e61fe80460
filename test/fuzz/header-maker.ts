/** Headers of made-up requests: those that the operation hears, and now and then those that it should not. */
import type { Operation } from './api-document.ts';
import type { KnownNames } from './known-names.ts';
import type { Random } from './random.ts';

type Headers = Record<string, string>;

interface HeardHeader {
  readonly name: string;
  /** How often it is sent to an operation that offers it. */
  readonly share: number;
  readonly good: readonly string[];
  readonly odd: readonly string[];
}

const inBase64Url = (text: string): string => Buffer.from(text).toString('base64url');

const HEARD: readonly HeardHeader[] = [
  {
    name: 'If-Match',
    share: 0.3,
    good: ['*', '"1"', '"2"'],
    odd: ['W/"1"', '1', '"x"', '"99999999999"', '"1", "2"'],
  },
  {
    name: 'Prefer',
    share: 0.2,
    good: ['wait=0', 'wait=1', 'respond-async'],
    odd: ['wait=-1', 'wait=99999999', 'wait=x', 'wait=1;wait=2', ''],
  },
  {
    name: 'Lanekeeper-Origin',
    share: 0.1,
    good: [inBase64Url('{"platform":"chat","chat_id":"1"}')],
    odd: ['{', '[]', '{"x":1}', '{"platform":"\\u0000"}', 'null']
      .map(inBase64Url)
      .concat('%', 'x'.repeat(5000)),
  },
];

const REQUEST_IDS = ['018f3f5e-7b1c-7c3a-9d2e-4f5a6b7c8d9e', '018F3F5E-7B1C-7C3A-9D2E-4F5A6B7C8D9E'];
const ODD_REQUEST_IDS = ['x', '../..', "';--", ''];
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Of no consequence, wherever they are sent. */
const UNCALLED_FOR: readonly Headers[] = [
  { Origin: 'https://evil.example' },
  { Accept: 'application/xml' },
  { 'Accept-Encoding': 'br;q=0' },
  { Cookie: 'session=admin' },
  { 'X-Forwarded-For': '127.0.0.1' },
  { Forwarded: 'for=127.0.0.1' },
  { 'X-HTTP-Method-Override': 'DELETE' },
  { Range: 'bytes=0-1' },
  { 'If-None-Match': '*' },
  { traceparent: '00-1-2-3' },
  { Expect: '100-continue' },
];

export class HeaderMaker {
  readonly #random: Random;
  readonly #names: KnownNames;
  #made = 0;

  constructor(random: Random, names: KnownNames) {
    this.#random = random;
    this.#names = names;
  }

  make(operation: Operation, oddly: boolean): Headers {
    const random = this.#random;
    const offered = new Set(
      operation.parameters.filter((entry) => entry.in === 'header').map(({ name }) => name),
    );
    const headers: Headers = operation.id === 'watchBoard' ? this.#upgrade(oddly) : {};
    for (const { name, share, good, odd } of HEARD) {
      if (this.#isSent(offered.has(name), oddly, share))
        headers[name] = random.pick([...good, ...(oddly ? odd : [])]);
    }
    if (this.#isSent(offered.has('Idempotency-Key'), oddly, 0.3))
      headers['Idempotency-Key'] = this.#idempotencyKey(operation, oddly);
    if (offered.has('Last-Event-ID')) Object.assign(headers, this.#stream());
    if (random.chance(0.1))
      headers['X-Request-Id'] = random.pick([...REQUEST_IDS, ...(oddly ? ODD_REQUEST_IDS : [])]);
    if (random.chance(0.05)) headers['traceparent'] = TRACE;
    if (oddly && random.chance(0.08)) Object.assign(headers, random.pick(UNCALLED_FOR));
    return headers;
  }

  #isSent(isOffered: boolean, oddly: boolean, share: number): boolean {
    const elsewhere = oddly ? 0.03 : 0;
    return this.#random.chance(isOffered ? share : elsewhere);
  }

  /** Few enough to come again: replayed answers, and keys that were used with something else. */
  #idempotencyKey({ id }: Operation, oddly: boolean): string {
    this.#made += 1;
    const key = `${id}-${this.#random.whole(0, 20)}-${this.#made % 7}`;
    return oddly ? this.#random.pick([key, key, '', 'é', ' x ', 'k'.repeat(256)]) : key;
  }

  #stream(): Headers {
    const random = this.#random;
    const accepts = ['text/event-stream', 'application/json', 'text/event-stream;q=0.1, */*'];
    const ids = ['', 'x', this.#names.pick('Cursor', random) ?? 'start'];
    return {
      ...(random.chance(0.25) && { Accept: random.pick(accepts) }),
      ...(random.chance(0.1) && { 'Last-Event-ID': random.pick(ids) }),
    };
  }

  #upgrade(oddly: boolean): Headers {
    const random = this.#random;
    const versions = oddly ? ['13', '8', 'x'] : ['13'];
    const protocols = ['lanekeeper.v1', ...(oddly ? ['lanekeeper.v9', 'lanekeeper.bearer.!', ''] : [])];
    const protocol = random.pick(protocols);
    return {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': random.pick(versions),
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...(protocol === '' ? {} : { 'Sec-WebSocket-Protocol': protocol }),
    };
  }
}
