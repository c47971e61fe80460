/** The ends of a run. Each may be repeated: the same end with the same words is answered again. */
import { z } from 'zod';
import { listMessages } from '../../../../contract/messages.ts';
import {
  BlockBody,
  blockRun,
  CompleteBody,
  completeRun,
  type EndReply,
  FailBody,
  failRun,
  ReleaseBody,
  RequestChangesBody,
  releaseRun,
  requestRunChanges,
} from '../../../../contract/runs.ts';
import { Outcome, TaskStatus } from '../../../../contract/statuses.ts';
import { absent, Summary } from '../../../../contract/values.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import { askAs } from '../asking.ts';
import { holderOf, ofRun } from '../holding.ts';
import { firstFitting, type ToolDocument } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';

const HOLDERS = ['lane', 'claim'] as const;

const Ended = z.looseObject({
  run_id: z.string(),
  task_id: z.string(),
  outcome: Outcome.nullable(),
  task_status: TaskStatus,
  cancel_requested: z.boolean(),
  messages: z.array(z.looseObject({})).describe('What people told you that came too late to be heard.'),
});

const MISSED_BYTES_MAX = 8000;

/** What the last answer of a run says. */
async function endedOf(
  call: ToolCall,
  holder: ClaimPrincipal,
  { task, run }: EndReply,
): Promise<ToolDocument> {
  const params = { board: holder.board, task: task.id };
  const { messages } = await askAs(call, holder, listMessages, { params });
  const missed = messages.filter(({ state, at }) => state === 'missed' && at >= run.started_at);
  return {
    run_id: run.run_id,
    task_id: task.id,
    outcome: run.outcome,
    task_status: task.status,
    cancel_requested: run.outcome === 'cancelled',
    messages: firstFitting(
      missed.map(({ id, text, at }) => ({ id, text, at })),
      MISSED_BYTES_MAX,
    ),
  };
}

const complete = defineTool({
  name: 'complete_task',
  description:
    'The task is done. The summary must say by itself what came of it; result is JSON for programs. review: true asks somebody to look at it first.',
  audience: HOLDERS,
  input: CompleteBody.omit({ artifacts: true }).extend({
    summary: Summary.min(1).describe(
      'What you did and what came of it, for a reader who knows nothing else.',
    ),
    ...ofRun,
  }),
  output: Ended,
  run: async (call, { run_id, worker, ...body }) => {
    const holder = await holderOf(call, { run_id, worker });
    return endedOf(
      call,
      holder,
      await askAs(call, holder, completeRun, { params: { run: holder.runId }, body }),
    );
  },
});

const block = defineTool({
  name: 'block_task',
  description:
    'You cannot go on: needs_input (a person must answer; ask in reason), dependency (it waits for other tasks), capability (you cannot do this), transient (try again later).',
  audience: HOLDERS,
  input: BlockBody.omit({ metadata: true }).extend(ofRun),
  output: Ended,
  run: async (call, { run_id, worker, ...body }) => {
    const holder = await holderOf(call, { run_id, worker });
    return endedOf(
      call,
      holder,
      await askAs(call, holder, blockRun, { params: { run: holder.runId }, body }),
    );
  },
});

const fail = defineTool({
  name: 'fail_task',
  description: 'This attempt failed. It is tried again later unless retryable is false.',
  audience: HOLDERS,
  input: z.strictObject({
    error: FailBody.shape.error.describe('What went wrong, for whoever tries next.'),
    retryable: absent(z.boolean()).describe('Default true. false: nobody should try this again as it is.'),
    ...ofRun,
  }),
  output: Ended,
  run: async (call, { error, retryable, ...run }) => {
    const holder = await holderOf(call, run);
    const body = retryable === false ? { error, permanent: true } : { error };
    return endedOf(call, holder, await askAs(call, holder, failRun, { params: { run: holder.runId }, body }));
  },
});

const release = defineTool({
  name: 'release_task',
  description: 'Give the task back for another worker, without a verdict; not a failure.',
  audience: HOLDERS,
  input: ReleaseBody.omit({ metadata: true }).extend(ofRun),
  output: Ended,
  run: async (call, { run_id, worker, ...body }) => {
    const holder = await holderOf(call, { run_id, worker });
    return endedOf(
      call,
      holder,
      await askAs(call, holder, releaseRun, { params: { run: holder.runId }, body }),
    );
  },
});

const requestChanges = defineTool({
  name: 'request_changes',
  description:
    'Only for work that you claimed to review: send it back to whoever did it, with what is to change.',
  audience: HOLDERS,
  input: RequestChangesBody.omit({ metadata: true }).extend(ofRun),
  output: Ended,
  run: async (call, { run_id, worker, ...body }) => {
    const holder = await holderOf(call, { run_id, worker });
    const params = { run: holder.runId };
    return endedOf(call, holder, await askAs(call, holder, requestRunChanges, { params, body }));
  },
});

export const ENDING_TOOLS = [complete, block, fail, release, requestChanges];
