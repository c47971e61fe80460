/**
 * The run that a worker's tool is about, and what its holder is told with every answer. Under a claim token the run is the token's. Under
 * a lane's key the row decides (lane, worker, run, attempt): the key proves the lane, the tool names worker and run.
 * Every answer to a holder is a heartbeat too: who asks is alive, and steering and cancels reach clients that nobody can push to.
 */
import { z } from 'zod';
import { RunId, Timestamp, WorkerName } from '../../../contract/identifiers.ts';
import { type HeartbeatBody, type HeartbeatReply, heartbeatRun } from '../../../contract/runs.ts';
import type { Task } from '../../../contract/tasks.ts';
import { absent } from '../../../contract/values.ts';
import { asProblem } from '../../http/on-error.ts';
import type { ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { askAs, boardOf } from './asking.ts';
import { refusalOf } from './refusals.ts';
import { firstFitting, type ToolDocument } from './results.ts';
import type { ToolCall } from './tool.ts';

export const ofRun = {
  run_id: absent(RunId).describe('Of the claim that you speak of, as claim_task answered it.'),
  worker: absent(WorkerName).describe('The worker that claimed it, where claim_task was given one.'),
};

/** Of tools that say something for a run: a token has one, a key may have claimed another since. */
export const RUN_NEEDED = { lane: ['run_id'] } as const;

interface Named {
  readonly run_id?: string | null | undefined;
  readonly worker?: string | null | undefined;
}

/** Enough to say that there are several. */
const HOLDS_LISTED_MAX = 10;

/**
 * As whom the verbs of the run are asked for. Under the key of a lane the run must be named: left out, late words about a task that was
 * taken away would end the one that the same key has claimed since.
 */
export async function holderOf(call: ToolCall, named: Named): Promise<ClaimPrincipal> {
  if (call.caller.kind === 'claim') return ownOf(call.caller, named);
  const { board, who } = await laneWorkerOf(call, named.worker);
  if (named.run_id) return call.parts.holds.ofRun(board, who, named.run_id);
  const held = await call.parts.holds.ofWorker(board, who, HOLDS_LISTED_MAX);
  if (held.length === 0) throw holdsNone(who.worker);
  throw runNeeded(held);
}

/** For looking, where a mistake does no harm: the run may be left out by who holds exactly one. */
export async function readerOf(call: ToolCall, named: Named): Promise<ClaimPrincipal> {
  if (call.caller.kind === 'claim' || named.run_id) return holderOf(call, named);
  const { board, who } = await laneWorkerOf(call, named.worker);
  const held = await call.parts.holds.ofWorker(board, who, HOLDS_LISTED_MAX);
  const [only, ...others] = held;
  if (only === undefined) throw holdsNone(who.worker);
  if (others.length > 0) throw runNeeded(held);
  return only;
}

/** As whom this worker of the lane holds the task; null: it does not. */
export async function holderOfTask(
  call: ToolCall,
  { claim }: Pick<Task, 'claim'>,
  worker: string | null | undefined,
): Promise<ClaimPrincipal | null> {
  const { board, who } = await laneWorkerOf(call, worker);
  if (claim === null || claim.lane !== who.lane || claim.worker !== who.worker) return null;
  return call.parts.holds.ofRun(board, who, claim.run_id);
}

function ownOf(caller: ClaimPrincipal, { run_id: run, worker }: Named): ClaimPrincipal {
  const isOwn = !run || run === caller.runId;
  if (isOwn && (!worker || worker === caller.worker)) return caller;
  throw new ProblemError('not_your_claim', 'This claim token speaks for another run.');
}

async function laneWorkerOf(
  { caller, parts }: ToolCall,
  worker: string | null | undefined,
): Promise<{ board: BoardRef; who: { lane: string; worker: string } }> {
  if (caller.kind === 'claim' || caller.lane === null)
    throw new ProblemError('forbidden', 'This takes the key of a lane, or a claim token.');
  const board = await parts.boards.resolve(boardOf(caller, onlyBoardOf(caller.boards)));
  return { board, who: { lane: caller.lane, worker: worker ?? caller.keyId } };
}

function holdsNone(worker: string): ProblemError {
  return new ProblemError(
    'not_found',
    `Worker ${JSON.stringify(worker)} holds no claim now: call claim_task.`,
    { extensions: { resource: 'run', next: 'Call claim_task; or name the worker that you claimed as.' } },
  );
}

function runNeeded(held: readonly ClaimPrincipal[]): ProblemError {
  const claims = held.map(({ runId, taskId }) => `${runId} (${taskId})`).join(', ');
  return new ProblemError('invalid_request', `Name the run_id that you mean. You hold: ${claims}.`, {
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
/** What a holder is told besides takes at most so much: the messages, and names and times. */
export const HEARD_BYTES_MAX = MESSAGES_BYTES_MAX + 500;

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

/** What the holder heard at the end of a wait belongs into its answer: of beats that are made at once only one is told the messages. */
export function heardAs(caller: Principal, reply: HeartbeatReply | null): ToolDocument {
  return caller.kind === 'claim' && reply !== null ? heardOf(caller, reply) : {};
}

/** The answer of a tool that is no verb of the run, with what its holder is to hear. What was done is answered even if that fails. */
export async function withHeard(
  call: ToolCall,
  holder: ClaimPrincipal,
  document: ToolDocument,
): Promise<ToolDocument> {
  if ('cancel_requested' in document && 'messages' in document) return document;
  try {
    return { ...document, ...(await hear(call, holder)) };
  } catch (error) {
    return { ...document, unheard: refusalOf(asProblem(error)) };
  }
}

/** A refusal, with what its holder is to hear if there is something: under a cancel much is refused, and that is why. */
export async function refusalWithHeard(
  call: ToolCall,
  holder: ClaimPrincipal,
  refusal: ToolDocument,
): Promise<ToolDocument> {
  try {
    const reply = await beat(call, holder);
    if (!isToHear(reply)) return refusal;
    const { cancel_requested, messages } = heardOf(holder, reply);
    return { ...refusal, cancel_requested, messages };
  } catch {
    // The claim is over, or nothing can be heard now: the refusal itself is what there is to say.
    return refusal;
  }
}

/** Whether a wait ends with it. */
export function isToHear(heard: HeartbeatReply | null): boolean {
  return heard !== null && (heard.messages.length > 0 || heard.cancel_requested);
}
