/** Claiming a task for a lane, and reading what is to be done. */
import { z } from 'zod';
import { type Claim, claimTasks } from '../../../../contract/claims.ts';
import { HEADERS } from '../../../../contract/constants.ts';
import { getContext } from '../../../../contract/context.ts';
import { TaskReference, WorkerName } from '../../../../contract/identifiers.ts';
import type { HeartbeatReply } from '../../../../contract/runs.ts';
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import { getTask } from '../../../../contract/task-routes.ts';
import type { Task } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import type { Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { handoffText } from '../../claims/service.ts';
import { ask, askAs, boardOf } from '../asking.ts';
import { beat, heardOf, holderOf, holderOfTask, ofRun, onlyBoardOf, readerOf } from '../holding.ts';
import { Cursor, RequestId, WaitSeconds } from '../inputs.ts';
import { type ToolDocument, withText } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';
import { TaskLine, taskLineOf } from '../views.ts';

/** Seconds after which to ask again. What is paused or full is for people or other workers to change. */
const RETRY_AFTER: Readonly<Record<EmptyClaimReason | 'claim_over', number>> = {
  none_ready: 1,
  at_capacity: 10,
  board_paused: 30,
  lane_paused: 30,
  lane_draining: 30,
  claim_over: 0,
};

const claimTask = defineTool({
  name: 'claim_task',
  description:
    'Take the next task of your lane. Answers with what is to be done, or {claimed: false, reason, retry_after} when there is nothing.',
  audience: ['lane'],
  input: z.strictObject({
    wait_seconds: WaitSeconds,
    request_id: RequestId,
    worker: absent(WorkerName).describe(
      'Your own name, where several workers share the key: name it in every later call. Default: the key.',
    ),
  }),
  output: z.looseObject({ claimed: z.boolean() }),
  run: async (call, input) => {
    const { caller, parts, exchange } = call;
    if (caller.kind !== 'key' || caller.lane === null)
      throw new ProblemError('forbidden', 'This takes the key of a lane.');
    const board = boardOf(caller, onlyBoardOf(caller.boards));
    const { body, headers } = await call.whileWaiting(
      parts.calls.call(claimTasks, exchange, {
        caller,
        params: { board, lane: caller.lane },
        body: { worker: input.worker },
        waitSeconds: input.wait_seconds || null,
        idempotencyKey: input.request_id ?? null,
      }),
    );
    const isReplayed = headers[HEADERS.idempotentReplayed] !== undefined;
    const [claim] = body.claims;
    if (claim === undefined) {
      // Its first answer had a claim, which has ended since, or was given back.
      const reason = isReplayed ? 'claim_over' : (body.reason ?? 'none_ready');
      const next = reason === 'claim_over' ? { next: 'Call again with a new request_id.' } : {};
      return { claimed: false, reason, retry_after: RETRY_AFTER[reason], ...next };
    }
    if (input.request_id) {
      const ref = await parts.boards.resolve(board);
      exchange.onUndelivered(() => parts.lost.giveBackLater(ref, claim));
    }
    // Whoever asks again has it: from now on it is not taken for lost.
    const reply = isReplayed ? await beatOf(call, claim) : handedOver(claim);
    return claimedOf(claim, reply);
  },
});

async function beatOf(call: ToolCall, { run_id, worker }: Claim): Promise<HeartbeatReply> {
  return beat(call, await holderOf(call, { run_id, worker }));
}

function handedOver({ lease_expires_at, task, handoff }: Claim): HeartbeatReply {
  const isCancelled = task.claim?.cancel_requested ?? false;
  return { lease_expires_at, cancel_requested: isCancelled, messages: handoff.messages };
}

function claimedOf(claim: Claim, reply: HeartbeatReply): ToolDocument {
  const { task, handoff, run_id: runId, worker, attempt } = claim;
  const document = {
    claimed: true,
    ...heardOf({ runId, taskId: task.id }, reply),
    worker,
    attempt,
    heartbeat_interval_seconds: claim.heartbeat_interval_seconds,
    task: taskLineOf(task),
  };
  return withText(document, 'text', { of: task.id, text: handoffText(task, handoff), cursor: null });
}

function plainText({ title, body, payload, summary, result }: Task): string {
  return JSON.stringify({ title, body, payload, summary, result });
}

async function readTask(call: ToolCall, reader: Principal, board: string, task: string): Promise<Task> {
  return (await askAs(call, reader, getTask, { params: { board, task } })).task;
}

const showTask = defineTool({
  name: 'show_task',
  description:
    'Read your task again: what is to be done, earlier attempts, comments, results it builds on. Read to the end before you do anything else. Also another task that you may see, by task_id.',
  audience: ['lane', 'claim'],
  isReadOnly: true,
  input: z.strictObject({
    ...ofRun,
    task_id: absent(TaskReference).describe('Another task: one that yours waits for, or that you created.'),
    cursor: Cursor,
  }),
  output: z.looseObject({ task: TaskLine }),
  run: async (call, { task_id: named, cursor = null, ...run }) => {
    const { caller } = call;
    const board = boardOf(caller, caller.kind === 'key' ? onlyBoardOf(caller.boards) : null);
    // To look at another task a lane needs no claim.
    const found =
      named && !run.run_id && caller.kind === 'key' ? await readTask(call, caller, board, named) : null;
    const holder = found === null ? await readerOf(call, run) : await holderOfTask(call, found, run.worker);
    const heard = holder === null ? {} : heardOf(holder, await beat(call, holder));
    const id = named ?? holder?.taskId ?? '';
    const task = found ?? (await readTask(call, holder ?? caller, board, id));
    const document = { ...heard, task: taskLineOf(task) };
    // Of its neighbours a holder sees the tasks, not what they were told.
    const isNeighbour = caller.kind === 'claim' && task.id !== caller.taskId;
    const text = isNeighbour
      ? plainText(task)
      : (await ask(call, getContext, { params: { board, task: id } })).text;
    return withText(document, 'text', { of: task.id, text, cursor });
  },
});

export const CLAIMING_TOOLS = [claimTask, showTask];
