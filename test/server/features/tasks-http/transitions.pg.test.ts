/** Every cell of the table of transitions, over the wire: what a person may do with a task in each status, and that nothing else is done. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { TASK_STATUSES, type TaskStatus } from '../../../../src/contract/statuses.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { MAY_BEGIN, type PersonVerb } from '../../../model/board-model-words.ts';

const servers = useTwoServers();
let board: TestBoard;
let parent: Task;

beforeAll(async () => {
  [board] = await servers.board();
  await board.lane('work');
  parent = await board.task(null);
});

const LATER = '2099-01-01T00:00:00.000Z';
const VERBS = Object.keys(MAY_BEGIN) as PersonVerb[];
const BODIES: Readonly<Record<PersonVerb, Readonly<Record<string, unknown>>>> = {
  promote: {},
  unblock: {},
  schedule: { run_at: LATER },
  assign: { lane: 'work' },
  complete: {},
  cancel: {},
  archive: {},
  reopen: {},
  accept: {},
  'request-changes': { reason: 'x' },
  reclaim: {},
};

async function held(): Promise<Claim> {
  const { id } = await board.task('work');
  return only<Claim>(expectStatus(await board.claims('work', { task_id: id }), 200).body.claims);
}

async function after(verb: string): Promise<Task> {
  const { id } = await board.task('work');
  return expectStatus(await board.operate(id, verb), 200).body.task;
}

const MADE: Readonly<Record<TaskStatus, () => Promise<Task>>> = {
  triage: () => board.task('work', { status: 'triage' }),
  todo: () => board.task('work', { parents: [parent.id] }),
  scheduled: () => board.task('work', { run_at: LATER }),
  ready: () => board.task('work'),
  running: async () => (await held()).task,
  blocked: () => board.task('work', { status: 'blocked' }),
  review: async () => {
    return expectStatus(await endClaim(board.server, await held(), 'complete', { review: true }), 200).body
      .task;
  },
  done: () => after('complete'),
  cancelled: () => after('cancel'),
  archived: () => after('archive'),
};

/** Where each verb leads, when it does and nothing stands before the task. */
const TARGETS: Readonly<Record<PersonVerb, (from: TaskStatus) => TaskStatus>> = {
  promote: () => 'ready',
  unblock: () => 'ready',
  schedule: () => 'scheduled',
  assign: (from) => from,
  complete: () => 'done',
  cancel: (from) => (from === 'running' ? 'running' : 'cancelled'),
  archive: () => 'archived',
  reopen: () => 'ready',
  accept: () => 'done',
  'request-changes': () => 'ready',
  reclaim: () => 'ready',
};

describe.each(TASK_STATUSES)('a task that is %s', (status) => {
  const mayBegin = (verb: PersonVerb) => (MAY_BEGIN[verb] as readonly TaskStatus[]).includes(status);

  test('refuses every verb that its row of the table does not have, and stays what it is', async () => {
    const task = await MADE[status]();
    expect(task.status).toBe(status);
    for (const verb of VERBS.filter((each) => !mayBegin(each))) {
      const answer = await board.operate(task.id, verb, BODIES[verb]);
      expect([verb, answer.status, answer.code]).toEqual([verb, 409, 'illegal_transition']);
      expect(answer.body, verb).toMatchObject({
        status_before: status,
        status_after: expect.toSatisfy((to: TaskStatus) => TASK_STATUSES.includes(to)),
      });
    }
    expect(await board.read(task.id)).toMatchObject({ status, version: task.version, attempt: task.attempt });
  });

  test('is moved by every verb that its row has, to where the table says', async () => {
    for (const verb of VERBS.filter(mayBegin)) {
      const task = await MADE[status]();
      const { body } = expectStatus(await board.operate(task.id, verb, BODIES[verb]), 200);
      expect([verb, body.task.status]).toEqual([verb, TARGETS[verb](status)]);
    }
  });

  test('is claimed only when it waits for a claim', async () => {
    const task = await MADE[status]();
    const answer = await board.claims('work', { task_id: task.id, worker: 'another' });
    if (status === 'ready') expectStatus(answer, 200);
    else expect([answer.status, answer.code]).toEqual([409, 'task_not_claimable']);
  });
});
