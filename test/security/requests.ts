/** A request to any route of the contract, for any place: with a body that no route takes, or with one that the route does take. */
import type { Route } from '../../src/contract/route.ts';
import type { Bench } from '../fixtures/bench.ts';
import type { CallAnswer } from '../fixtures/server.ts';
import type { Caller, Place } from './world.ts';

/** Refused by every schema: tells "let through" (400) from "refused" without doing anything. */
export const NO_BODY_OF_OURS = { no_such_field: 1 };

/** By operation: a body that is taken, for the routes that name something of a board in their path. */
export const VALID_BODIES: Readonly<Record<string, unknown>> = {
  patchTask: { priority: 1 },
  promoteTask: {},
  unblockTask: { answer: 'x' },
  cancelTask: { reason: 'x' },
  completeTask: { summary: 'x' },
  assignTask: { lane: 'other' },
  reclaimTask: { reason: 'x' },
  archiveTask: {},
  reopenTask: {},
  scheduleTask: { run_at: '2020-01-01T00:00:00.000Z' },
  acceptTask: {},
  requestTaskChanges: { reason: 'x' },
  addComment: { body: 'x' },
  steerTask: { message: 'x' },
  heartbeatRun: { note: 'x' },
  appendOutput: { lines: ['x'] },
  acknowledgeMessages: { ids: ['msg_01jcqk0v3te8sr3x6y9m2b4n5p'] },
  completeRun: { summary: 'x' },
  requestRunChanges: { reason: 'x' },
  blockRun: { reason: 'x' },
  releaseRun: { reason: 'x' },
  failRun: { error: 'x' },
  steerDelegation: { message: 'x' },
  cancelDelegation: { reason: 'x' },
  ackDelivery: { lease_id: 'x' },
  nackDelivery: { lease_id: 'x', error: 'x' },
  retryDelivery: {},
};

export function pathTo(route: Route, place: Place): string {
  return route.path.replaceAll(/\{(\w+)\}/g, (_, part: string) => {
    const value = (place as unknown as Readonly<Record<string, string>>)[part];
    if (value === undefined) throw new Error(`no place has a ${part}, which ${route.path} wants`);
    return value;
  });
}

export function ask(
  { api }: Pick<Bench, 'api'>,
  route: Route,
  caller: Pick<Caller, 'token'>,
  place: Place,
  body: unknown = NO_BODY_OF_OURS,
): Promise<CallAnswer> {
  return api.call(route.method.toUpperCase(), pathTo(route, place), {
    token: caller.token,
    ...(route.body ? { body } : {}),
  });
}

/** Said by what the request is about, or says: the gate had let it through. */
const ABOUT_THE_ROW = new Set([
  'lane_has_claims',
  'illegal_transition',
  'invalid_request',
  'dependency_cycle',
  'lease_lost',
]);

/** There is none at any place: keys have no place, no task is its own parent, and the subscription is to stay. */
const UNPLACED = new Set(['key', 'parent', 'subscription']);

/** What the gate did: `allowed` also when the request failed for what it said or for what it is about. */
export function outcomeOf({ status, code, body }: CallAnswer): string {
  if (status < 400 || ABOUT_THE_ROW.has(code ?? '')) return 'allowed';
  if (code === 'not_found') return UNPLACED.has(body.resource) ? 'allowed' : `hidden ${body.resource}`;
  return code ?? String(status);
}
