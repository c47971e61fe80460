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
import { parseId } from '../../../kernel/ids.ts';
import { waitForChange } from '../../watch/service.ts';
import { askAs, RequestId, WaitSeconds } from '../asking.ts';
import { beat, hear, heardOf, heardShape, holderOf, ofRun } from '../holding.ts';
import { defineTool } from '../tool.ts';

const HOLDERS = ['lane', 'claim'] as const;
const { progress, note, checkpoint } = HeartbeatBody.shape;
const Heard = z.looseObject(heardShape);

const heartbeat = defineTool({
  name: 'heartbeat',
  description:
    'Say that you are still at work: keeps the claim, and tells you of messages and cancels. Call it every minute or two.',
  audience: HOLDERS,
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
  input: z.strictObject({ progress: z.number().describe('Any rising number.'), note, checkpoint, ...ofRun }),
  output: Heard,
  run: async (call, { run_id, worker, ...body }) =>
    hear(call, await holderOf(call, { run_id, worker }), body),
});

const comment = defineTool({
  name: 'comment',
  description: 'Write a comment on your task: for people, and for whoever works on it next.',
  audience: HOLDERS,
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
    const read = () => beat(call, holder);
    if (!waitSeconds) return heardOf(holder, await read());
    const { parts, exchange } = call;
    const reply = await call.whileWaiting(
      waitForChange({
        feeds: parts.feeds,
        board: await parts.boards.resolve(holder.board),
        of: { taskId: present(parseId('task', holder.taskId), 'a holder has a task') },
        waitSeconds,
        signal: exchange.signal,
        read,
        isDone: ({ messages, cancel_requested: isCancelled }) => messages.length > 0 || isCancelled,
      }),
    );
    return heardOf(holder, reply);
  },
});

export const WORKING_TOOLS = [heartbeat, reportProgress, comment, output, inbox];
