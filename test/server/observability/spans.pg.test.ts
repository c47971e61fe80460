/** With an OpenTelemetry SDK in the process, the server tells of claims, runs, deliveries, sockets and requests, in the trace of whoever made the task. */
import { trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { ADMIN_KEY, startTestServer, type TestServer } from '../../fixtures/server.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const headers = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` };

const exporter = new InMemorySpanExporter();
let database: TestDatabase;
let server: TestServer;
let board: TestBoard;

beforeAll(async () => {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  board = await makeBoard(server);
  await board.lane('work');
});
afterAll(async () => {
  trace.disable();
  await server.stop();
  await database.drop();
});

/** The next of that name that is about this. */
function span(name: string, attributes: Readonly<Record<string, unknown>>): Promise<ReadableSpan> {
  return eventually(`a span ${name}`, () =>
    exporter
      .getFinishedSpans()
      .find(
        (candidate) =>
          candidate.name === name &&
          Object.entries(attributes).every(([key, value]) => candidate.attributes[key] === value),
      ),
  );
}

const traceIdOf = (found: ReadableSpan): string => found.spanContext().traceId;
const msOf = ({ duration: [seconds, nanoseconds] }: ReadableSpan): number =>
  seconds * 1000 + nanoseconds / 1e6;

async function claimed(body: Readonly<Record<string, unknown>> = {}) {
  const answer = await board.call('POST', '/tasks', { body: { title: 'x', lane: 'work', ...body }, headers });
  const { id } = expectStatus(answer, 201).body.task;
  const taken = await board.claims('work', { task_id: id });
  return expectStatus(taken, 200).body.claims[0];
}

test('a claim and its run are in the trace of the request that created the task, and last as long as they did', async () => {
  const claim = await claimed();
  expectStatus(await endClaim(server, claim, 'complete', {}), 200);
  const about = {
    'lanekeeper.run': claim.run_id,
    'lanekeeper.task': claim.task.id,
    'lanekeeper.lane': 'work',
  };
  const wait = await span('lanekeeper.claim', about);
  const run = await span('lanekeeper.run', { ...about, 'lanekeeper.outcome': 'completed' });
  expect([wait, run].map(traceIdOf)).toEqual([TRACE_ID, TRACE_ID]);
  expect(run.status.code).toBe(0);
  const stored = (await board.runs(claim.task.id))[0];
  expect(msOf(run)).toBeCloseTo(Date.parse(stored?.ended_at ?? '') - Date.parse(stored?.started_at ?? ''), 0);
});

test('a run that failed, and one that ran out of its lease, is an error', async () => {
  const failed = await claimed();
  expectStatus(await endClaim(server, failed, 'fail', { error: 'no' }), 200);
  const lapsed = await claimed();
  await database.sql`
    UPDATE claims SET lease_expires_at = clock_timestamp() WHERE run_id = (SELECT run_id FROM claims ORDER BY claimed_at DESC LIMIT 1)`;
  for (const [claim, outcome] of [
    [failed, 'failed'],
    [lapsed, 'crashed'],
  ]) {
    const run = await span('lanekeeper.run', { 'lanekeeper.run': claim.run_id });
    expect([traceIdOf(run), run.attributes['lanekeeper.outcome'], run.status.message]).toEqual([
      TRACE_ID,
      outcome,
      outcome,
    ]);
  }
});

test('a delivery is in the trace of its task, from the event to the ack', async () => {
  const claim = await claimed({ origin: { platform: 'discord', chat_id: '1' } });
  expectStatus(await endClaim(server, claim, 'complete', {}), 200);
  const taken = await board.call('POST', '/deliveries/claims', { body: {} });
  const [delivery] = expectStatus(taken, 200).body.deliveries;
  const ack = await server.call('POST', `/v1/deliveries/${delivery.id}/ack`, {
    body: { lease_id: delivery.lease_id },
  });
  expectStatus(ack, 200);
  const told = await span('lanekeeper.delivery', { 'lanekeeper.delivery': delivery.id });
  expect([traceIdOf(told), told.attributes['lanekeeper.event']]).toEqual([TRACE_ID, 'task.completed']);
});

test('a request is a span of its caller, without what it said, and a socket one from open to close', async () => {
  await board.call('GET', '/tasks?limit=3', { headers });
  const asked = await span('listTasks', { 'http.response.status_code': 200 });
  expect(traceIdOf(asked)).toBe(TRACE_ID);
  expect(asked.attributes['http.route']).toBe('/v1/boards/{board}/tasks');
  expect(JSON.stringify(asked.attributes)).not.toContain('limit=3');

  const over = new AbortController();
  const client = connect({ url: server.url, token: ADMIN_KEY, board: board.name });
  const onState = (state: string): void => {
    if (state === 'live') over.abort();
  };
  for await (const _ of client.watch({ onState }, over.signal));
  expect(msOf(await span('lanekeeper.watch', { 'lanekeeper.board': board.name }))).toBeGreaterThan(0);
});
