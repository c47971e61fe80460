/** Whatever can be done over the API can be done on the command line and in the dashboard, or is no person's business; which, stands here. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { patchBoard } from '../../src/contract/boards.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { SETTINGS } from '../../src/dashboard/board/settings/settings.ts';
import { loadProgram, type NamedCommand, verbsOf } from '../cli/fixtures/every-command.ts';

/** Why an operation is at neither or at one of the two places. */
const OF_WORKERS = 'of the worker that holds the claim: the dashboard does not hold any';
const OF_GATEWAYS = 'of the gateway that takes deliveries to their chats';
const OF_MIGRATIONS = 'reads the files of another system, which a browser does not have';
const IN_BULK = 'the same for many at once, for programs';
const OF_BROWSERS = 'a browser trades its link in; a terminal has the key itself';

interface Places {
  readonly cli: string | { readonly none: string };
  /** The method of the client that the dashboard calls, or must not call. */
  readonly dashboard: string | { readonly none: string; readonly method: string };
}

const places = (cli: string, dashboard: string): Places => ({ cli, dashboard });
const ofNoPage = (cli: string, method: string, none: string): Places => ({
  cli,
  dashboard: { none, method },
});

const PLACES: Readonly<Record<string, Places>> = {
  createKey: places('key create', 'keys.create'),
  deleteKey: places('key revoke', 'keys.revoke'),
  rotateSigningKey: places('key rotate-signing-key', 'keys.rotateSigningKey'),
  createSignInCode: places('dashboard', 'keys.createSignInCode'),
  signIn: { cli: { none: OF_BROWSERS }, dashboard: 'keys.signIn' },
  signOut: { cli: { none: OF_BROWSERS }, dashboard: 'keys.signOut' },

  putBoard: places('board create', 'boards.put'),
  patchBoard: places('board set', 'boards.patch'),
  deleteBoard: places('board delete', 'boards.delete'),

  putLane: places('lane register', 'lanes.register'),
  patchLane: places('lane set', 'lanes.patch'),
  deleteLane: places('lane delete', 'lanes.delete'),
  pauseLane: places('lane pause', 'lanes.pause'),
  resumeLane: places('lane resume', 'lanes.resume'),
  drainLane: places('lane drain', 'lanes.drain'),
  takeOverLane: places('lane takeover', 'lanes.takeOver'),
  createLaneKey: places('lane key', 'lanes.createKey'),

  createTask: places('task add', 'tasks.create'),
  createTasks: { cli: { none: IN_BULK }, dashboard: { none: IN_BULK, method: 'tasks.createBatch' } },
  bulkTasks: places('task bulk', 'tasks.bulk'),
  cancelOperation: places('operation cancel', 'tasks.cancelOperation'),
  importTasks: ofNoPage('import tasks', 'boards.importTasks', OF_MIGRATIONS),
  patchTask: places('task set', 'tasks.patch'),
  deleteTask: places('task delete', 'tasks.delete'),
  promoteTask: places('task promote', 'tasks.promote'),
  unblockTask: places('task unblock', 'tasks.unblock'),
  cancelTask: places('task cancel', 'tasks.cancel'),
  completeTask: places('task complete', 'tasks.complete'),
  assignTask: places('task assign', 'tasks.assign'),
  reclaimTask: places('task reclaim', 'tasks.reclaim'),
  archiveTask: places('task archive', 'tasks.archive'),
  reopenTask: places('task reopen', 'tasks.reopen'),
  scheduleTask: places('task schedule', 'tasks.schedule'),
  acceptTask: places('task accept', 'tasks.accept'),
  requestTaskChanges: places('task request-changes', 'tasks.requestChanges'),
  linkParent: places('task link', 'tasks.link'),
  unlinkParent: places('task unlink', 'tasks.unlink'),
  addComment: places('task comment', 'tasks.comment'),
  steerTask: places('task steer', 'tasks.steer'),

  createDelegation: places('delegation create', 'delegations.create'),
  steerDelegation: places('delegation steer', 'delegations.steer'),
  cancelDelegation: places('delegation cancel', 'delegations.cancel'),
  cancelDelegations: places('delegation cancel', 'delegations.cancelSession'),

  putSubscription: places('subscription put', 'subscriptions.put'),
  deleteSubscription: places('subscription delete', 'subscriptions.delete'),
  claimDeliveries: ofNoPage('delivery claim', 'deliveries.claim', OF_GATEWAYS),
  ackDelivery: ofNoPage('delivery ack', 'deliveries.ack', OF_GATEWAYS),
  nackDelivery: ofNoPage('delivery nack', 'deliveries.nack', OF_GATEWAYS),
  retryDelivery: places('delivery retry', 'deliveries.retry'),

  claimTasks: ofNoPage('lane claim', 'claims.claim', OF_WORKERS),
  heartbeatRun: ofNoPage('run heartbeat', 'runs.heartbeat', OF_WORKERS),
  appendOutput: ofNoPage('run output', 'runs.output', OF_WORKERS),
  acknowledgeMessages: ofNoPage('run ack', 'runs.acknowledge', OF_WORKERS),
  completeRun: ofNoPage('run complete', 'runs.complete', OF_WORKERS),
  requestRunChanges: ofNoPage('run request-changes', 'runs.requestChanges', OF_WORKERS),
  blockRun: ofNoPage('run block', 'runs.block', OF_WORKERS),
  releaseRun: ofNoPage('run release', 'runs.release', OF_WORKERS),
  failRun: ofNoPage('run fail', 'runs.fail', OF_WORKERS),
  batchRuns: ofNoPage('run batch', 'runs.batch', OF_WORKERS),
};

/**
 * What `patchBoard` can set, by its place in the body, with the flag of `board set`. In the dashboard each has a field of the board's settings,
 * which goes by the same place.
 */
const SETTING_FLAGS: Readonly<Record<string, string>> = {
  '/title': '--title',
  '/description': '--description',
  '/settings/paused': '--paused',
  '/settings/stranded_after_seconds': '--stranded-after-seconds',
  '/settings/delegation_capacity': '--delegation-capacity',
  '/settings/synthesizer_lane': '--synthesizer-lane',
  '/settings/synthesize_platforms': '--synthesize-platforms',
  '/settings/default_owner': '--default-owner',
  '/settings/retention/events_seconds': '--keep-events',
  '/settings/retention/finished_tasks_seconds': '--keep-finished-tasks',
  '/settings/retention/runs_seconds': '--keep-runs',
  '/settings/retention/output_seconds': '--keep-output',
  '/settings/retention/deliveries_seconds': '--keep-deliveries',
  '/settings/retention/messages_seconds': '--keep-messages',
};

let verbs: readonly NamedCommand[];
let commands: ReadonlySet<string>;
let source: string;
beforeAll(async () => {
  verbs = verbsOf(await loadProgram());
  commands = new Set(verbs.map(({ path }) => path));
  const root = join(import.meta.dirname, '../../src/dashboard');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.tsx?$/.test(name),
  );
  source = files.map((name) => readFileSync(join(root, name), 'utf8')).join('\n');
});

test('every operation that changes something has its places named here, and none that there is not', () => {
  const operations = ROUTES.filter(({ method }) => method !== 'get').map(({ operationId }) => operationId);
  expect(Object.keys(PLACES).toSorted()).toEqual(operations.toSorted());
});

test('the command line has every command that is named', () => {
  const missing = Object.values(PLACES).flatMap(({ cli }) =>
    typeof cli === 'string' && !commands.has(cli) ? [cli] : [],
  );
  expect(missing).toEqual([]);
});

test('the dashboard calls every method that is named', () => {
  const missing = Object.values(PLACES).flatMap(({ dashboard }) =>
    typeof dashboard === 'string' && !calls(dashboard) ? [dashboard] : [],
  );
  expect(missing).toEqual([]);
});

test('what is named as none of the dashboard’s business is not done there', () => {
  const strange = Object.values(PLACES).flatMap(({ dashboard }) =>
    typeof dashboard !== 'string' && calls(dashboard.method) ? [dashboard.method] : [],
  );
  expect(strange).toEqual([]);
});

test('every method that is named is one of the client', () => {
  const client: Readonly<Record<string, unknown>> = { ...connect({ url: 'http://127.0.0.1:1' }) };
  const named = Object.values(PLACES).map(({ dashboard }) =>
    typeof dashboard === 'string' ? dashboard : dashboard.method,
  );
  const missing = named.filter((method) => {
    const [resource = '', name = ''] = method.split('.');
    const methods = client[resource] as Readonly<Record<string, unknown>> | undefined;
    return typeof methods?.[name] !== 'function';
  });
  expect(missing).toEqual([]);
});

test('every setting of a board has a flag of `board set` and a field in the dashboard', () => {
  const settable = settablePlaces();
  expect(settable.length).toBeGreaterThan(10);
  expect(Object.keys(SETTING_FLAGS).toSorted()).toEqual(settable);
  const flags = verbs.find(({ path }) => path === 'board set')?.command.options.map(({ long }) => long);
  expect(Object.values(SETTING_FLAGS).filter((flag) => !flags?.includes(flag))).toEqual([]);
  expect(SETTINGS.map(({ pointer }): string => pointer).toSorted()).toEqual(settable);
});

/** Of the contract: what is no object of settings itself is one. */
function settablePlaces(): string[] {
  const { settings, ...fields } = patchBoard.body.shape;
  const { retention, ...flat } = settings.unwrap().unwrap().shape;
  const times = retention.unwrap().unwrap().shape;
  return [
    ...Object.keys(fields).map((name) => `/${name}`),
    ...Object.keys(flat).map((name) => `/settings/${name}`),
    ...Object.keys(times).map((name) => `/settings/retention/${name}`),
  ].toSorted();
}

/** Method calls may be broken over lines. */
function calls(method: string): boolean {
  const [resource = '', name = ''] = method.split('.');
  return new RegExp(`\\.${resource}\\s*\\.${name}\\(`).test(source);
}
