import { beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../../../src/contract/route.ts';
import { ROUTES } from '../../../../src/contract/routes.ts';
import { useBench } from '../../../fixtures/bench.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';

/**
 * Every route × every kind of principal × own and foreign board. A body that no route takes tells "admitted" (400) from "refused"
 * without doing anything; a route without a body is really called.
 */
const bench = useBench();

const PRINCIPALS = [
  'none',
  'garbage',
  'admin',
  'boardAdmin',
  'orchestrator',
  'observer',
  'ownLane',
  'otherLane',
  'ownClaim',
  'otherClaim',
] as const;
type Name = (typeof PRINCIPALS)[number];

const ADMINS: Name[] = ['admin', 'boardAdmin'];
const OPERATORS: Name[] = [...ADMINS, 'orchestrator'];
const LANES: Name[] = ['ownLane', 'otherLane'];
const READERS: Name[] = [...OPERATORS, 'observer', ...LANES];
const CLAIMS: Name[] = ['ownClaim', 'otherClaim'];

/** The table of the API's design, line by line. */
const ALLOWED: Readonly<Record<string, readonly Name[]>> = {
  ...forAll(['livez', 'readyz', 'openapiDocument', 'docsPage', 'jwks'], [...PRINCIPALS]),
  ...forAll(['metrics'], ['none', ...OPERATORS, 'observer']),
  ...forAll(['whoami'], [...READERS, ...CLAIMS]),
  ...forAll(['createKey', 'listKeys', 'deleteKey', 'createLaneKey'], ADMINS),
  ...forAll(['rotateSigningKey'], ['admin']),
  ...forAll(['putBoard', 'patchBoard', 'deleteBoard'], ADMINS),
  ...forAll(['listBoards', 'getBoard', 'listLanes', 'getLane', 'listTasks', 'getSnapshot'], READERS),
  ...forAll(['getTask', 'listComments', 'listTaskRuns', 'listTaskEvents'], [...READERS, 'ownClaim']),
  ...forAll(['listEvents'], [...READERS, ...CLAIMS]),
  ...forAll(['putLane', 'patchLane', 'deleteLane', 'pauseLane', 'resumeLane'], OPERATORS),
  ...forAll(['drainLane'], [...OPERATORS, 'ownLane']),
  ...forAll(['createTask', 'createTasks'], [...OPERATORS, ...CLAIMS]),
  ...forAll(['addComment'], [...OPERATORS, 'ownClaim']),
  ...forAll(['patchTask', 'promoteTask', 'unblockTask', 'cancelTask', 'completeTask'], OPERATORS),
  ...forAll(['assignTask', 'archiveTask', 'reopenTask'], OPERATORS),
  ...forAll(['claimTasks'], [...ADMINS, 'ownLane']),
  ...forAll(['batchRuns'], [...ADMINS, ...LANES]),
  ...forAll(['getRun'], [...READERS, 'ownClaim']),
  ...forAll(['heartbeatRun', 'completeRun', 'blockRun', 'releaseRun', 'failRun'], ['ownClaim']),
};
const RUN_VERBS = ['heartbeatRun', 'completeRun', 'blockRun', 'releaseRun', 'failRun'];
/** Refused by the row, which looks like a task that is not there. */
const HIDDEN_FROM_OTHER_CLAIM = ['getTask', 'listComments', 'listTaskRuns', 'listTaskEvents', 'addComment'];

function forAll(operations: readonly string[], names: readonly Name[]): Record<string, readonly Name[]> {
  return Object.fromEntries(operations.map((operation) => [operation, names]));
}

const tokens: Partial<Record<Name, string | null>> = {};
const own = { board: 'own', lane: 'lane', task: '', run: '', key: 'key_01jcqk0v3te8sr3x6y9m2b4n5p' };
const foreign = { board: 'foreign', lane: 'lane', task: '', run: '', key: own.key };

beforeAll(async () => {
  for (const place of [own, foreign]) {
    await bench.api.put(`/v1/boards/${place.board}`);
    await bench.makeLane(place.board, place.lane, { lease_seconds: 3600 });
    await bench.makeLane(place.board, 'other');
    await bench.makeTask(place.board, { lane: place.lane });
    const claim = await bench.claim(place.board, place.lane);
    if (place === own) tokens.ownClaim = claim.token;
    place.task = claim.task.id;
    place.run = claim.run_id;
  }
  await bench.makeTask(own.board, { lane: 'other' });
  tokens.otherClaim = (await bench.claim(own.board, 'other')).token;
  const boards = [own.board];
  tokens.none = null;
  tokens.garbage = 'garbage';
  tokens.admin = (await bench.makeKey({ role: 'admin' })).secret;
  tokens.boardAdmin = (await bench.makeKey({ role: 'admin', boards })).secret;
  tokens.orchestrator = (await bench.makeKey({ role: 'orchestrator', boards })).secret;
  tokens.observer = (await bench.makeKey({ role: 'observer', boards })).secret;
  tokens.ownLane = (await bench.makeKey({ role: 'lane', boards, lane: own.lane })).secret;
  tokens.otherLane = (await bench.makeKey({ role: 'lane', boards, lane: 'other' })).secret;
});

async function ask(route: Route, name: Name, place: Readonly<Record<string, string>>): Promise<CallAnswer> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, part: string) => place[part] ?? part);
  const body = route.operationId === 'addComment' ? { body: 'x' } : { no_such_field: 1 };
  return bench.api.call(route.method.toUpperCase(), path, {
    token: tokens[name] ?? null,
    ...(route.body ? { body } : {}),
  });
}

function outcomeOf(answer: CallAnswer): string {
  const { code } = answer;
  if (answer.status < 400 || code === 'lane_has_claims') return 'allowed';
  // The probe's unknown field, or a key that does not exist: past the gate.
  if (code === 'invalid_request' || (code === 'not_found' && answer.body.resource === 'key'))
    return 'allowed';
  if (code === 'not_found') return `hidden ${answer.body.resource}`;
  return code ?? String(answer.status);
}

function expectedOutcome(route: Route, name: Name): string {
  const { operationId } = route;
  if (ALLOWED[operationId]?.includes(name)) return 'allowed';
  if (name === 'none' || name === 'garbage') return 'unauthenticated';
  if (RUN_VERBS.includes(operationId))
    return name === 'otherClaim' ? 'not_your_claim' : 'claim_token_required';
  if (operationId === 'getRun') return 'not_your_claim';
  if (name === 'otherClaim' && HIDDEN_FROM_OTHER_CLAIM.includes(operationId)) return 'hidden task';
  return 'forbidden';
}

test('the table of this test names every route', () => {
  expect(Object.keys(ALLOWED).toSorted()).toEqual(ROUTES.map(({ operationId }) => operationId).toSorted());
});

describe('on a board of its own, every principal may do what the table says and nothing else', () => {
  // deleteLane of a lane that holds claims and deleteBoard of a board that has some are allowed, and refused by the row.
  test.each(ROUTES.map((route) => [route.operationId, route] as const))('%s', async (_, route) => {
    const outcomes: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const name of PRINCIPALS) {
      outcomes[name] = outcomeOf(await ask(route, name, own));
      expected[name] = expectedOutcome(route, name);
    }
    expect(outcomes).toEqual(expected);
  });
});

describe('on a foreign board, nobody can tell it from one that does not exist', () => {
  const names = PRINCIPALS.filter((name) => !['none', 'garbage', 'admin'].includes(name));
  const missing = {
    board: 'missing',
    lane: 'lane',
    task: 'task_01jcqk0v3te8sr3x6y9m2b4n5p',
    run: 'run_01jcqk0v3te8sr3x6y9m000000',
    key: own.key,
  };
  const boardRoutes = ROUTES.filter((route) => /\{(board|run)\}/.test(route.path));

  test.each(boardRoutes.map((route) => [route.operationId, route] as const))('%s', async (_, route) => {
    for (const name of names) {
      const answers: unknown[] = [];
      for (const place of [foreign, missing]) {
        const answer = await ask(route, name, place);
        if (route.path.includes('{board}'))
          expect([name, answer.status, answer.code]).toEqual([name, 404, 'not_found']);
        expect(answer.status).toBeGreaterThanOrEqual(400);
        const headers = Object.fromEntries(answer.headers);
        for (const volatile of ['x-request-id', 'date', 'content-length']) delete headers[volatile];
        const text = JSON.stringify({ ...answer.body, instance: '' });
        const anonymous = [place.board, place.task, place.run].reduce(
          (rest, word) => rest.replaceAll(new RegExp(`\\b${word}\\b`, 'g'), '…'),
          text,
        );
        answers.push({ status: answer.status, headers, body: anonymous });
      }
      expect(answers[0]).toEqual(answers[1]);
    }
  });

  test('lists show only boards of the caller', async () => {
    for (const name of ['boardAdmin', 'orchestrator', 'observer', 'ownLane'] as const) {
      const { body } = await bench.as(tokens[name] ?? '').get('/v1/boards');
      expect(body.boards.map((board: { name: string }) => board.name)).toEqual([own.board]);
    }
  });
});

describe('a claim token', () => {
  test('reads of the log only what is about its own task', async () => {
    const { body } = await bench.as(tokens.ownClaim ?? '').get(`/v1/boards/${own.board}/events`);
    expect(body.events.length).toBeGreaterThan(0);
    expect(new Set(body.events.map((event: { task_id?: string }) => event.task_id))).toEqual(
      new Set([own.task]),
    );
  });
});
