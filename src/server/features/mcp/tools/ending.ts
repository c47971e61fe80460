/** The ends of a run. Each may be repeated: it names its run, and the same end with the same words is answered again. */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import { TaskReference } from '../../../../contract/identifiers.ts';
import { linkParent } from '../../../../contract/links.ts';
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
import { ProblemError } from '../../../kernel/problem-error.ts';
import { askAs } from '../asking.ts';
import { holderOf, ofRun, RUN_NEEDED } from '../holding.ts';
import { firstFitting, type ToolDocument } from '../results.ts';
import { defineTool, type Tool, type ToolCall } from '../tool.ts';

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

interface EndDefinition<S extends z.ZodObject> {
  readonly name: string;
  readonly description: string;
  readonly input: S;
  /** In the name of the holder. */
  readonly end: (call: ToolCall, holder: ClaimPrincipal, said: z.infer<S>) => Promise<EndReply>;
}

/** Without the other fields. */
const RunNamed = z.object(ofRun);

function defineEnd<S extends z.ZodObject>({ name, description, input, end }: EndDefinition<S>): Tool {
  return defineTool({
    name,
    description,
    audience: HOLDERS,
    needed: RUN_NEEDED,
    isRepeatable: true,
    input: input.extend(ofRun),
    output: Ended,
    run: async (call, given) => {
      const { run_id: _run, worker: _worker, ...said } = given;
      const holder = await holderOf(call, RunNamed.parse(given));
      return endedOf(call, holder, await end(call, holder, input.parse(said)));
    },
  });
}

const complete = defineEnd({
  name: 'complete_task',
  description:
    'The task is done. The summary must say by itself what came of it; result is JSON for programs. review: true asks somebody to look at it first.',
  input: CompleteBody.omit({ artifacts: true }).extend({
    summary: Summary.min(1).describe(
      'What you did and what came of it, for a reader who knows nothing else.',
    ),
  }),
  end: (call, holder, body) => askAs(call, holder, completeRun, { params: { run: holder.runId }, body }),
});

const block = defineEnd({
  name: 'block_task',
  description:
    'You cannot go on: needs_input (a person must answer; ask in reason), dependency (other tasks must be done first: name them in waits_for, and yours goes on when they are), capability (you cannot do this), transient (try again later).',
  input: BlockBody.omit({ metadata: true }).extend({
    waits_for: absent(z.array(TaskReference).min(1).max(LIMITS.parentsMax)).describe(
      'Ids of the tasks that must be done first, as those of create_tasks. With kind dependency, which may be left out then.',
    ),
  }),
  end: async (call, holder, { waits_for: parents, kind, ...body }) => {
    if (!parents)
      return askAs(call, holder, blockRun, { params: { run: holder.runId }, body: { ...body, kind } });
    if (kind && kind !== 'dependency')
      throw new ProblemError('invalid_request', 'What waits for tasks is of the kind dependency.', {
        errors: [{ pointer: '/kind', detail: 'must be dependency, or left out, with waits_for' }],
      });
    await linkAll(call, holder, parents);
    const parked = { ...body, kind: 'dependency' as const };
    return askAs(call, holder, blockRun, { params: { run: holder.runId }, body: parked });
  },
});

/** Links are made before the end, while the claim still allows it; a link that is there already is no mistake. */
async function linkAll(call: ToolCall, holder: ClaimPrincipal, parents: readonly string[]): Promise<void> {
  try {
    for (const parent of new Set(parents))
      await askAs(call, holder, linkParent, { params: { board: holder.board, task: holder.taskId, parent } });
  } catch (error) {
    // Of an end that is repeated the links stand, and the end itself is answered again, or says what has become of the claim.
    if (!(error instanceof ProblemError && error.code === 'claim_lost')) throw error;
  }
}

const fail = defineEnd({
  name: 'fail_task',
  description: 'This attempt failed. It is tried again later unless retryable is false.',
  input: z.strictObject({
    error: FailBody.shape.error.describe('What went wrong, for whoever tries next.'),
    retryable: absent(z.boolean()).describe('Default true. false: nobody should try this again as it is.'),
  }),
  end: (call, holder, { error, retryable }) => {
    const body = retryable === false ? { error, permanent: true } : { error };
    return askAs(call, holder, failRun, { params: { run: holder.runId }, body });
  },
});

const release = defineEnd({
  name: 'release_task',
  description: 'Give the task back for another worker, without a verdict; not a failure.',
  input: ReleaseBody.omit({ metadata: true }),
  end: (call, holder, body) => askAs(call, holder, releaseRun, { params: { run: holder.runId }, body }),
});

const requestChanges = defineEnd({
  name: 'request_changes',
  description:
    'Only for work that you claimed to review: send it back to whoever did it, with what is to change.',
  input: RequestChangesBody.omit({ metadata: true }),
  end: (call, holder, body) =>
    askAs(call, holder, requestRunChanges, { params: { run: holder.runId }, body }),
});

export const ENDING_TOOLS = [complete, block, fail, release, requestChanges];
