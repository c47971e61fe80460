/** run …: what the holder of a claim does with it, under the claim's own token. For scripts that `work` or `dispatch` started. */
import { type Command, Option } from 'commander';
import type { Client } from '../../client/client.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import type { RunCallOptions } from '../../client/resources/runs.ts';
import type { EndReply, HeartbeatReply } from '../../contract/runs.ts';
import type { FAIL_KINDS, WORKER_BLOCK_KINDS } from '../../contract/statuses.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { taskLine } from '../format.ts';
import { giveExamples, given, integerFrom, withExamples } from '../options.ts';
import { printableLines } from '../output.ts';
import type { Register } from '../register.ts';
import { type RunFlag, runOf, tokenOf } from '../run-holder.ts';
import { RUN_EXAMPLES } from './run-examples.ts';
import { addRunRecordCommands } from './run-records.ts';
import { type CompleteFlags, completion } from './task-verbs.ts';

type Metadata = { readonly metadata?: string };
type End = (runs: Client['runs'], run: string, options: RunCallOptions) => Promise<EndReply>;

interface HeartbeatFlags extends Metadata {
  readonly note?: string;
  readonly progress?: string;
  readonly checkpoint?: string;
}

interface FailFlags extends Metadata {
  readonly kind?: (typeof FAIL_KINDS)[number];
  readonly retryAfterSeconds?: number;
  readonly permanent?: boolean;
}

/** The values of the wire; the compiler holds them against the contract, whose schemas would take long to load. */
const BLOCK_KINDS: Record<(typeof WORKER_BLOCK_KINDS)[number], true> = {
  needs_input: true,
  dependency: true,
  capability: true,
  transient: true,
};
const FAILURES: Record<(typeof FAIL_KINDS)[number], true> = {
  error: true,
  rate_limited: true,
  protocol_violation: true,
};

/** As long as the wire lets a task wait. */
const DELAY_SECONDS_MAX = 30 * 86_400;

export const registerRun: Register = (run, contextOf) => {
  withExamples(
    run,
    `  lanekeeper run complete --summary "built" --result '{"files": 3}'
  lanekeeper run complete --summary @notes.md --review --reviewer qa
  lanekeeper run request-changes "the tests are missing"
  lanekeeper run block "waits for its helpers" --kind dependency`,
  );
  run.addHelpText(
    'after',
    `
The token of the claim is taken from LANEKEEPER_TOKEN or --token-file, the run from LANEKEEPER_RUN_ID unless --run names it:
"work" and "dispatch" set both for the processes that they start.
Reasons and errors are taken as they are, also when they begin with @; only options that say so read a file.
`,
  );
  const end = async (flags: RunFlag, act: End): Promise<void> => {
    const context = contextOf();
    const { runs } = await context.client();
    const reply = await act(runs, runOf(context, flags), { token: await tokenOf(context) });
    if (context.output.isJson) context.output.json(reply);
    else context.output.line(taskLine(context.output, reply.task));
  };
  addHeartbeat(run, contextOf);
  addComplete(run, contextOf, end);
  addReasons(run, contextOf, end);
  addFail(run, contextOf, end);
  addRunRecordCommands(run, contextOf);
  giveExamples(run, RUN_EXAMPLES);
};

type EndWith = (flags: RunFlag, act: End) => Promise<void>;

function verb(run: Command, words: string, description: string): Command {
  return run
    .command(words)
    .description(description)
    .option('--run <id>', 'default: LANEKEEPER_RUN_ID')
    .option('--metadata <json>', 'a JSON object, or @file');
}

function addHeartbeat(run: Command, contextOf: () => Context): void {
  verb(run, 'heartbeat', 'extend the lease, and hear what there is to hear')
    .option('--note <text>', 'for the log')
    .option('--progress <n>', 'any rising number')
    .option('--checkpoint <json>', 'where the next attempt could go on; JSON, @file, or - for stdin')
    .action(async (flags: HeartbeatFlags & RunFlag) => {
      const context = contextOf();
      const { note, progress, checkpoint } = flags;
      const body = given({
        note,
        progress: progress === undefined ? undefined : numberOf(progress),
        checkpoint: checkpoint === undefined ? undefined : await context.readJson(checkpoint, '--checkpoint'),
        metadata: await metadataOf(context, flags),
      });
      const { runs } = await context.client();
      const options = { token: await tokenOf(context) };
      // JSON as given; what is wrong with it the server says with a pointer.
      const reply = await runs.heartbeat(
        runOf(context, flags),
        body as BodyOf<'heartbeatRun'> & object,
        options,
      );
      if (context.output.isJson) context.output.json(reply);
      else showHeartbeat(context, reply);
    });
}

function numberOf(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new UsageError('--progress must be a number');
  return number;
}

function showHeartbeat({ output }: Context, reply: HeartbeatReply): void {
  output.line(`lease until ${reply.lease_expires_at}`);
  if (reply.cancel_requested) output.line('cancel requested: stop');
  for (const { id, text } of reply.messages) output.line(`${id}: ${printableLines(text)}`);
}

function addComplete(run: Command, contextOf: () => Context, end: EndWith): void {
  interface Flags extends CompleteFlags, RunFlag {
    readonly review?: boolean;
    readonly reviewer?: string;
  }
  verb(run, 'complete', 'end the run: the task is done, or waits for its review')
    .option('--summary <text>', 'text, @file, or - for stdin')
    .option('--result <json>', 'JSON, @file, or - for stdin')
    .option('--review', 'somebody is to look at the work first')
    .option('--reviewer <lane>', 'the same: the lane that may; without it people decide')
    .action(async (flags: Flags) => {
      const { reviewer, review } = flags;
      const isReviewed = review === true || reviewer !== undefined;
      const body = { ...(await completion(contextOf(), flags)), ...given({ reviewer }) };
      await end(flags, (runs, id, options) =>
        runs.complete(id, isReviewed ? { ...body, review: true } : body, options),
      );
    });
}

function addReasons(run: Command, contextOf: () => Context, end: EndWith): void {
  verb(
    run,
    'request-changes <reason>',
    'end the run of a reviewer: the work goes back. The reason is text, or - for stdin',
  ).action(async (text: string, flags: Metadata & RunFlag) => {
    const body = { reason: await contextOf().readReason(text), ...(await metadataField(contextOf(), flags)) };
    await end(flags, (runs, id, options) => runs.requestChanges(id, body, options));
  });
  verb(run, 'block <reason>', 'end the run: the task needs something. The reason is text, or - for stdin')
    .addOption(new Option('--kind <kind>', 'of what it needs').choices(Object.keys(BLOCK_KINDS)))
    .action(async (text: string, flags: Metadata & RunFlag & Pick<BodyOf<'blockRun'>, 'kind'>) => {
      const reason = await contextOf().readReason(text);
      const body = { reason, ...given({ kind: flags.kind }), ...(await metadataField(contextOf(), flags)) };
      await end(flags, (runs, id, options) => runs.block(id, body, options));
    });
  verb(
    run,
    'release [reason]',
    'end the run without a verdict: the task is ready again, and nothing failed. The reason is text, or - for stdin',
  )
    .option('--delay-seconds <n>', 'not before', integerFrom(0, DELAY_SECONDS_MAX))
    .action(async (text: string | undefined, flags: Metadata & RunFlag & { delaySeconds?: number }) => {
      const reason = text === undefined ? undefined : await contextOf().readReason(text);
      const metadata = await metadataField(contextOf(), flags);
      const body = { ...given({ reason, delay_seconds: flags.delaySeconds }), ...metadata };
      await end(flags, (runs, id, options) => runs.release(id, body, options));
    });
}

function addFail(run: Command, contextOf: () => Context, end: EndWith): void {
  verb(run, 'fail <error>', 'end the run: this attempt failed. The error is text, or - for stdin')
    .addOption(new Option('--kind <kind>', 'of failure').choices(Object.keys(FAILURES)))
    .option('--retry-after-seconds <n>', 'not before', integerFrom(0, DELAY_SECONDS_MAX))
    .option('--permanent', 'no further attempt')
    .action(async (text: string, flags: FailFlags & RunFlag) => {
      const { kind, retryAfterSeconds, permanent } = flags;
      const body = {
        error: await contextOf().readReason(text),
        ...given({ kind, retry_after_seconds: retryAfterSeconds, permanent }),
        ...(await metadataField(contextOf(), flags)),
      };
      await end(flags, (runs, id, options) => runs.fail(id, body, options));
    });
}

async function metadataOf(context: Context, { metadata }: Metadata): Promise<unknown> {
  return metadata === undefined ? undefined : context.readJson(metadata, '--metadata');
}

/** JSON as given; what is wrong with it the server says with a pointer. */
async function metadataField(context: Context, flags: Metadata) {
  return given({ metadata: await metadataOf(context, flags) }) as Pick<BodyOf<'blockRun'>, 'metadata'>;
}
