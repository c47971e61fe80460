/** What the verbs of delegation, subscriptions and deliveries ask of the API. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { durationFrom } from '../../../src/cli/options.ts';
import { problem, ScriptedServer } from '../../client/fixtures/scripted-server.ts';
import { runInProcess } from '../fixtures/in-process.ts';

let directory: string;
let server: ScriptedServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lanekeeper-delegation-'));
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  server = await ScriptedServer.start();
  server.respond = () => problem(404, 'not_found');
});
afterEach(() => server.stop());

const run = (args: readonly string[]) =>
  runInProcess(args, { directory, env: { LANEKEEPER_URL: server.url, LANEKEEPER_TOKEN: 'lk_test' } });

test('durations have a unit, or are seconds', () => {
  expect(['90', '90s', '10m', '2h', '1d'].map(durationFrom)).toEqual([90, 90, 600, 7200, 86_400]);
  for (const bad of ['', '0', '0s', '-1', '1.5h', '1w', 'm', '10 m', '+10m'])
    expect(() => durationFrom(bad), bad).toThrow('90s');
});

const requests: readonly (readonly [readonly string[], string, unknown?])[] = [
  [
    ['delegate', '--task', 'l: do it', '--join', 'any', '--deadline', '30m', '--session', 's'],
    'POST /v1/boards/default/delegations',
    {
      tasks: [{ lane: 'l', goal: 'do it' }],
      join: 'any',
      deadline_seconds: 1800,
      origin: { platform: 'cli', chat_id: 's', session_id: 's' },
    },
  ],
  [
    ['delegation', 'create', '--task', 'l: a: b', '--platform', 'discord', '--chat', 'c', '--no-subscribe'],
    'POST /v1/boards/default/delegations',
    {
      tasks: [{ lane: 'l', goal: 'a: b' }],
      origin: { platform: 'discord', chat_id: 'c' },
      subscribe: false,
    },
  ],
  [['check', 'd'], 'GET /v1/boards/default/delegations/d'],
  [
    ['steer', 'd', 'hurry', '--task', 't'],
    'POST /v1/boards/default/delegations/d/steer',
    { message: 'hurry', task_id: 't' },
  ],
  [['cancel', 'd', '--reason', 'r'], 'POST /v1/boards/default/delegations/d/cancel', { reason: 'r' }],
  [['cancel', '--session', 's'], 'POST /v1/boards/default/delegations/cancel', { session_id: 's' }],
  [
    ['list', '--session', 's', '--status', 'running'],
    'GET /v1/boards/default/delegations?session_id=s&status=running',
  ],
  [
    ['delivery', 'claim', '--owner', 'o', '--platforms', 'a,b', '--max', '5'],
    'POST /v1/boards/default/deliveries/claims',
    { owner: 'o', platforms: ['a', 'b'], max: 5 },
  ],
  [
    ['delivery', 'nack', 'd', '--lease', 'l', '--defer', '2m'],
    'POST /v1/deliveries/d/nack',
    { lease_id: 'l', defer_seconds: 120 },
  ],
  [
    ['board', 'set', 'b', '--synthesizer-lane', 'w', '--default-owner', '', '--delegation-capacity', '3'],
    'PATCH /v1/boards/b',
    { settings: { delegation_capacity: 3, synthesizer_lane: 'w', default_owner: null } },
  ],
];
for (const [args, request, body] of requests)
  test(`${args.join(' ')} is ${request}`, async () => {
    await run(args);
    const last = server.requests.at(-1);
    expect(`${last?.method} ${last?.path}`).toBe(request);
    expect(last?.body).toEqual(body);
  });

const mistakes: readonly (readonly string[])[] = [
  ['delegate'],
  ['delegate', '--task', 'no lane'],
  ['delegate', '--task', 'l:'],
  ['delegate', '--task', 'l: x', '--on-capacity', 'hope'],
  ['delegate', '--task', 'l: x', '--deadline', 'soon'],
  ['collect', 'd', '--timeout', '0'],
  ['cancel'],
];
for (const args of mistakes)
  test(`${args.join(' ')} is a usage error, and nothing is sent`, async () => {
    expect((await run(args)).code).toBe(2);
    expect(server.requests).toEqual([]);
  });
