/**
 * lane claim: takes work by hand, for scripts and for people who try things out. The token of a claim is a secret that is shown once, so
 * a table of claims is not offered: JSON, or lines for a shell. Workers that stay use `work`, which also renews the lease.
 */
import type { Command } from 'commander';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { given, integerFrom } from '../options.ts';
import { claimEnvironment } from '../worker/task-document.ts';

interface ClaimFlags {
  readonly max?: number;
  readonly task?: string;
  readonly worker?: string;
  readonly leaseSeconds?: number;
  readonly wait?: number | true;
  readonly env?: boolean;
}

const WAIT_SECONDS_DEFAULT = 30;

export function addClaimCommand(lane: Command, contextOf: () => Context): void {
  lane
    .command('claim <name>')
    .description('claim tasks of a lane; prints the claims with their tokens, which are shown only once')
    .option('--max <n>', 'at most so many', integerFrom(1, LIMITS.claimsMax))
    .option('--task <id>', 'this one')
    .option('--worker <name>', 'who claims (default: the id of the key)')
    .option('--lease-seconds <n>', 'how long without a heartbeat', integerFrom(1, LIMITS.leaseSecondsMax))
    .option(
      '--wait [seconds]',
      `wait for work (default ${WAIT_SECONDS_DEFAULT})`,
      integerFrom(0, LIMITS.waitSecondsMax),
    )
    .option('--env', 'print variables for a shell, as "work" sets them: for "lanekeeper run …"')
    .addHelpText(
      'after',
      `
Takes --json or --env. Exit code 124: there is nothing to claim (now, or within --wait).
A claim is lost when nobody renews its lease: lanekeeper run heartbeat.
`,
    )
    .action((name: string, flags: ClaimFlags) => claim(contextOf(), name, flags));
}

async function claim(context: Context, name: string, flags: ClaimFlags): Promise<void> {
  const { output } = context;
  if (output.isJson === (flags.env ?? false))
    throw new UsageError('Give --json or --env, and not both: the tokens of the claims are shown only once');
  if (flags.env && (flags.max ?? 1) > 1) throw new UsageError('--env is for one claim: leave --max out');
  const seconds = flags.wait === true ? WAIT_SECONDS_DEFAULT : flags.wait;
  const body = given({
    max: flags.max,
    task_id: flags.task,
    worker: flags.worker,
    lease_seconds: flags.leaseSeconds,
  });
  const client = await context.client();
  const options = seconds === undefined ? {} : { waitSeconds: seconds };
  const reply = await client.claims.claim(name, body, options);
  if (output.isJson) output.json(reply);
  const [first] = reply.claims;
  if (first === undefined)
    throw new ExitError(EXIT.waitTimedOut, `Nothing to claim${reply.reason ? `: ${reply.reason}` : ''}.`);
  if (!flags.env) return;
  // The same names as "work" gives its commands.
  for (const [variable, value] of Object.entries(claimEnvironment(first, client.url)))
    output.line(`export ${variable}=${quoted(value)}`);
}

/** For a POSIX shell: nothing within single quotes is special but their end. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
