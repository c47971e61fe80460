import { describe, expect, test } from 'vitest';
import { useBench } from '../../fixtures/bench.ts';
import type { CallOptions } from '../../fixtures/server.ts';

const bench = useBench();

const TASKS = '/v1/boards/default/tasks';
const BATCH = `${TASKS}/batch`;
const LANE = '/v1/boards/default/lanes/bad-input';

interface Bad extends CallOptions {
  readonly what: string;
  readonly method?: string;
  readonly path?: string;
  readonly status: number;
  readonly code: string;
  readonly pointer?: string;
}

const text = (raw: string): CallOptions => ({ rawBody: raw });
const bytes = (...parts: (string | number)[]): CallOptions => ({
  rawBody: new Uint8Array(
    parts.flatMap((part) => (typeof part === 'number' ? [part] : [...Buffer.from(part)])),
  ),
});
const invalid = { status: 400, code: 'invalid_request' } as const;
const notJson = { status: 400, code: 'invalid_json' } as const;

const BODIES: readonly Bad[] = [
  { what: 'an unknown field', body: { title: 'x', colour: 1 }, ...invalid, pointer: '/colour' },
  {
    what: 'an unknown field inside',
    body: { title: 'x', backoff: { base: 1 } },
    ...invalid,
    pointer: '/backoff/base',
  },
  { what: 'a wrong type', body: { title: 7 }, ...invalid, pointer: '/title' },
  { what: 'a missing field', body: {}, ...invalid, pointer: '/title' },
  { what: 'a text that is too long', body: { title: 'x'.repeat(501) }, ...invalid, pointer: '/title' },
  { what: 'a task body over 64 KiB', body: { title: 'x', body: 'é'.repeat(40_000) }, ...invalid },
  { what: 'a payload over 256 KiB', body: { title: 'x', payload: 'x'.repeat(262_144) }, ...invalid },
  { what: 'a priority out of range', body: { title: 'x', priority: 1_000_001 }, ...invalid },
  { what: 'a priority that is no integer', body: { title: 'x', priority: 0.5 }, ...invalid },
  { what: 'a number like 1e400', ...text('{"title":"x","priority":1e400}'), ...invalid },
  { what: 'a bad lane name', body: { title: 'x', lane: 'Factory Line' }, ...invalid },
  { what: 'a date of the year 0000', body: { title: 'x', run_at: '0000-01-01T00:00:00Z' }, ...invalid },
  { what: 'a date before 1970', body: { title: 'x', run_at: '1969-12-31T23:59:59Z' }, ...invalid },
  { what: 'a 30th of February', body: { title: 'x', run_at: '2027-02-30T00:00:00Z' }, ...invalid },
  { what: 'a date without a zone', body: { title: 'x', run_at: '2027-02-03T00:00:00' }, ...invalid },
  {
    what: 'a date whose UTC lies after the year 9999',
    body: { title: 'x', run_at: '9999-12-31T23:59:59-01:00' },
    ...invalid,
  },
  {
    what: 'an offset that Postgres does not know',
    body: { title: 'x', run_at: '2030-01-01T00:00:00+23:59' },
    ...invalid,
  },
  {
    what: 'a date with a thousand decimals',
    body: { title: 'x', run_at: `2030-01-01T00:00:00.${'1'.repeat(1000)}Z` },
    ...invalid,
  },
  {
    what: 'run_at and status',
    body: { title: 'x', status: 'triage', run_at: '2030-01-01T00:00:00Z' },
    ...invalid,
  },
  { what: 'a status that is not a beginning', body: { title: 'x', status: 'done' }, ...invalid },
  {
    what: 'an external_ref that looks like an id',
    body: { title: 'x', external_ref: 'task_1' },
    ...invalid,
  },
  {
    what: 'an external_ref that is no path segment',
    body: { title: 'x', external_ref: 'a/b' },
    ...invalid,
  },
  {
    what: 'too many labels',
    body: { title: 'x', labels: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`l${n}`, ''])) },
    ...invalid,
  },
  { what: 'a NUL in a text', ...text('{"title":"a\\u0000b"}'), ...invalid, pointer: '/title' },
  { what: 'a NUL in a key', ...text('{"title":"a","labels":{"\\u0000":"x"}}'), ...invalid },
  { what: 'a lone surrogate', ...text('{"title":"\\ud800"}'), ...invalid, pointer: '/title' },
  {
    what: 'a lone surrogate deep in a payload',
    ...text('{"title":"x","payload":[{"a/b":"\\udfff"}]}'),
    ...invalid,
    pointer: '/payload/0/a~1b',
  },
  { what: 'a __proto__', ...text('{"title":"x","__proto__":{"lane":"y"}}'), ...invalid },
  {
    what: 'a __proto__ in a payload',
    ...text('{"title":"x","payload":{"\\u005f_proto__":1}}'),
    ...invalid,
  },
  {
    what: 'deep nesting',
    ...text(`{"title":"x","payload":${'['.repeat(5000)}${']'.repeat(5000)}}`),
    ...invalid,
  },
  { what: 'an array', body: [], ...invalid },
  { what: 'a bare null', ...text('null'), ...invalid },
  { what: 'no body', ...invalid },
  { what: 'an empty body', ...text(''), ...invalid },
  { what: 'broken JSON', ...text('{"title":'), ...notJson },
  { what: 'trailing garbage', ...text('{"title":"x"} {}'), ...notJson },
  { what: 'a raw NUL', ...bytes('{"title":"', 0, '"}'), ...notJson },
  { what: 'invalid UTF-8', ...bytes('{"title":"', 0xc3, 0x28, '"}'), ...notJson },
  { what: 'UTF-8 of a surrogate', ...bytes('{"title":"', 0xed, 0xa0, 0x80, '"}'), ...notJson },
  { what: 'UTF-16', ...bytes(0xff, 0xfe, '{', 0, '}', 0), ...notJson },
  {
    what: 'another content type',
    ...text('{"title":"x"}'),
    headers: { 'Content-Type': 'text/plain' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    what: 'a form',
    ...text('title=x'),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    status: 415,
    code: 'unsupported_media_type',
  },
  { what: 'a body of 2 MiB', ...text('x'.repeat(2 * 1024 * 1024)), status: 413, code: 'payload_too_large' },
  {
    what: 'a batch over 8 MiB',
    path: BATCH,
    ...text('x'.repeat(8 * 1024 * 1024 + 1)),
    status: 413,
    code: 'payload_too_large',
  },
  {
    what: 'a batch of 1,001 tasks',
    path: BATCH,
    body: { tasks: Array.from({ length: 1001 }, () => ({ title: 'x' })) },
    ...invalid,
  },
  {
    what: 'an unknown parameter of the query, whatever its name',
    method: 'GET',
    path: `${TASKS}?__proto__=1`,
    ...invalid,
    pointer: '/__proto__',
  },
  { what: 'an empty batch', path: BATCH, body: { tasks: [] }, ...invalid },
  {
    what: 'a lease of a second too much',
    method: 'PUT',
    path: LANE,
    body: { lease_seconds: 86_401 },
    ...invalid,
  },
  {
    what: 'spawn on a persistent lane',
    method: 'PUT',
    path: LANE,
    body: { spawn: { argv: ['x'] } },
    ...invalid,
  },
  {
    what: 'an unknown setting',
    method: 'PUT',
    path: '/v1/boards/other',
    body: { settings: { x: 1 } },
    ...invalid,
  },
];

const HEADERS: readonly Bad[] = [
  {
    what: 'an Idempotency-Key with spaces',
    body: { title: 'x' },
    headers: { 'Idempotency-Key': 'a b' },
    ...invalid,
  },
  {
    what: 'an Idempotency-Key that is too long',
    body: { title: 'x' },
    headers: { 'Idempotency-Key': 'k'.repeat(256) },
    ...invalid,
  },
  {
    what: 'a credential of 9 kB',
    path: '/v1/boards',
    method: 'GET',
    token: 'x'.repeat(9000),
    status: 401,
    code: 'unauthenticated',
  },
];
for (const tag of ['3', '"three"', 'W/"3"', '"3", "4"', '""', '"99999999999"'])
  (HEADERS as Bad[]).push({
    what: `If-Match: ${tag}`,
    method: 'PATCH',
    path: '/v1/boards/default',
    body: { title: 'x' },
    headers: { 'If-Match': tag },
    ...invalid,
  });

async function expectRefused({ what, method, path, status, code, pointer, ...options }: Bad): Promise<void> {
  const before = await bench.footprint();
  const answer = await bench.api.call(method ?? 'POST', path ?? TASKS, options);
  expect({ what, status: answer.status, code: answer.code }).toEqual({ what, status, code });
  if (pointer !== undefined) expect(answer.body.errors).toContainEqual(expect.objectContaining({ pointer }));
  expect(await bench.footprint(), what).toEqual(before);
}

describe('a request with a bad body is refused with its code, and writes nothing', () => {
  test.each(BODIES)('$what', expectRefused);
});

test.each(['', ' ', '\n\t \u00a0'])(
  'a steering message of white space only (%j) is refused',
  async (message) => {
    const { id } = await bench.makeTask('default');
    await expectRefused({
      what: 'a blank message',
      path: `${TASKS}/${id}/steer`,
      body: { message },
      ...invalid,
      pointer: '/message',
    });
  },
);

describe('a request with a bad header is refused with its code, and writes nothing', () => {
  test.each(HEADERS)('$what', expectRefused);
});

describe('a long header', () => {
  test('that nobody looks at harms nothing', async () => {
    const answer = await bench.api.get('/v1/boards', { headers: { 'X-Anything': 'x'.repeat(9000) } });
    expect(answer.status).toBe(200);
  });
});

describe('text at the edge of what can be stored', () => {
  test('comes back as it was sent', async () => {
    const title = '👩‍🚀 \u{10ffff} \ufffe \u0001 \\u0000 "quoted" </script> \u2028';
    const payload = { 'a/b~c': [title, 1e308, -0.5, 2 ** 53 - 1, null, { constructor: 1, toString: 'x' }] };
    const made = await bench.api.post(TASKS, { title, payload, labels: { constructor: 'x' } });
    expect(made.status).toBe(201);
    const read = await bench.api.get(`${TASKS}/${made.body.task.id}`);
    expect(read.body.task).toMatchObject({ title, payload, labels: { constructor: 'x' } });
  });

  test('in a date of the year 9999 or of any offset is kept as that instant', async () => {
    for (const [run_at, kept] of [
      ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
      ['2099-06-01T12:00:00+05:30', '2099-06-01T06:30:00.000Z'],
    ]) {
      const made = await bench.api.post(TASKS, { title: 'x', run_at });
      expect(made.body.task).toMatchObject({ status: 'scheduled', run_at: kept });
    }
  });
});
