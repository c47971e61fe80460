import { describe, expect, test } from 'vitest';
import { AnswerCheck } from './answer-check.ts';
import { readApiDocument } from './api-document.ts';
import type { HttpAnswer, HttpRequest } from './sender.ts';

const check = new AnswerCheck(readApiDocument());
const ID = '018f3f5e-7b1c-7c3a-9d2e-4f5a6b7c8d9e';
const sent: HttpRequest = {
  method: 'GET',
  target: '/v1/boards/default',
  headers: { 'X-Request-Id': ID },
  body: null,
};

const counts = Object.fromEntries(
  'triage todo scheduled ready running blocked review done cancelled archived'
    .split(' ')
    .map((name) => [name, 0]),
);
const settings = {
  paused: false,
  stranded_after_seconds: 600,
  delegation_capacity: 4,
  synthesizer_lane: null,
  synthesize_platforms: [],
  default_owner: null,
  retention: {
    events_seconds: null,
    finished_tasks_seconds: null,
    runs_seconds: null,
    output_seconds: null,
    deliveries_seconds: null,
    messages_seconds: null,
  },
};
const board = {
  name: 'default',
  title: null,
  description: null,
  settings,
  counts,
  cursor: 'x',
  version: 1,
  created_at: '2026-01-05T10:00:00.000Z',
  updated_at: '2026-01-05T10:00:00.000Z',
};
const problem = {
  type: 'https://lanekeeper.dev/errors/not_found',
  title: 'There is no such resource',
  status: 404,
  detail: 'There is no board "default".',
  instance: `urn:uuid:${ID}`,
  code: 'not_found',
  resource: 'board',
};

function answer(status: number, body: unknown, headers: Record<string, string> = {}): HttpAnswer {
  const contentType = status < 400 ? 'application/json' : 'application/problem+json';
  return {
    status,
    headers: { 'x-request-id': ID, etag: '"1"', 'content-type': contentType, ...headers },
    text: JSON.stringify(body),
  };
}

const complaint = (given: HttpAnswer): string | null => check.complaint('getBoard', sent, given);

describe('an answer that openapi.yaml declares', () => {
  test('is no cause for complaint', () => {
    expect(complaint(answer(200, { board }))).toBeNull();
    expect(complaint(answer(404, problem))).toBeNull();
  });

  // Whatever the fuzz is to find must be found: each of these was right above.
  test.each([
    ['a 5xx', answer(500, { ...problem, status: 500, code: 'internal' })],
    ['a status that is not declared', answer(418, problem)],
    ['a field that is not declared', answer(200, { board: { ...board, secret: 1 } })],
    ['a missing field', answer(200, { board: { ...board, version: undefined } })],
    ['a field of another type', answer(200, { board: { ...board, version: '1' } })],
    ['an undeclared member of a problem', answer(404, { ...problem, sql: 'SELECT' })],
    ['a problem of another status', answer(404, { ...problem, status: 409 })],
    ['a code that this status does not have', answer(404, { ...problem, code: 'forbidden' })],
    ["another request's id as the instance", answer(404, { ...problem, instance: 'urn:uuid:x' })],
    ['a request id that is not echoed', answer(200, { board }, { 'x-request-id': ID.replace('0', '1') })],
    ['another media type', answer(200, { board }, { 'content-type': 'text/html' })],
    ['a body that is no JSON', { ...answer(200, { board }), text: '<html>' }],
    ['no ETag', { ...answer(200, { board }), headers: { ...answer(200, 0).headers, etag: undefined } }],
  ])('is not one with %s', (_, given) => {
    expect(complaint(given)).not.toBeNull();
  });
});

test('where the document has nothing, only a problem may be answered', () => {
  expect(check.complaint(null, sent, answer(404, problem))).toBeNull();
  expect(check.complaint(null, sent, answer(200, { board }))).not.toBeNull();
});

test('a body that the document refuses is known as one', () => {
  expect(check.refusesBody('createTask', { title: 'x' })).toBe(false);
  for (const body of [{}, { title: '' }, { title: 'x', unknown: 1 }, { title: 'x', priority: 0.5 }, [], null])
    expect(check.refusesBody('createTask', body), JSON.stringify(body)).toBe(true);
});
