/**
 * Every route of the contract × everybody who may call × a board of one's own, a foreign one and one that does not exist. The routes come
 * from the contract, the expectations from the design's table: a route that the table does not know fails here.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { useBench } from '../fixtures/bench.ts';
import { checkedClient } from '../fixtures/checked-client.ts';
import { type CallAnswer, startTestServer, type TestServer } from '../fixtures/server.ts';
import { ask, NO_BODY_OF_OURS, outcomeOf, VALID_BODIES } from './requests.ts';
import { expectedOutcome, KNOWN_OPERATIONS } from './table.ts';
import {
  CALLERS,
  type Caller,
  deedsIn,
  faceOf,
  MARKERS,
  makeWorld,
  maySee,
  type Place,
  type World,
} from './world.ts';

const bench = useBench();
let world: World;
/** An address has 300 failures a minute and server; those without a credential ask one of their own. */
let serverOfStrangers: TestServer;

beforeAll(async () => {
  world = await makeWorld(bench);
  serverOfStrangers = await startTestServer(bench.database.url);
  return () => serverOfStrangers.stop();
});

const everyRoute = ROUTES.map((route) => [route.operationId, route] as const);

/** These are refused by the row, which is only asked with a body that is taken. */
const ASK_THE_ROW = /^addComment$|^(steer|cancel)Delegation$|^(ack|nack|retry)Delivery$/;
const probeOf = ({ operationId }: Route): unknown =>
  ASK_THE_ROW.test(operationId) ? VALID_BODIES[operationId] : NO_BODY_OF_OURS;

/** Keys have no place of their own; those and subscriptions that are there must stay. */
const placeOf = (name: keyof World['places'], { operationId }: Route): Place => {
  const { missing, [name]: place } = world.places;
  const subscription = operationId === 'deleteSubscription' ? missing.subscription : place.subscription;
  return { ...place, key: missing.key, subscription };
};

function askAs(caller: Caller, route: Route, place: Place): Promise<CallAnswer> {
  const api = caller.name === 'none' ? checkedClient(serverOfStrangers.url) : bench.api;
  return ask({ api }, route, caller, place, probeOf(route));
}

function expectNothingOf(marker: string, answer: CallAnswer, who: string): void {
  const text = JSON.stringify([answer.body, ...answer.headers]);
  expect(text.includes(marker), `${who} is shown ${marker}`).toBe(false);
}

test('the table knows every route, and no other', () => {
  const operations = ROUTES.map(({ operationId }) => operationId);
  expect(KNOWN_OPERATIONS.toSorted()).toEqual(operations.toSorted());
});

describe('what the table says holds, and what is refused changes nothing and shows nothing', () => {
  const allCallers = () => CALLERS.map((name) => world.callers[name]);

  test.each(everyRoute)('%s', async (_, route) => {
    const cells = (['own', 'foreign'] as const).flatMap((name) =>
      allCallers().map((caller) => ({
        name: `${caller.name} on ${name}`,
        caller,
        place: placeOf(name, route),
      })),
    );
    const isAllowed = ({ caller, place }: (typeof cells)[number]): boolean =>
      expectedOutcome(route, caller, place) === 'allowed';
    const outcomes: Record<string, string> = {};
    const before = await deedsIn(bench);
    await Promise.all(
      cells
        .filter((cell) => !isAllowed(cell))
        .map(async ({ name, caller, place }) => {
          const answer = await askAs(caller, route, place);
          outcomes[name] = outcomeOf(answer);
          for (const marker of Object.values(MARKERS)) expectNothingOf(marker, answer, name);
        }),
    );
    expect(await deedsIn(bench)).toEqual(before);
    for (const { name, caller, place } of cells.filter(isAllowed)) {
      const answer = await askAs(caller, route, place);
      outcomes[name] = outcomeOf(answer);
      if (!maySee(caller, world.places.foreign)) expectNothingOf(MARKERS.foreign, answer, name);
      if (!maySee(caller, world.places.own)) expectNothingOf(MARKERS.own, answer, name);
    }
    const expected = cells.map(({ name, caller, place }) => [name, expectedOutcome(route, caller, place)]);
    expect(outcomes).toEqual(Object.fromEntries(expected));
  });
});

describe('a foreign board cannot be told from one that does not exist', () => {
  const placed = everyRoute.filter(([, route]) => route.path.includes('{'));

  test.each(placed)('%s', async (_, route) => {
    const strangers = CALLERS.map((name) => world.callers[name]).filter(
      (caller) => caller.name !== 'garbage' && !maySee(caller, world.places.foreign),
    );
    expect(strangers.length).toBeGreaterThan(8);
    await Promise.all(
      strangers.map(async (caller) => {
        const [foreign, missing] = [placeOf('foreign', route), placeOf('missing', route)];
        const there = await askAs(caller, route, foreign);
        const nowhere = await askAs(caller, route, missing);
        expect([caller.name, faceOf(there, foreign)]).toEqual([caller.name, faceOf(nowhere, missing)]);
        expect(there.status).toBeGreaterThanOrEqual(400);
      }),
    );
  });
});

describe('what is on a foreign board cannot be told, on one’s own, from what does not exist', () => {
  const naming = everyRoute.filter(([, route]) =>
    /\{(task|run|delegation|subscription|delivery)\}/.test(route.path),
  );

  test.each(naming)('%s', async (operationId, route) => {
    if (route.body) expect(Object.keys(VALID_BODIES), 'a body that the route takes').toContain(operationId);
    const { own, foreign, missing } = world.places;
    const before = await deedsIn(bench);
    const { board, lane } = own;
    const variants = [
      [
        { ...foreign, board, lane },
        { ...missing, board, lane },
      ],
      [
        { ...foreign, board, lane, task: foreign.ref },
        { ...missing, board, lane, task: missing.ref },
      ],
    ] as const;
    const insiders = CALLERS.map((name) => world.callers[name]).filter(
      (caller) => caller.refusal === undefined && !maySee(caller, foreign) && maySee(caller, own),
    );
    expect(insiders.length).toBe(8);
    for (const [there, nowhere] of variants) {
      await Promise.all(
        insiders.map(async (caller) => {
          const [one, other] = [
            await ask(bench, route, caller, there, VALID_BODIES[operationId]),
            await ask(bench, route, caller, nowhere, VALID_BODIES[operationId]),
          ];
          expect([caller.name, faceOf(one, there)]).toEqual([caller.name, faceOf(other, nowhere)]);
          expect([caller.name, one.status]).toEqual([
            caller.name,
            expect.toSatisfy((status) => status >= 400),
          ]);
          expectNothingOf(MARKERS.foreign, one, caller.name);
        }),
      );
    }
    expect(await deedsIn(bench)).toEqual(before);
  });
});

describe('what is allowed stays within what is one’s own', () => {
  test('lists show only boards of the caller', async () => {
    for (const name of ['boardAdmin', 'orchestrator', 'observer', 'ownLane'] as const) {
      const { body } = await bench.as(world.callers[name].token ?? '').get('/v1/boards');
      expect(body.boards.map((board: { name: string }) => board.name)).toEqual(['own']);
    }
  });

  test('a claim token reads of the log only what is about its own task', async () => {
    for (const name of ['ownClaim', 'otherClaim', 'endedClaim'] as const) {
      const { body } = await bench
        .as(world.callers[name].token ?? '')
        .get('/v1/boards/own/events?limit=1000');
      expect(body.events.length).toBeGreaterThan(0);
      expect(new Set(body.events.map((event: { task_id?: string }) => event.task_id))).toEqual(
        new Set([world.callers[name].task]),
      );
    }
  });

  test('the token of a run that has ended still reads its task, and every mutation is refused', async () => {
    const { endedClaim: caller } = world.callers;
    const { id } = world.ended.task;
    const place = { ...world.places.own, lane: 'other', task: id, parent: id, run: world.ended.run_id };
    const before = await deedsIn(bench);
    const outcomes: Record<string, unknown> = {};
    const open = ROUTES.filter(
      (route) => /\{(task|run)\}/.test(route.path) && expectedOutcome(route, caller, place) === 'allowed',
    );
    for (const route of open) {
      const answer = await ask(bench, route, caller, place, VALID_BODIES[route.operationId]);
      outcomes[route.operationId] = route.method === 'get' ? answer.status : answer.code;
    }
    expect(outcomes).toEqual(
      Object.fromEntries(
        open.map(({ operationId, method }) => [operationId, method === 'get' ? 200 : 'claim_lost']),
      ),
    );
    expect(await deedsIn(bench)).toEqual(before);
  });
});
