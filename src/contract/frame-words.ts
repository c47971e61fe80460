/**
 * What each frame of the watch socket is for, which frames answer it, and an example of it: what the AsyncAPI document says beyond the
 * schemas. A frame without an entry does not compile. The examples are held against the schemas by test/contract/asyncapi.test.ts.
 */
import type { Event } from './events.ts';
import type { ClientFrame, ServerFrame } from './frames.ts';

export type FramePart = 'watching' | 'working' | 'both';

interface ClientFrameWords<Type extends ClientFrame['type']> {
  readonly part: FramePart;
  readonly summary: string;
  /** Types of the frames that may answer it; `error` may answer every frame. */
  readonly answers: readonly ServerFrame['type'][];
  readonly example: Extract<ClientFrame, { type: Type }>;
}

interface ServerFrameWords<Type extends ServerFrame['type']> {
  readonly part: FramePart;
  readonly summary: string;
  readonly example: Extract<ServerFrame, { type: Type }>;
}

const AT = '2026-01-05T10:00:00.000Z';
const LATER = '2026-01-05T10:15:00.000Z';
const TASK = 'task_01jcqk0v3te8sr3x6y9m2b4n5p';
const RUN = 'run_01jcqk0v3te8sr3x6y9m000001';
const MESSAGE = 'msg_01jcqk0v3te8sr3x6y9m2b4n5p';
const CURSOR = 'MTo3';

export const EVENT_EXAMPLE: Event = {
  cursor: CURSOR,
  seq: 7,
  board: 'default',
  kind: 'task.ready',
  at: AT,
  task_id: TASK,
  lane: 'factory',
  task_version: 1,
  actor: { type: 'key', id: 'key_01jcqk0v3te8sr3x6y9m2b4n5p' },
  data: { status_before: 'todo', status_after: 'ready' },
};

const CLAIM_EXAMPLE: Extract<ServerFrame, { type: 'claim' }>['claim'] = {
  run_id: RUN,
  task: {
    id: TASK,
    board: 'default',
    title: 'press the parts',
    body: null,
    status: 'running',
    lane: 'factory',
    priority: 0,
    payload: { parts: 3 },
    result: null,
    summary: null,
    metadata: {},
    labels: {},
    tenant: null,
    external_ref: null,
    idempotency_key: null,
    version: 2,
    attempt: 1,
    consecutive_failures: 0,
    max_failures: 3,
    max_runtime_seconds: null,
    no_progress_seconds: null,
    backoff: { base_seconds: 10, factor: 2, cap_seconds: 3600 },
    run_at: null,
    unmet_parents: 0,
    reviewer: null,
    blocked: null,
    claim: {
      run_id: RUN,
      lane: 'factory',
      worker: 'press-1',
      attempt: 1,
      claimed_at: AT,
      lease_expires_at: LATER,
      progress: null,
      cancel_requested: false,
    },
    delegation_id: null,
    origin: null,
    comment_count: 0,
    created_by: { type: 'key', id: 'key_01jcqk0v3te8sr3x6y9m2b4n5p' },
    created_at: AT,
    updated_at: AT,
    status_since: AT,
    finished_at: null,
  },
  lane: 'factory',
  worker: 'press-1',
  attempt: 1,
  claimed_at: AT,
  lease_expires_at: LATER,
  heartbeat_interval_seconds: 300,
  handoff: {
    parents: [],
    comments: [],
    attempts: [],
    review: null,
    delegation: null,
    messages: [],
    truncated: [],
  },
  traceparent: null,
};

export const CLIENT_FRAME_WORDS: { readonly [Type in ClientFrame['type']]: ClientFrameWords<Type> } = {
  watch: {
    part: 'watching',
    summary: 'Send the events after a place in the log that match every filter given.',
    answers: ['watching'],
    example: {
      type: 'watch',
      id: 'w1',
      after: 'start',
      lanes: ['factory'],
      kinds: ['task.ready', 'task.completed'],
    },
  },
  unwatch: {
    part: 'watching',
    summary: 'End that watch. Not answered.',
    answers: [],
    example: { type: 'unwatch', id: 'w1' },
  },
  hello: {
    part: 'working',
    summary:
      'This socket is that worker of that lane: presence, steering, cancels and pushed claims come here.',
    answers: ['reply'],
    example: { type: 'hello', id: 'h1', lane: 'factory', worker: 'press-1', version: '1.4.0', tokens: false },
  },
  credit: {
    part: 'working',
    summary: 'How many more tasks the server may claim for this worker. It sets; it does not add.',
    answers: ['reply'],
    example: { type: 'credit', id: 'c1', lane: 'factory', credits: 2 },
  },
  claim_ack: {
    part: 'working',
    summary: 'The pushed claim has arrived. Not answered, unless it comes too late.',
    answers: [],
    example: { type: 'claim_ack', run_id: RUN },
  },
  heartbeat: {
    part: 'working',
    summary: 'The claim is being worked on: its lease begins anew.',
    answers: ['reply'],
    example: { type: 'heartbeat', id: 'b1', run_id: RUN, progress: 40, note: 'half of the parts' },
  },
  complete: {
    part: 'working',
    summary: 'The work of the claim is done, or done and to be reviewed.',
    answers: ['reply'],
    example: {
      type: 'complete',
      id: 'e1',
      run_id: RUN,
      summary: 'three parts pressed',
      result: { parts: 3 },
    },
  },
  block: {
    part: 'working',
    summary: 'The work cannot go on until somebody does something.',
    answers: ['reply'],
    example: {
      type: 'block',
      id: 'e1',
      run_id: RUN,
      reason: 'which of the two moulds?',
      kind: 'needs_input',
    },
  },
  'request-changes': {
    part: 'working',
    summary: 'The verdict of a reviewer: the work is to be done again.',
    answers: ['reply'],
    example: { type: 'request-changes', id: 'e1', run_id: RUN, reason: 'the third part is cracked' },
  },
  release: {
    part: 'working',
    summary: 'Give the claim back. Not a failure.',
    answers: ['reply'],
    example: { type: 'release', id: 'e1', run_id: RUN, reason: 'shutting down', delay_seconds: 10 },
  },
  fail: {
    part: 'working',
    summary: 'The attempt failed; it is tried again until the task has failed too often.',
    answers: ['reply'],
    example: { type: 'fail', id: 'e1', run_id: RUN, error: 'the press is jammed', kind: 'error' },
  },
  output: {
    part: 'working',
    summary: 'Lines that the worker printed.',
    answers: ['reply'],
    example: { type: 'output', id: 'o1', run_id: RUN, lines: ['heating', 'pressing'] },
  },
  ack: {
    part: 'working',
    summary: 'These steering messages have been read.',
    answers: ['reply'],
    example: { type: 'ack', id: 'a1', run_id: RUN, ids: [MESSAGE] },
  },
};

export const SERVER_FRAME_WORDS: { readonly [Type in ServerFrame['type']]: ServerFrameWords<Type> } = {
  watching: {
    part: 'watching',
    summary: 'The watch stands; events after the cursor follow.',
    example: { type: 'watching', id: 'w1', cursor: CURSOR },
  },
  events: {
    part: 'watching',
    summary: 'Matching events in the order of the log, each once, at least one.',
    example: { type: 'events', id: 'w1', events: [EVENT_EXAMPLE], cursor: CURSOR },
  },
  bookmark: {
    part: 'watching',
    summary: 'Nothing that matches is left at or before the cursor.',
    example: { type: 'bookmark', id: 'w1', cursor: CURSOR },
  },
  available: {
    part: 'both',
    summary: 'A hint that tasks wait for a lane. It promises nothing: a claim decides.',
    example: { type: 'available', lane: 'factory', ready: 12 },
  },
  output: {
    part: 'watching',
    summary: 'Lines that a worker printed, for a watch that asked for them. Not part of the log.',
    example: {
      type: 'output',
      id: 'w1',
      task_id: TASK,
      run_id: RUN,
      number: 1,
      lines: ['heating', 'pressing'],
    },
  },
  claim: {
    part: 'working',
    summary: 'A task, claimed for this worker on its credits. Acknowledge it within 5 seconds.',
    example: { type: 'claim', claim: CLAIM_EXAMPLE },
  },
  cancel: {
    part: 'working',
    summary: 'Somebody wants this claim to end; after the deadline it is taken.',
    example: { type: 'cancel', run_id: RUN, deadline_at: LATER, reason: 'ordered by mistake' },
  },
  steer: {
    part: 'working',
    summary: 'Somebody tells the holder of this claim something.',
    example: { type: 'steer', run_id: RUN, message: { id: MESSAGE, text: 'use the small mould', at: AT } },
  },
  taken_over: {
    part: 'working',
    summary: 'Another worker has taken the lane over.',
    example: { type: 'taken_over', lane: 'factory', worker: 'press-2' },
  },
  reply: {
    part: 'both',
    summary: 'The answer to a frame that has no other: what it brought, or with ok false the problem.',
    example: { type: 'reply', id: 'e1', ok: true, run_id: RUN, outcome: 'completed', task_status: 'done' },
  },
  error: {
    part: 'both',
    summary: 'A frame was refused, or a claim was taken. After a fatal one the server closes the socket.',
    example: {
      type: 'error',
      id: 'w1',
      code: 'cursor_expired',
      title: 'The cursor is older than the retained log',
      detail: 'Take a snapshot, and watch from its cursor.',
      fatal: false,
    },
  },
  drain: {
    part: 'both',
    summary: 'The server is going away: connect again after that time, to any server.',
    example: { type: 'drain', reconnect_after_ms: 850 },
  },
};
