/** What the holder of a task says while it works. Each is a sign of life, and each answer tells it what it should hear. */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import { MessageId, TaskReference } from '../../../../contract/identifiers.ts';
import { OutputBody } from '../../../../contract/outputs.ts';
import { acknowledgeMessages, appendOutput, HeartbeatBody } from '../../../../contract/runs.ts';
import { addComment } from '../../../../contract/task-routes.ts';
import { CommentBody } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import { present } from '../../../kernel/assert.ts';
import { askAs } from '../asking.ts';
import { beat, hear, heardOf, heardShape, holderOf, ofRun, RUN_NEEDED } from '../holding.ts';
import { RequestId, WaitSeconds } from '../inputs.ts';
import { defineTool } from '../tool.ts';
import { TASK_KINDS, waitFor } from '../waiting.ts';

const HOLDERS = ['lane', 'claim'] as const;
const { progress, note, checkpoint } = HeartbeatBody.shape;
const Heard = z.looseObject(heardShape);

const heartbeat = defineTool({
  name: 'heartbeat',
  description:
    'Say that you are still at work: keeps the claim, and tells you of messages and cancels. Call it at least every heartbeat_interval_seconds.',
  audience: HOLDERS,
  needed: RUN_NEEDED,
  input: z.strictObject({
    progress,
    note: note.describe('What you are doing, for people who watch.'),
    ...ofRun,
  }),
  output: Heard,
  run: async (call, { run_id, worker, ...body }) =>
    hear(call, await holderOf(call, { run_id, worker }), body),
});

const reportProgress = defineTool({
  name: 'progress',
  description:
    'Say how far you are, with a number that rises, and keep a checkpoint that the next attempt gets if this one dies.',
  audience: HOLDERS,
  needed: RUN_NEEDED,
  input: z.strictObject({ progress: z.number().describe('Any rising number.'), note, checkpoint, ...ofRun }),
  output: Heard,
  run: async (call, { run_id, worker, ...body }) =>
    hear(call, await holderOf(call, { run_id, worker }), body),
});

const comment = defineTool({
  name: 'comment',
  description: 'Write a comment on your task: for people, and for whoever works on it next.',
  audience: HOLDERS,
  needed: RUN_NEEDED,
  input: z.strictObject({
    body: CommentBody,
    task_id: absent(TaskReference).describe('Only your own task; may be left out.'),
    request_id: RequestId,
    ...ofRun,
  }),
  output: Heard.extend({ comment_id: z.string() }),
  run: async (call, { body, task_id: named, request_id: idempotencyKey, ...run }) => {
    const holder = await holderOf(call, run);
    const params = { board: holder.board, task: named ?? holder.taskId };
    const said = await askAs(call, holder, addComment, { params, body: { body }, idempotencyKey });
    return { comment_id: said.comment.id, ...(await hear(call, holder)) };
  },
});

const output = defineTool({
  name: 'output',
  description: 'Append lines to the output of your task, which people see live. The last lines are kept.',
  audience: HOLDERS,
  needed: RUN_NEEDED,
  input: OutputBody.extend(ofRun),
  output: Heard.extend({ accepted: z.int() }),
  run: async (call, { lines, ...run }) => {
    const holder = await holderOf(call, run);
    const { accepted } = await askAs(call, holder, appendOutput, {
      params: { run: holder.runId },
      body: { lines },
    });
    return { accepted, ...(await hear(call, holder)) };
  },
});

const inbox = defineTool({
  name: 'inbox',
  description:
    'Read what people tell you about your task, wait for it if you like, and acknowledge what you have taken in.',
  audience: HOLDERS,
  needed: RUN_NEEDED,
  isRepeatable: true,
  input: z.strictObject({
    wait_seconds: WaitSeconds,
    acknowledge: absent(z.array(MessageId).min(1).max(LIMITS.messagesMax)).describe(
      'Ids of messages that you have read and will follow; they are not repeated.',
    ),
    ...ofRun,
  }),
  output: Heard,
  run: async (call, { wait_seconds: waitSeconds, acknowledge, ...run }) => {
    const holder = await holderOf(call, run);
    const params = { run: holder.runId };
    if (acknowledge) await askAs(call, holder, acknowledgeMessages, { params, body: { ids: acknowledge } });
    if (!waitSeconds) return heardOf(holder, await beat(call, holder));
    const waited = await waitFor(call, {
      board: holder.board,
      holder,
      waitSeconds,
      kinds: TASK_KINDS,
      tasks: new Set([holder.taskId]),
      read: async () => null,
      // It ends with whatever its holder is to hear.
      isDone: () => false,
    });
    return heardOf(holder, present(waited.heard, 'a holder was heard of'));
  },
});

export const WORKING_TOOLS = [heartbeat, reportProgress, comment, output, inbox];
