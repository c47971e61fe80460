/** work LANE -- CMD: makes any command a lane's worker. */
import { hostname } from 'node:os';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { durationUpTo, integerFrom, withExamples } from '../options.ts';
import { packageVersion } from '../package-version.ts';
import type { Register } from '../register.ts';
import { CommandLauncher } from '../work/command-launcher.ts';
import { isRunnable } from '../worker/command-path.ts';
import { LaneWorker } from '../worker/lane-worker.ts';
import { Reporter } from '../worker/reporter.ts';
import { followSignals } from '../worker/signals.ts';

interface WorkFlags {
  readonly concurrency: number;
  readonly worker?: string;
  readonly lease: number;
  readonly timeout?: number;
  readonly drainSeconds: number;
  readonly once?: boolean;
  readonly maxTasks?: number;
  readonly register?: boolean;
  readonly verbose?: boolean;
  readonly sendOutput: boolean;
}

/** With --once somebody waits for us: half a minute covers the start of a server, not its absence. */
const CONNECT_SECONDS = 30;
/** After a command has ended its own run through the API. A guess: cleaning up takes seconds. */
const OWN_END_GRACE_SECONDS = 10;
/** As many as one batch of heartbeats carries. */
const CONCURRENCY_MAX = LIMITS.batchOperationsMax;

const DETAILS = `
The command runs without a shell, in a process group of its own, once per task:
  stdin    the task as one JSON document, with what earlier attempts left under "handoff"
  env      LANEKEEPER_TASK_ID, LANEKEEPER_RUN_ID, LANEKEEPER_ATTEMPT, LANEKEEPER_LANE, LANEKEEPER_BOARD,
           LANEKEEPER_URL, and LANEKEEPER_TOKEN, which speaks for this claim only
  steering LANEKEEPER_STEERING_FILE names a file to which every message for the task is appended while the command
           runs ("task steer"), one JSON document {id, at, text} a line; appended means acknowledged
  output   is sent to the server line by line ("task output"); some may be left out, never held back
  exit 0   completes the task; the end of stdout is the summary. A JSON object on its last line is taken as
           {summary, result, metadata}, or as the result when it has none of these
  exit 75  fails it as rate limited, to be tried later
  else     fails it; the end of stderr is the error
While it runs the lease is kept. A cancel, a lost claim and --timeout stop the whole group: TERM, KILL after 5 s.
So does a lease without any contact with the server, because another may hold the task soon. It is then given back as
soon as the server answers: no failure when the claim had outlived the outage, and "lost" when it had not.
When another worker takes the lane over, or another process says hello under the name of this one (--worker), it claims
no more, lets what still runs end as in a drain, and ends with exit code 5. On a lane in pull mode it hears of that
with its next heartbeat for a claim that it has lost.
Ctrl-C or TERM drains: no new tasks, --drain-seconds for running ones, then they are stopped and given back.
A second Ctrl-C stops at once. When the worker itself is killed, its commands are stopped as well (not on Windows).
`;

export const registerWork: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper work factory -- ./build.sh
  lanekeeper work factory --concurrency 4 --timeout 30m -- node job.js --fast
  lanekeeper work factory --register --once -- sh -c 'jq -r .title'`,
  );
  command
    .description('Run a command for each task of a lane.')
    .argument('<lane>', 'the lane to work on')
    .argument('<command...>', 'after --: the command and its arguments')
    .option('-c, --concurrency <n>', 'tasks at once', integerFrom(1, CONCURRENCY_MAX), 1)
    .option('--worker <name>', 'what this worker is called (default: host name and pid)')
    .option(
      '--lease <duration>',
      'how long a claim outlives this process, like 60 or 5m',
      durationUpTo(LIMITS.leaseSecondsMax),
      60,
    )
    .option(
      '--timeout <duration>',
      'stop and fail a command that takes longer, like 90s or 30m',
      durationUpTo(LIMITS.leaseSecondsMax),
    )
    .option(
      '--drain-seconds <n>',
      'how long running commands may finish',
      integerFrom(0, LIMITS.leaseSecondsMax),
      30,
    )
    .option('--once', 'end after one task')
    .option('--max-tasks <n>', 'end after so many tasks', integerFrom(1, Number.MAX_SAFE_INTEGER))
    .option('--register', 'register the lane when there is none of this name')
    .option('--no-send-output', 'keep what the commands print from the server, where task output shows it')
    .option('-v, --verbose', 'show the output of the commands (on a terminal always)')
    .addHelpText('after', DETAILS)
    .action((lane: string, argv: string[], flags: WorkFlags) => work(contextOf(), lane, { argv, flags }));
};

interface WorkRequest {
  readonly argv: readonly string[];
  readonly flags: WorkFlags;
}

async function work(context: Context, lane: string, { argv, flags }: WorkRequest): Promise<void> {
  const [command, ...rest] = argv;
  if (command === undefined) throw new UsageError('Give a command after --');
  checkCommand(command, context);
  const client = await context.client();
  const { drain, hardStop } = followSignals(context);
  const showsOutput = flags.verbose ?? context.system.stdout.isTTY === true;
  const launcher = new CommandLauncher({
    client,
    argv: [command, ...rest],
    env: context.system.env,
    timeoutSeconds: flags.timeout ?? null,
  });
  const worker = new LaneWorker({
    client,
    lane,
    worker: flags.worker ?? defaultWorkerName(),
    version: packageVersion(),
    launcher,
    hands: () => flags.concurrency,
    leaseSeconds: flags.lease,
    ownEndGraceSeconds: OWN_END_GRACE_SECONDS,
    drainSeconds: flags.drainSeconds,
    tasksMax: flags.once ? 1 : (flags.maxTasks ?? null),
    connectSeconds: flags.once ? CONNECT_SECONDS : null,
    mayRegister: flags.register ?? false,
    sendsOutput: flags.sendOutput,
    reporter: new Reporter(context.output, showsOutput),
    drain,
    hardStop,
  });
  try {
    await worker.run();
  } finally {
    launcher.close();
  }
}

/** A command that is not there would fail task after task. */
function checkCommand(command: string, { system }: Context): void {
  if (!isRunnable(command, { path: system.env['PATH'], cwd: system.workingDirectory }))
    throw new UsageError(`There is no command ${command} that could be run`);
}

function defaultWorkerName(): string {
  const host = hostname().replace(/[^\x21-\x7e]/g, '-') || 'worker';
  // The longest a worker's name may be is 128 characters; a pid has at most 7.
  return `${host.slice(0, 120)}-${process.pid}`;
}
