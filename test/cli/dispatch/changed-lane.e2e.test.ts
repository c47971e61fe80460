/** What happens between a claim and its process, where only a server of our own can be made to answer at the right moment. */
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildCli, type Cli, startCli } from '../fixtures/cli-process.ts';
import { FakeLanekeeper } from '../fixtures/fake-lanekeeper.ts';

let cli: Cli;
let fake: FakeLanekeeper;
let scratch: string;
beforeAll(async () => {
  cli = await buildCli();
});
afterAll(() => cli.remove());
beforeEach(async () => {
  fake = await FakeLanekeeper.start();
  scratch = await mkdtemp(join(cli.directory, 'scratch-'));
});
afterEach(() => fake.stop());

const ADMIN = { principal: { type: 'key', key: { role: 'admin', boards: ['*'], lane: null } } };

/** Serves one lane; what it says may change at the moment of a claim. */
function serveLane(before: object, atClaim: object): void {
  const lane = { name: 'factory', board: 'default', claim_mode: 'pull', kind: 'spawn' };
  fake.laneFields = { ...lane, ...before };
  fake.override = ({ path }) => {
    if (path === '/v1/whoami') return { status: 200, json: ADMIN };
    if (path === '/v1/boards/default/lanes')
      return { status: 200, json: { lanes: [fake.laneFields], next_page_token: null } };
    if (path.endsWith('/claims')) fake.laneFields = { ...fake.laneFields, ...atClaim };
    return undefined;
  };
}

const dispatchOnce = () =>
  startCli(cli, ['dispatch', '--once', '--name', 'test'], {
    cwd: scratch,
    env: { LANEKEEPER_URL: fake.url, LANEKEEPER_TOKEN: 'lk_admin_key', LANEKEEPER_DATA_DIR: scratch },
  }).ended;
const touch = (name: string) => ({ argv: ['sh', '-c', 'touch "$0"; exit 3', join(scratch, name)] });

test('a claim of a lane that became persistent meanwhile is given back, and nothing is spawned', async () => {
  serveLane({ spawn: touch('spawned') }, { kind: 'persistent', spawn: null });
  const task = fake.addTask('a');
  expect(await dispatchOnce()).toMatchObject({ code: 0 });
  expect(fake.endOf(task)).toMatchObject({
    verb: 'release',
    body: { reason: expect.stringContaining('kind persistent') },
  });
  expect(existsSync(join(scratch, 'spawned'))).toBe(false);
});

test('what is spawned is what the lane says after the claim', async () => {
  serveLane({ spawn: touch('old') }, { spawn: touch('new') });
  const task = fake.addTask('a');
  expect(await dispatchOnce()).toMatchObject({ code: 0 });
  expect(fake.endOf(task)).toMatchObject({ verb: 'fail' });
  expect([existsSync(join(scratch, 'old')), existsSync(join(scratch, 'new'))]).toEqual([false, true]);
});

test('with --once a lane that failed is no success', async () => {
  serveLane({ spawn: touch('spawned') }, {});
  fake.addTask('a');
  const { override } = fake;
  fake.override = (request) =>
    request.path.endsWith('/claims')
      ? { status: 403, json: { code: 'forbidden', title: 'no', status: 403 } }
      : override?.(request);
  const end = await dispatchOnce();
  expect(end).toMatchObject({ code: 4, stderr: expect.stringContaining('lane factory: no') });
  expect(end.stderr).not.toContain('trying again');
});

test('an end that could not be reported is reported by the next dispatcher of the name', async () => {
  serveLane({ spawn: touch('spawned') }, {});
  const task = fake.addTask('a');
  const { override } = fake;
  fake.override = (request) =>
    request.path.endsWith('/fail')
      ? { status: 403, json: { code: 'forbidden', title: 'no', status: 403 } }
      : override?.(request);
  const end = await dispatchOnce();
  expect(end).toMatchObject({ code: 1, stderr: expect.stringContaining(`the end of ${task.id}`) });
  expect(end.stderr).not.toContain('trying again');
  expect(fake.endOf(task)).toBeNull();
  fake.override = override;
  expect(await dispatchOnce()).toMatchObject({ code: 0 });
  expect(fake.endOf(task)).toMatchObject({ verb: 'fail', body: { metadata: { exit_code: 3 } } });
  expect(task.attempt).toBe(1);
});
