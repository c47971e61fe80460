/**
 * lane claim: takes work by hand, for scripts and for people who try things out. The token of a claim is a secret that is shown once, so
 * a table of claims is not offered: JSON, or lines for a shell. Workers that stay use `work`, which also renews the lease.
 */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import type { ReplyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { durationUpTo, given, integerFrom } from '../options.ts';
import { claimEnvironment } from '../worker/task-document.ts';
import { WAIT_SECONDS_MAX } from './operation.ts';

interface ClaimFlags {
  readonly max?: number;
  readonly task?: string;
  readonly worker?: string;
  readonly leaseSeconds?: number;
  readonly wait?: number | true;
  readonly env?: boolean;
}

const WAIT_SECONDS_DEFAULT = 30;
/** Between two requests that were not held back. */
const EMPTY_PAUSE_MS = 1_000;

export function addClaimCommand(lane: Command, contextOf: () => Context): void {
  lane
    .command('claim <name>')
    .description('claim tasks of a lane; prints the claims with their tokens, which are shown only once')
    .option('--max <n>', 'at most so many', integerFrom(1, LIMITS.claimsMax))
    .option('--task <id>', 'this one')
    .option('--worker <name>', 'who claims (default: the id of the key)')
    .option('--lease-seconds <n>', 'how long without a heartbeat', integerFrom(1, LIMITS.leaseSecondsMax))
    .option(
      '--wait [duration]',
      `wait for work, like 30s or 2h (default ${WAIT_SECONDS_DEFAULT}s)`,
      durationUpTo(WAIT_SECONDS_MAX, 0),
    )
    .option('--env', 'print variables for a shell, as "work" sets them: for "lanekeeper run …"')
    .addHelpText(
      'after',
      `
Takes --json or --env. Exit code 124: there is nothing to claim (now, or within --wait).
What --env prints is for a subshell, so that the claim's token goes with the claim. Where nothing was claimed it prints "false", which ends
a chain of && also behind eval.
A claim is lost when nobody renews its lease: lanekeeper run heartbeat.
`,
    )
    .action((name: string, flags: ClaimFlags) => claim(contextOf(), name, flags));
}

async function claim(context: Context, name: string, flags: ClaimFlags): Promise<void> {
  try {
    await printClaims(context, name, flags);
  } catch (error) {
    // A shell that evaluates nothing is content, and would go on without a claim.
    if (flags.env && !context.output.isJson) context.output.line('false');
    throw error;
  }
}

async function printClaims(context: Context, name: string, flags: ClaimFlags): Promise<void> {
  const { output } = context;
  if (output.isJson === (flags.env ?? false))
    throw new UsageError('Give --json or --env, and not both: the tokens of the claims are shown only once');
  if (flags.env && (flags.max ?? 1) > 1) throw new UsageError('--env is for one claim: leave --max out');
  const client = await context.client();
  const reply = await request(client, name, flags);
  if (output.isJson) output.json(reply);
  const [first] = reply.claims;
  if (first === undefined)
    throw new ExitError(EXIT.waitTimedOut, `Nothing to claim${reply.reason ? `: ${reply.reason}` : ''}.`);
  if (!flags.env) return;
  // The same names as "work" gives its commands.
  for (const [variable, value] of Object.entries(claimEnvironment(first, client.url)))
    output.line(`export ${variable}=${quoted(value)}`);
}

/** Longer than one request may wait: one after the other. Each is repeated under a key of its own, so that no claim is lost. */
async function request(client: Client, name: string, flags: ClaimFlags): Promise<ReplyOf<'claimTasks'>> {
  const seconds = flags.wait === true ? WAIT_SECONDS_DEFAULT : flags.wait;
  const body = given({
    max: flags.max,
    task_id: flags.task,
    worker: flags.worker,
    lease_seconds: flags.leaseSeconds,
  });
  const { claims, transport } = client;
  const endsAtMs = transport.timing.now() + (seconds ?? 0) * 1000;
  for (;;) {
    const leftSeconds = Math.max(0, Math.ceil((endsAtMs - transport.timing.now()) / 1000));
    const waitSeconds = Math.min(leftSeconds, LIMITS.waitSecondsMax);
    const askedAtMs = transport.timing.now();
    const reply = await claims.claim(name, body, waitSeconds === 0 ? {} : { waitSeconds });
    if (reply.claims.length > 0 || transport.timing.now() >= endsAtMs) return reply;
    // A paused lane is answered at once, whatever wait was asked for.
    const restMs = EMPTY_PAUSE_MS - (transport.timing.now() - askedAtMs);
    if (restMs > 0) await transport.timing.wait(restMs);
  }
}

/** For a POSIX shell: nothing within single quotes is special but their end. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
