import { beforeAll, describe, expect, test } from 'vitest';
import type { PushedClaim } from '../../../../src/contract/frames.ts';
import { makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdComments, holdGate, untilStanding } from '../../../fixtures/held-lock.ts';
import { openWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { startTestServer, type TestServer, useTestServer } from '../../../fixtures/server.ts';

/** Instead of five seconds; longer than a test needs to acknowledge what it wants to keep. */
const SHORT_ACK_MS = 400;

let database: TestDatabase;
let server: TestServer;
let impatient: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  impatient = await startTestServer(database.url, {}, { claimAckMs: SHORT_ACK_MS });
  return async () => {
    await Promise.all([server.stop(), impatient.stop()]);
    await database.drop();
  };
});

/** A board with a push lane, on the server with the usual time for a claim_ack. */
const patientBoard = async (): Promise<TestBoard> => pushLane(await makeBoard(server));

async function expectReleased(board: TestBoard, { task, attempt }: PushedClaim, why: RegExp): Promise<void> {
  const run = await eventually('the run is over', async () =>
    (await board.runs(task.id)).find((entry) => entry.attempt === attempt && entry.outcome !== null),
  );
  expect(run).toMatchObject({ outcome: 'released', ended_by: { type: 'system', id: 'delivery' } });
  expect(run?.error).toMatch(why);
  expect((await board.read(task.id)).consecutive_failures).toBe(0);
}

describe('a pushed claim that is not acknowledged in time', () => {
  test('is released, not failed, and goes to another worker; a late claim_ack is told so', async () => {
    const board = await pushLane(await makeBoard(impatient));
    const silent = await openWorker(board);
    await silent.credit(5);
    await board.task('work');
    const lost = await silent.claim();
    const second = await openWorker(board);
    await second.credit(1);
    const taken = await second.claim();
    second.acknowledge(taken);
    expect([taken.task.id, taken.attempt]).toEqual([lost.task.id, 2]);
    await expectReleased(board, lost, /not acknowledged in time/);
    // It has credits left, but nothing comes to a worker that does not answer.
    expect(silent.claims).toHaveLength(1);
    silent.acknowledge(lost);
    expect(await silent.socket.frame('error')).toMatchObject({ code: 'claim_lost', run_id: lost.run_id });
    expect(await silent.verb('complete', lost)).toMatchObject({
      ok: false,
      problem: { code: 'claim_lost', reason: 'released' },
    });
    // Now that it has been heard of, its credits count again.
    await board.task('work');
    await silent.untilClaims(2);
  });

  test('is kept when a claim_ack or any verb of the worker came before', async () => {
    const board = await pushLane(await makeBoard(impatient));
    const worker = await openWorker(board);
    await board.tasks('work', 4);
    await worker.credit(4);
    const [acknowledged, beaten, done, forgotten] = await worker.untilClaims(4);
    if (!acknowledged || !beaten || !done || !forgotten) throw new Error('there are four');
    worker.acknowledge(acknowledged);
    worker.acknowledge(acknowledged);
    expect(await worker.verb('heartbeat', beaten)).toMatchObject({ ok: true });
    expect(await worker.verb('complete', done)).toMatchObject({ ok: true });
    await expectReleased(board, forgotten, /not acknowledged/);
    for (const claim of [acknowledged, beaten])
      expect(await board.read(claim.task.id)).toMatchObject({ status: 'running', attempt: 1 });
    expect(worker.socket.framesOf('error')).toEqual([]);
  });
});

test('a pushed claim that its worker beats over HTTP, with the token, is not released for a missing claim_ack', async () => {
  const board = await pushLane(await makeBoard(impatient));
  const worker = await openWorker(board, { tokens: true });
  await board.tasks('work', 2);
  await worker.credit(2);
  const [beaten, forgotten] = await worker.untilClaims(2);
  if (!beaten?.token || !forgotten) throw new Error('there are two');
  const { status } = await board.server.call('POST', `/v1/runs/${beaten.run_id}/heartbeat`, {
    token: beaten.token,
    body: {},
  });
  expect(status).toBe(200);
  await expectReleased(board, forgotten, /not acknowledged/);
  expect(await board.read(beaten.task.id)).toMatchObject({ status: 'running', attempt: 1 });
  worker.socket.close();
  expect(
    await board.server.call('POST', `/v1/runs/${beaten.run_id}/complete`, { token: beaten.token, body: {} }),
  ).toMatchObject({ status: 200 });
});

describe('when its socket closes', () => {
  test('a worker keeps what it acknowledged; the rest is ready again at once, and its credits are gone', async () => {
    const board = await patientBoard();
    const worker = await openWorker(board);
    await board.tasks('work', 2);
    await worker.credit(10);
    const [kept, lost] = await worker.untilClaims(2);
    if (!kept || !lost) throw new Error('there are two');
    expect(await worker.verb('heartbeat', kept)).toMatchObject({ ok: true });
    worker.socket.close();
    await expectReleased(board, lost, /socket closed/);
    const second = await openWorker(board);
    await second.credit(10);
    await second.untilClaims(1);
    await board.task('work', { title: 'new' });
    await second.untilClaims(2);
    expect(second.claims.map((claim) => claim.task.id)).toContain(lost.task.id);
    expect(await board.read(kept.task.id)).toMatchObject({ status: 'running', attempt: 1 });
  });

  test('while a task is being claimed for it, the task is ready again at once', async () => {
    const board = await patientBoard();
    const worker = await openWorker(board);
    const task = await board.task('work');
    const gate = await holdGate(database.sql);
    try {
      await worker.credit(1);
      await untilStanding(database.sql, 'claims.claim', 'gate');
      worker.socket.close();
      // By the time that a new socket has been greeted, the server has seen the old one go.
      await openWorker(board);
    } finally {
      await gate.release();
    }
    await board.until(
      task.id,
      (current) => current.attempt === 1 && current.status === 'ready',
      'was returned',
    );
    expect((await board.runs(task.id))[0]).toMatchObject({ outcome: 'released' });
  });
});

describe('when its socket closes while a claimed task is being read for it', () => {
  test('the task is ready again at once', async () => {
    const board = await patientBoard();
    const task = await board.task('work');
    // A comment is part of the handoff: it is read after the claim, and nothing else of a claim needs its table.
    await board.operate(task.id, 'comments', { body: 'a past' });
    const worker = await openWorker(board);
    const comments = await holdComments(database.sql);
    try {
      await worker.credit(1);
      await board.untilStatus(task.id, 'running');
      worker.socket.close();
      await openWorker(board);
    } finally {
      await comments.release();
    }
    await board.untilStatus(task.id, 'ready');
    expect((await board.runs(task.id))[0]).toMatchObject({ outcome: 'released' });
  });
});

describe('when its server stops', () => {
  test('a worker is told with 1012, and what it has not acknowledged is ready again', async () => {
    const board = await patientBoard();
    const stopping = await useTestServer(database.url);
    const worker = await openWorker(board.through(stopping));
    await board.tasks('work', 3);
    await worker.credit(2);
    const [kept, lost] = await worker.untilClaims(2);
    if (!kept || !lost) throw new Error('there are two');
    expect(await worker.verb('heartbeat', kept)).toMatchObject({ ok: true });
    await stopping.stop();
    expect((await worker.socket.closed()).code).toBe(1012);
    await expectReleased(board, lost, /server stopped/);
    expect(await board.read(kept.task.id)).toMatchObject({ status: 'running' });
  });

  test('what is being claimed at that moment is ready again too', async () => {
    const board = await patientBoard();
    const stopping = await useTestServer(database.url);
    const worker = await openWorker(board.through(stopping));
    const task = await board.task('work');
    const gate = await holdGate(database.sql);
    let stopped: Promise<void> = Promise.resolve();
    try {
      await worker.credit(1);
      await untilStanding(database.sql, 'claims.claim', 'gate');
      stopped = stopping.stop();
    } finally {
      await gate.release();
    }
    await stopped;
    expect(await board.read(task.id)).toMatchObject({ status: 'ready', attempt: 1 });
    expect((await board.runs(task.id))[0]).toMatchObject({ outcome: 'released' });
    expect(worker.claims).toEqual([]);
  });
});
