/** dispatch: a process per task for every lane of kind spawn. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Client } from '../../client/client.ts';
import { Availability } from '../../client/worker/availability.ts';
import { within } from '../../client/worker/waiting.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { LaneKeys } from '../dispatch/lane-keys.ts';
import { SpawnLauncher } from '../dispatch/spawn-launcher.ts';
import { StateDirectory } from '../dispatch/state-directory.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { dataDirectoryOf } from '../local-server.ts';
import { appendTo, durationUpTo, integerFrom, withExamples } from '../options.ts';
import { packageVersion } from '../package-version.ts';
import type { Register } from '../register.ts';
import { OrphanGuard } from '../worker/orphan-guard.ts';
import { Reporter } from '../worker/reporter.ts';
import { followSignals } from '../worker/signals.ts';

interface DispatchFlags {
  readonly lane?: string[];
  readonly name?: string;
  readonly laneKeys?: string;
  readonly passEnv?: string[];
  readonly stateDir?: string;
  readonly lease: number;
  readonly drainSeconds: number;
  readonly once?: boolean;
  readonly verbose?: boolean;
  readonly sendOutput: boolean;
}

/** For a process that has ended its own run: agents still put their memory in order. Hermes waits as long. */
const OWN_END_GRACE_SECONDS = 120;
/** For what processes left running to be ended: TERM, five seconds, KILL. What is then left is the guard's. */
const SETTLE_MS = 6_000;
/** As names of lanes are, so that it makes a directory. One shorter: with a lane's name it is the name of a worker, 128 characters. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

const DETAILS = `
What is spawned is said by the lane: lane set NAME --kind spawn --spawn '{"argv": […], "cwd"?, "env"?, "concurrency"?,
"timeout_seconds"?}'. In argv and cwd {lane}, {task}, {run} and {board} are filled in. Each process runs without a shell,
in a process group of its own, once per task:
  stdin    the task as one JSON document, with what earlier attempts left under "handoff"
  env      PATH, HOME, USER, LANG and the like; what --pass-env names; what the lane's env sets, where "\${NAME}" is the
           dispatcher's variable of that name; the claim as LANEKEEPER_TASK_ID, LANEKEEPER_RUN_ID, LANEKEEPER_ATTEMPT,
           LANEKEEPER_LANE, LANEKEEPER_BOARD, LANEKEEPER_URL, LANEKEEPER_STEERING_FILE, and LANEKEEPER_TOKEN, which speaks
           for this claim only; and as HERMES_KANBAN_TASK, HERMES_KANBAN_RUN_ID, HERMES_KANBAN_BOARD
  output   is sent to the server line by line ("task output")
  exit 0   is right when the process has ended its run itself (complete, block, release, fail); else it is a
           protocol violation, and the third in a row gives the task up
  exit 75  fails it as rate limited, to be tried later
  else     fails it; the end of stderr, or of stdout where that is empty, is the error
A cancel, a lost claim and timeout_seconds stop the whole group: TERM, KILL after 5 s. Lanes of kind persistent and human
are let be. Lanes that appear, change, are paused or deleted while it runs are followed.
Ctrl-C or TERM drains, as with "work". A dispatcher that is killed leaves its processes running: the next one of its
name goes on with them, or reports how they ended. With none within a lease (--lease) they are stopped.
Key: an admin key; or a lane's own key, for that lane; or any key that reads the board, and --lane-keys.
On each lane it is the worker NAME/LANE. Whoever may change lanes decides what runs here, and whoever reads them sees it: see
docs/dispatch.md.
`;

export const registerDispatch: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper lane register agent --kind spawn --spawn '{"argv": ["./agent.sh", "{task}"], "concurrency": 2}'
  lanekeeper dispatch
  lanekeeper dispatch --lane agent --lane reviewer --name box-1 --pass-env 'OPENAI_*'
  lanekeeper dispatch --once`,
  );
  command
    .description('Spawn a process for each task of the lanes of kind spawn.')
    .option('--lane <name>', 'only this lane (repeatable; default: all of kind spawn)', appendTo)
    .option(
      '--name <name>',
      'what this dispatcher is called, for its processes to be found again (default: host name)',
    )
    .option('--lane-keys <directory>', "claim with the lanes' own keys, from files LANE.key")
    .option(
      '--pass-env <name>',
      'variable of this environment for every process, or PREFIX* (repeatable)',
      appendTo,
    )
    .option(
      '--state-dir <directory>',
      'where it keeps what it needs to go on (default: dispatch in the data directory)',
    )
    .option(
      '--lease <duration>',
      'how long a claim outlives this process, like 60 or 5m',
      durationUpTo(LIMITS.leaseSecondsMax),
      60,
    )
    .option(
      '--drain-seconds <n>',
      'how long running processes may finish',
      integerFrom(0, LIMITS.leaseSecondsMax),
      30,
    )
    .option('--once', 'end when nothing is ready and nothing runs')
    .option('--no-send-output', 'keep what the processes print from the server, where task output shows it')
    .option('-v, --verbose', 'show the output of the processes (on a terminal always)')
    .addHelpText('after', DETAILS)
    .action((flags: DispatchFlags) => dispatch(contextOf(), flags));
};

async function dispatch(context: Context, flags: DispatchFlags): Promise<void> {
  const { output, system } = context;
  if (process.platform === 'win32')
    throw new UsageError('dispatch needs process groups, which Windows does not have');
  const name = flags.name ?? defaultName();
  if (!NAME.test(name)) throw new UsageError(`--name must match ${NAME.source}`);
  const client = await context.client();
  const { drain, hardStop } = followSignals(context);
  const reporter = new Reporter(output, flags.verbose ?? system.stdout.isTTY === true);
  const availability = new Availability(client, reporter);
  const scope = await scopeOf({ client, availability }, flags, drain);
  const root = resolve(
    system.workingDirectory,
    flags.stateDir ?? join(dataDirectoryOf(system.env, system.workingDirectory), 'dispatch'),
  );
  const state = StateDirectory.take(join(root, client.board, name));
  const guard = OrphanGuard.start(system.env['PATH'], {
    seconds: flags.lease,
    directory: state.path,
    word: state.word,
  });
  const spawner = new SpawnLauncher({
    state,
    guard,
    url: client.url,
    env: system.env,
    passed: flags.passEnv ?? [],
    workingDirectory: system.workingDirectory,
    warn: (text) => reporter.warn(text),
  });
  const keys =
    flags.laneKeys === undefined
      ? null
      : new LaneKeys(client, resolve(system.workingDirectory, flags.laneKeys));
  const dispatcher = new Dispatcher({
    client,
    clientFor: (lane) => (keys === null ? client : keys.clientFor(lane)),
    lanes: scope,
    worker: name,
    version: packageVersion(),
    spawner,
    leaseSeconds: flags.lease,
    ownEndGraceSeconds: OWN_END_GRACE_SECONDS,
    drainSeconds: flags.drainSeconds,
    endsWhenIdle: flags.once ?? false,
    sendsOutput: flags.sendOutput,
    reporter,
    drain,
    hardStop,
  });
  try {
    await dispatcher.run();
  } finally {
    await within(spawner.settled(), SETTLE_MS);
    state.release();
    guard.close();
  }
}

/** The lanes to serve; null: all. A key that cannot claim is told so before anything is taken or spawned. */
async function scopeOf(
  { client, availability }: { readonly client: Client; readonly availability: Availability },
  { lane: named, laneKeys }: DispatchFlags,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  const who = await availability.ask(() => client.whoami({ signal, retry: { attemptsMax: 1 } }), signal);
  if (who === null) return [];
  const { principal } = who;
  if (principal.type !== 'key')
    throw new ExitError(EXIT.auth, `A claim token cannot dispatch. ${WHAT_IT_TAKES}`);
  const { role, lane } = principal.key;
  if (role === 'lane') {
    const other = named?.find((name) => name !== lane);
    if (other !== undefined && laneKeys === undefined)
      throw new ExitError(
        EXIT.auth,
        `The key is that of lane ${lane} and cannot claim for ${other}. ${WHAT_IT_TAKES}`,
      );
    return named ?? (laneKeys === undefined && typeof lane === 'string' ? [lane] : null);
  }
  if (role !== 'admin' && laneKeys === undefined)
    throw new ExitError(EXIT.auth, `A key of role ${role} cannot claim. ${WHAT_IT_TAKES}`);
  return named ?? null;
}

const WHAT_IT_TAKES =
  "Next: an admin key; a lane's own key (lanekeeper lane key LANE), for that lane; or --lane-keys DIR with a file LANE.key for each";

function defaultName(): string {
  const plain = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return plain.slice(0, 63) || 'dispatcher';
}
