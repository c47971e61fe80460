/**
 * The socket's side of the matrix: who may open one, and what each kind of frame does for whom. The kinds come from the contract: one that
 * this file says nothing about fails here.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { ClientFrame, RunFrame } from '../../src/contract/frames.ts';
import { formatCursor } from '../../src/server/kernel/cursor.ts';
import { useBench } from '../fixtures/bench.ts';
import { PushWorker } from '../fixtures/push-worker.ts';
import { openSocket, type WatchSocket } from '../fixtures/watch-socket.ts';
import { upgrade } from './raw-upgrade.ts';
import { outcomeOf } from './requests.ts';
import {
  CALLERS,
  type Caller,
  type CallerName,
  deedsIn,
  faceOf,
  MARKERS,
  makeWorld,
  maySee,
  type World,
  withoutNames,
} from './world.ts';

const bench = useBench();
let world: World;

beforeAll(async () => {
  world = await makeWorld(bench);
});

/** Those who may open a socket on the own board. */
const INSIDERS = [
  'admin',
  'boardAdmin',
  'orchestrator',
  'observer',
  'ownLane',
  'otherLane',
  'ownClaim',
  'otherClaim',
  'endedClaim',
] as const satisfies readonly CallerName[];

const RUN_BODIES: Readonly<Record<RunFrame['type'], object>> = {
  heartbeat: {},
  complete: { summary: 'x' },
  'request-changes': { reason: 'x' },
  block: { reason: 'x' },
  release: {},
  fail: { error: 'x' },
  output: { lines: ['x'] },
  ack: { ids: ['msg_01jcqk0v3te8sr3x6y9m2b4n5p'] },
};
const RUN_TYPES = Object.keys(RUN_BODIES) as RunFrame['type'][];

async function open(caller: Caller): Promise<PushWorker> {
  return new PushWorker(await openSocket(bench.server, 'own', { token: caller.token }), caller.lane ?? '');
}

test('every kind of frame is spoken of here', () => {
  const kinds = (options: readonly { shape: { type: { value: string } } }[]) =>
    options.map((option) => option.shape.type.value).toSorted();
  expect(kinds(RunFrame.options)).toEqual(RUN_TYPES.toSorted());
  expect(kinds(ClientFrame.options)).toEqual(
    ['watch', 'unwatch', 'hello', 'credit', 'claim_ack', ...RUN_TYPES].toSorted(),
  );
});

describe('an upgrade', () => {
  test('is accepted on a board that the caller sees and on no other, and a foreign board looks like a missing one', async () => {
    const { own, foreign, missing } = world.places;
    const outcomes: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const caller of CALLERS.map((name) => world.callers[name])) {
      for (const place of [own, foreign]) {
        const answer = await upgrade(bench.server, `/v1/boards/${place.board}/watch`, caller.token);
        const cell = `${caller.name} on ${place.board}`;
        outcomes[cell] = outcomeOf(answer);
        expected[cell] = caller.refusal ?? (maySee(caller, place) ? 'allowed' : 'hidden board');
        for (const marker of Object.values(MARKERS))
          expect(JSON.stringify(answer.body)).not.toContain(marker);
      }
      if (maySee(caller, foreign)) continue;
      const [there, nowhere] = [
        await upgrade(bench.server, '/v1/boards/foreign/watch', caller.token),
        await upgrade(bench.server, '/v1/boards/missing/watch', caller.token),
      ];
      expect([caller.name, faceOf(there, foreign)]).toEqual([caller.name, faceOf(nowhere, missing)]);
    }
    expect(outcomes).toEqual(expected);
  });
});

describe('a hello and its credits', () => {
  test('are for keys of that lane and for admins', async () => {
    const outcomes: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const name of INSIDERS) {
      const caller = world.callers[name];
      for (const lane of [world.places.own.lane, 'other']) {
        const socket = await open(caller);
        const cell = `${name} for ${lane}`;
        const early = await socket.ask('credit', { lane, credits: 1 });
        const hello = await socket.ask('hello', { lane, worker: `imposter-${name}` });
        const credit = await socket.ask('credit', { lane, credits: 0 });
        const mayGreet = caller.role === 'admin' || (caller.role === 'lane' && caller.lane === lane);
        outcomes[cell] = [codeOf(early), codeOf(hello), codeOf(credit)];
        const refused = caller.role === 'claim' ? 'forbidden' : 'invalid_request';
        expected[cell] = [refused, mayGreet ? 'ok' : 'forbidden', mayGreet ? 'ok' : refused];
        socket.socket.close();
      }
    }
    expect(outcomes).toEqual(expected);
  });
});

describe('a verb of a holder', () => {
  test('without a token is refused to every socket that is not the claim’s, whichever run it names', async () => {
    const { own, foreign, missing } = world.places;
    const before = await deedsIn(bench);
    for (const name of INSIDERS) {
      const caller = world.callers[name];
      const socket = await open(caller);
      for (const type of RUN_TYPES) {
        const ask = async (run_id: string) => {
          const { id: _id, ...reply } = await socket.ask(type, { run_id, ...RUN_BODIES[type] });
          return reply;
        };
        const [there, nowhere] = [await ask(foreign.run), await ask(missing.run)];
        expect([name, type, codeOf(there)]).toEqual([name, type, 'not_your_claim']);
        expect(withoutNames(there, foreign)).toBe(withoutNames(nowhere, missing));
        if (caller.run !== own.run)
          expect([name, type, codeOf(await ask(own.run))]).toEqual([name, type, 'not_your_claim']);
      }
      socket.socket.send({ type: 'claim_ack', run_id: foreign.run });
      // A barrier: by its answer the ack before it was handled.
      await socket.ask('unwatch', {});
      expect(JSON.stringify(socket.socket.frames)).not.toContain(MARKERS.foreign);
    }
    expect(await deedsIn(bench)).toEqual(before);
  });

  test('with a token is for the run of the token, on its board', async () => {
    const { own, foreign, missing } = world.places;
    const before = await deedsIn(bench);
    const tokenOf = (name: CallerName): string => world.callers[name].token ?? '';
    const cases: [string, string, string, string][] = [
      ['another run’s', tokenOf('otherClaim'), own.run, 'not_your_claim'],
      ['a good one for a foreign run', tokenOf('ownClaim'), foreign.run, 'not_your_claim'],
      ['a good one for no run', tokenOf('ownClaim'), missing.run, 'not_your_claim'],
      ['a good one of another board', tokenOf('foreignClaim'), foreign.run, 'not_your_claim'],
      ['an expired one', tokenOf('expiredClaim'), own.run, 'token_expired'],
      ['an API key', tokenOf('admin'), own.run, 'unauthenticated'],
      ['garbage', 'garbage', own.run, 'unauthenticated'],
    ];
    for (const name of ['admin', 'observer', 'ownLane', 'ownClaim'] as const) {
      const socket = await open(world.callers[name]);
      for (const [what, token, run_id, code] of cases) {
        for (const type of RUN_TYPES) {
          const reply = await socket.ask(type, { run_id, token, ...RUN_BODIES[type] });
          expect([name, what, type, codeOf(reply)]).toEqual([name, what, type, code]);
        }
      }
      expect(JSON.stringify(socket.socket.frames)).not.toContain(MARKERS.foreign);
    }
    expect(await deedsIn(bench)).toEqual(before);
  });

  test('works for the claim’s own socket and token, as the control of all that', async () => {
    const own = await open(world.callers.ownClaim);
    expect(codeOf(await own.verb('heartbeat', world.own))).toBe('ok');
    const observer = await open(world.callers.observer);
    expect(codeOf(await observer.verb('heartbeat', world.own, { token: world.own.token }))).toBe('ok');
  });
});

describe('a watch', () => {
  test('takes no cursor of another board, and says of one what it says of an invented one', async () => {
    const theirs = (await bench.api.get('/v1/boards/foreign')).body.board.cursor;
    const invented = formatCursor({ boardId: 2_000_000_000, incarnation: 'abcdefgh', seq: 1 });
    const socket = await open(world.callers.observer);
    const answers: unknown[] = [];
    for (const after of [theirs, invented]) {
      const { id: _id, ...answer } = await socket.ask('watch', { after });
      expect(answer).toMatchObject({ ok: false, code: 'invalid_cursor' });
      answers.push(answer);
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  test('shows nothing of another board, to a claim only its own task, and to nobody what is meant for a worker', async () => {
    const { own, foreign } = world.places;
    // As the control: the socket that it is all meant for.
    const worker = await open(world.callers.ownLane);
    await worker.ask('hello', { lane: own.lane, worker: world.own.worker });
    const sockets = new Map<CallerName, PushWorker>();
    for (const name of INSIDERS) {
      const opened = await open(world.callers[name]);
      sockets.set(name, opened);
      const everything = { after: 'start', output: true };
      await opened.socket.watch({ id: 'all', ...everything });
      await opened.socket.watch({
        id: 'theirs',
        ...everything,
        tasks: [foreign.task],
        lanes: [foreign.lane],
      });
      await opened.socket.watch({ id: 'other', ...everything, tasks: [world.callers.otherClaim.task] });
    }
    for (const claim of [
      world.foreign,
      world.own,
      { run_id: world.callers.otherClaim.run, token: world.callers.otherClaim.token ?? '' },
    ])
      await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/output`, { lines: [MARKERS.foreign] });
    await bench.api.post(`/v1/boards/own/tasks/${own.task}/steer`, { message: 'for its worker' });
    await bench.api.post(`/v1/boards/own/tasks/${own.task}/cancel`, {
      reason: 'for its worker',
      deadline_seconds: 3600,
    });
    // What comes after everything above, for each of them.
    const barriers = [own.task, world.ended.task.id, world.callers.otherClaim.task];
    for (const task of barriers)
      await bench.api.post(`/v1/boards/own/tasks/${task}/comments`, { body: 'barrier' });
    for (const kind of ['steer', 'cancel'] as const) await worker.socket.frame(kind);
    await sockets.get('observer')?.socket.frame('output', (frame) => frame.task_id === own.task);
    const last = world.callers.otherClaim.task;
    for (const [name, { socket }] of sockets) {
      const { task = last } = world.callers[name];
      await socket.event('all', (event) => event.kind === 'task.commented' && event.task_id === task);
      expectOnlyOwn(world.callers[name], socket);
    }
  });
});

function expectOnlyOwn({ name, role, task }: Caller, socket: WatchSocket): void {
  const tasksOf = (id: string) => new Set(socket.events(id).map((event) => event.task_id));
  const { foreign } = world.places;
  const { otherClaim } = world.callers;
  if (role === 'claim') expect([name, tasksOf('all')]).toEqual([name, new Set([task])]);
  expect([name, tasksOf('theirs')]).toEqual([name, new Set()]);
  const ofOther = role === 'claim' && task !== otherClaim.task ? [] : [otherClaim.task];
  expect([name, tasksOf('other')]).toEqual([name, new Set(ofOther)]);
  const kinds = socket.frames.map((frame) => frame.type);
  for (const kind of ['claim', 'cancel', 'steer'] as const)
    expect({ name, has: kinds.includes(kind) }).toEqual({ name, has: false });
  for (const output of socket.framesOf('output')) {
    expect([name, output.id, output.task_id]).not.toEqual([name, 'theirs', expect.anything()]);
    expect([name, output.task_id]).not.toEqual([name, foreign.task]);
    if (role === 'claim') expect([name, output.task_id]).toEqual([name, task]);
  }
}

function codeOf(reply: { readonly ok: boolean } & Readonly<Record<string, unknown>>): unknown {
  if (reply.ok) return 'ok';
  const problem = reply['problem'] as { readonly code: string } | undefined;
  return problem?.code ?? reply['code'];
}
