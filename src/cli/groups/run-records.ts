/** run get | output | ack | batch: what the holder of a claim reads and writes beside its end. */
import type { Command } from 'commander';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Run } from '../../contract/runs.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { counted } from '../format.ts';
import { objectsOf } from '../json-lines.ts';
import type { Output } from '../output.ts';
import { type RunFlag, runOf, tokenOf } from '../run-holder.ts';
import { writeFields } from '../table.ts';

type Operations = BodyOf<'batchRuns'>['operations'];

export function addRunRecordCommands(run: Command, contextOf: () => Context): void {
  run
    .command('get [run]')
    .description('show one run (default: LANEKEEPER_RUN_ID); any key that reads the board may')
    .action((id: string | undefined) => getRun(contextOf(), id));
  run
    .command('output <text>')
    .description('add lines to the output of the task. Text, @file, or - for stdin')
    .option('--run <id>', 'default: LANEKEEPER_RUN_ID')
    .action((text: string, flags: RunFlag) => appendOutput(contextOf(), text, flags));
  run
    .command('ack <messages...>')
    .description('acknowledge messages, which heartbeats repeat until then')
    .option('--run <id>', 'default: LANEKEEPER_RUN_ID')
    .action((ids: string[], flags: RunFlag) => acknowledge(contextOf(), ids, flags));
  run
    .command('batch')
    .description('heartbeats and ends of many claims in one request, each under its own token')
    .requiredOption('--from <file>', 'one JSON object a line: {"op", "token", …}; - for stdin')
    .addHelpText(
      'after',
      `
op is one of heartbeat, output, complete, request-changes, block, release, fail; the other fields are those of the one operation.
Asked as the lane: --token-file or LANEKEEPER_TOKEN is a key of the lane, not of a claim. Exit code 1: one of them has failed.
`,
    )
    .action((flags: { from: string }) => batch(contextOf(), flags.from));
}

async function getRun(context: Context, id: string | undefined): Promise<void> {
  const reply = await (await context.client()).runs.get(runOf(context, id === undefined ? {} : { run: id }));
  if (context.output.isJson) context.output.json(reply);
  else writeRun(context.output, reply.run);
}

function writeRun(output: Output, run: Run): void {
  writeFields(output, [
    ['run', run.run_id],
    ['task', run.task_id],
    ['attempt', String(run.attempt)],
    ['lane', run.lane],
    ['worker', run.worker],
    ['outcome', run.outcome ?? 'running'],
    ['started', run.started_at],
    ['ended', run.ended_at],
    ['summary', run.summary],
    ['error', run.error],
    ['result', run.result === null ? null : JSON.stringify(run.result)],
    ['checkpoint', run.checkpoint === null ? null : JSON.stringify(run.checkpoint)],
  ]);
}

async function appendOutput(context: Context, text: string, flags: RunFlag): Promise<void> {
  const lines = (await context.readText(text)).replace(/\r?\n$/, '').split(/\r?\n/);
  const client = await context.client();
  const [id, options] = [runOf(context, flags), { token: await tokenOf(context) }];
  let accepted = 0;
  // As many at once as the server takes.
  for (let at = 0; at < lines.length; at += LIMITS.outputLinesReceivedMax) {
    const some = lines.slice(at, at + LIMITS.outputLinesReceivedMax);
    accepted += (await client.runs.output(id, some, options)).accepted;
  }
  if (context.output.isJson) context.output.json({ accepted });
  else context.output.line(counted(accepted, 'line'));
}

async function acknowledge(context: Context, ids: readonly string[], flags: RunFlag): Promise<void> {
  const client = await context.client();
  const reply = await client.runs.acknowledge(runOf(context, flags), ids, { token: await tokenOf(context) });
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(`${reply.acknowledged} acknowledged`);
}

async function batch(context: Context, from: string): Promise<void> {
  const operations = objectsOf(await context.readText(from === '-' ? '-' : `@${from}`), from);
  if (operations.length > LIMITS.batchOperationsMax)
    throw new UsageError(`At most ${LIMITS.batchOperationsMax} at once; there are ${operations.length}`);
  const { output } = context;
  // JSON as given; what is wrong with it the server says with a pointer.
  const reply = await (await context.client()).runs.batch(operations as unknown as Operations);
  if (output.isJson) output.json(reply);
  else for (const result of reply.results) output.line(result.ok ? 'ok' : `failed  ${result.problem.code}`);
  const failed = reply.results.filter(({ ok }) => !ok).length;
  if (failed > 0) throw new ExitError(EXIT.error, `${failed} of ${reply.results.length} failed.`);
}
