/**
 * Moves: what brings an operation within reach of success, by what the world of the stream can do. Without them most verbs would only ever
 * meet tasks, claims and deliveries that are in the wrong state.
 */
import type { Random } from './random.ts';
import { type Json, KEPT_REVIEW_LANE, type StreamWorld } from './stream-world.ts';

/** What makes a request to an operation likely to be accepted. A member of `body` that is undefined is left out. */
export interface Aim {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly token?: string;
}

type Move = (world: StreamWorld, random: Random) => Promise<Aim>;
/** One that leaves nothing to chance. */
type FixedMove = (world: StreamWorld) => Promise<Aim>;

/** What the operation needs to be accepted; null: nothing beyond what there is. */
export async function aimAt(operationId: string, world: StreamWorld, random: Random): Promise<Aim | null> {
  const move = MOVES[operationId];
  return move === undefined ? null : move(world, random);
}

function onTask(prepare: (world: StreamWorld) => Promise<string>): FixedMove {
  return async (world) => ({ params: { board: world.board, task: await prepare(world) } });
}

const onRun: FixedMove = async (world) => {
  const { run, token } = await world.hold();
  return { params: { run }, token };
};

const fresh = onTask((world) => world.task());
const held = onTask(async (world) => (await world.hold()).task);
const reviewed = onTask((world) => world.reviewed());
const onLease: FixedMove = async (world) => {
  const { delivery, lease_id } = await world.lease();
  return { params: { delivery }, body: { lease_id } };
};
const onDelegation: FixedMove = async (world) => ({
  params: { board: world.board, delegation: await world.delegation() },
  body: { task_id: undefined },
});

const MOVES: Readonly<Record<string, Move>> = {
  patchTask: fresh,
  completeTask: fresh,
  assignTask: async (world) => ({ ...(await fresh(world)), body: { lane: 'beta' } }),
  scheduleTask: fresh,
  cancelTask: fresh,
  archiveTask: fresh,
  deleteTask: fresh,
  promoteTask: onTask((world) => world.task({ status: 'triage' })),
  unblockTask: onTask((world) => world.task({ status: 'blocked' })),
  reopenTask: onTask(async (world) => {
    const task = await world.task();
    await world.ask('POST', world.on(`/tasks/${task}/complete`));
    return task;
  }),
  reclaimTask: held,
  steerTask: held,
  acceptTask: reviewed,
  requestTaskChanges: reviewed,
  linkParent: async (world) => ({
    params: { board: world.board, task: await world.task(), parent: await world.task() },
  }),
  unlinkParent: async (world) => {
    const parent = await world.task();
    return { params: { board: world.board, task: await world.task({ parents: [parent] }), parent } };
  },
  heartbeatRun: onRun,
  appendOutput: onRun,
  completeRun: onRun,
  blockRun: onRun,
  releaseRun: onRun,
  failRun: onRun,
  acknowledgeMessages: async (world) => {
    const { run, token, task } = await world.hold();
    const { message } = await world.ask('POST', world.on(`/tasks/${task}/steer`), { message: 'go on' });
    return { params: { run }, token, body: { ids: [message.id] } };
  },
  requestRunChanges: async (world) => {
    const task = await world.reviewed(KEPT_REVIEW_LANE);
    const { run, token } = await world.claim(KEPT_REVIEW_LANE, task);
    return { params: { run }, token };
  },
  batchRuns: async (world) => {
    const { token } = await world.hold();
    const note = { op: 'heartbeat', token, note: 'still here' };
    const end = { op: 'complete', token, result: { ok: true } };
    return { token: String(world.caller('keptLane').token), body: { operations: [note, end, end] } };
  },
  claimTasks: async (world) => ({
    params: { board: world.board, lane: 'alpha' },
    body: { task_id: await world.task({ lane: 'alpha' }) },
  }),
  ackDelivery: onLease,
  nackDelivery: async (world) => {
    const aim = await onLease(world);
    return { ...aim, body: { ...aim.body, error: 'no', permanent: undefined } };
  },
  retryDelivery: async (world) => {
    const { delivery, lease_id } = await world.lease();
    await world.ask('POST', `/v1/deliveries/${delivery}/nack`, {
      lease_id,
      error: 'no',
      permanent: true,
    });
    return { params: { delivery } };
  },
  putSubscription: async (world) => ({
    params: { board: world.board },
    body: { task_id: await world.task(), delegation_id: undefined },
  }),
  getSubscription: async (world) => ({
    params: { board: world.board, subscription: await world.subscription() },
  }),
  deleteSubscription: async (world) => ({
    params: { board: world.board, subscription: await world.subscription() },
  }),
  steerDelegation: onDelegation,
  cancelDelegation: onDelegation,
  cancelOperation: async (world) => {
    const body = { action: 'archive', ids: [await world.task()] };
    const { operation } = await world.ask('POST', world.on('/tasks/bulk'), body);
    return { params: { board: world.board, operation: operation.id } };
  },
  bulkTasks: async (world, random) => ({
    params: { board: world.board },
    body: {
      action: random.pick(['promote', 'cancel', 'archive', 'reopen', 'accept']),
      ids: [await world.task()],
      filter: undefined,
      lane: undefined,
      run_at: undefined,
      reason: undefined,
    },
  }),
  deleteBoard: async (world) => {
    const board = world.next(`${world.board}-gone`);
    await world.ask('PUT', `/v1/boards/${board}`);
    return { params: { board } };
  },
  deleteLane: async (world) => {
    const lane = world.next('gone');
    await world.ask('PUT', world.on(`/lanes/${lane}`));
    return { params: { board: world.board, lane } };
  },
  deleteKey: async (world) => {
    const { key } = await world.ask('POST', '/v1/keys', {
      name: 'x',
      role: 'observer',
      boards: [world.board],
    });
    return { params: { key: key.id } };
  },
  createKey: async (world, random) => ({
    body: random.chance(0.5)
      ? {
          role: 'lane',
          board: world.board,
          boards: undefined,
          lane: 'alpha',
          owner: undefined,
          expires_at: undefined,
        }
      : {
          role: 'observer',
          board: undefined,
          boards: [world.board],
          lane: undefined,
          expires_at: undefined,
        },
  }),
  createSignInCode: async (world) => ({ body: { boards: [world.board] } }),
  signIn: async (world) => ({ body: { code: await world.code() } }),
  signOut: async (world) => {
    const { secret } = await world.ask('POST', '/v1/sign-in', { code: await world.code() });
    return { token: secret };
  },
  importTasks: async (world) => ({
    params: { board: world.board },
    body: {
      tasks: [
        {
          title: 'from elsewhere',
          external_ref: world.next('there'),
          status: 'done',
          created_at: '2026-01-01T00:00:00Z',
          runs: [],
          comments: [],
          parents: [],
        },
      ],
    },
  }),
};
