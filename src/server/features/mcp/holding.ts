/**
 * The run that a worker's tool is about, and what its holder is told with every answer. Under a claim token the run is the token's. Under
 * a lane's key the row decides (lane, worker, run, attempt): the key proves the lane, the tool names worker and run.
 * Every answer to a holder is a heartbeat too: who asks is alive, and steering and cancels reach clients that nobody can push to.
 */
import { z } from 'zod';
import { RunId, Timestamp, WorkerName } from '../../../contract/identifiers.ts';
import { type HeartbeatBody, type HeartbeatReply, heartbeatRun } from '../../../contract/runs.ts';
import { absent } from '../../../contract/values.ts';
import type { ClaimPrincipal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { askAs, boardOf } from './asking.ts';
import { firstFitting, type ToolDocument } from './results.ts';
import type { ToolCall } from './tool.ts';

export const ofRun = {
  run_id: absent(RunId).describe('Which of your claims. May be left out while you hold exactly one.'),
  worker: absent(WorkerName).describe('The worker that claimed it, where claim_task was given one.'),
};

interface Named {
  readonly run_id?: string | null | undefined;
  readonly worker?: string | null | undefined;
}

/** Enough to say that there are several. */
const HOLDS_LISTED_MAX = 10;

/** As whom the verbs of the run are asked for. */
export async function holderOf(call: ToolCall, named: Named): Promise<ClaimPrincipal> {
  const { caller } = call;
  if (caller.kind === 'claim') {
    const isOwn = !named.run_id || named.run_id === caller.runId;
    if (isOwn && (!named.worker || named.worker === caller.worker)) return caller;
    throw new ProblemError('not_your_claim', 'This claim token speaks for another run.');
  }
  const { lane } = caller;
  if (lane === null) throw new ProblemError('forbidden', 'This takes the key of a lane, or a claim token.');
  const board = await call.parts.boards.resolve(boardOf(caller, onlyBoardOf(caller.boards)));
  const who = { lane, worker: named.worker ?? caller.keyId };
  if (named.run_id) return call.parts.holds.ofRun(board, who, named.run_id);
  const held = await call.parts.holds.ofWorker(board, who, HOLDS_LISTED_MAX);
  const [only, ...others] = held;
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined)
    throw new ProblemError(
      'not_found',
      `Worker ${JSON.stringify(who.worker)} holds no claim now: call claim_task.`,
      {
        extensions: { resource: 'run', next: 'Call claim_task; or name the worker that you claimed as.' },
      },
    );
  const ids = held.map(({ runId }) => runId).join(', ');
  throw new ProblemError('invalid_request', `You hold several claims, name one as run_id: ${ids}.`, {
    errors: [{ pointer: '/run_id', detail: 'is needed' }],
  });
}

/** A lane's key is bound to one. */
export function onlyBoardOf(boards: '*' | ReadonlySet<string>): string | null {
  return boards === '*' ? null : ([...boards][0] ?? null);
}

export const heardShape = {
  run_id: z.string(),
  task_id: z.string(),
  lease_expires_at: Timestamp,
  cancel_requested: z.boolean().describe('true: stop at a safe point, then release_task.'),
  messages: z
    .array(z.looseObject({ id: z.string(), text: z.string(), at: Timestamp }))
    .describe('What people tell you. Repeated until you acknowledge them: inbox {acknowledge: [ids]}.'),
};

/** Of an answer, for messages; the oldest come first, and the others when these are acknowledged. */
const MESSAGES_BYTES_MAX = 8000;

/** A heartbeat of the run: extends its lease, and brings what the holder is to hear. */
export async function beat(
  call: ToolCall,
  holder: ClaimPrincipal,
  body: HeartbeatBody = {},
): Promise<HeartbeatReply> {
  return askAs(call, holder, heartbeatRun, { params: { run: holder.runId }, body });
}

/** What every answer to a holder ends with. */
export function heardOf(
  holder: Pick<ClaimPrincipal, 'runId' | 'taskId'>,
  reply: HeartbeatReply,
): ToolDocument {
  const messages = firstFitting(reply.messages, MESSAGES_BYTES_MAX);
  const more = reply.messages.length - messages.length;
  return {
    run_id: holder.runId,
    task_id: holder.taskId,
    lease_expires_at: reply.lease_expires_at,
    cancel_requested: reply.cancel_requested,
    messages,
    ...(more === 0 ? {} : { more_messages: more }),
  };
}

export async function hear(
  call: ToolCall,
  holder: ClaimPrincipal,
  body: HeartbeatBody = {},
): Promise<ToolDocument> {
  return heardOf(holder, await beat(call, holder, body));
}
