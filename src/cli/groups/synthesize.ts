/** synthesize: a worker for the synthesizer lane that asks a model for each reply. */
import { hostname } from 'node:os';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { durationUpTo, integerFrom, withExamples } from '../options.ts';
import { packageVersion } from '../package-version.ts';
import type { Register } from '../register.ts';
import { SynthesisLauncher } from '../synthesize/synthesis-launcher.ts';
import { LaneWorker } from '../worker/lane-worker.ts';
import { Reporter } from '../worker/reporter.ts';
import { followSignals } from '../worker/signals.ts';

interface SynthesizeFlags {
  readonly endpoint: string;
  readonly model: string;
  readonly lane: string;
  readonly concurrency: number;
  readonly worker?: string;
  readonly timeout: number;
  readonly once?: boolean;
  readonly register?: boolean;
}

/** A reply has 45 s from its event on; what is not there after that is told without it. */
const TIMEOUT_SECONDS_DEFAULT = 40;
const CONNECT_SECONDS = 30;
const DRAIN_SECONDS = 10;
const LEASE_SECONDS = 30;

export const registerSynthesize: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper synthesize --endpoint https://api.openai.com/v1 --model gpt-4o-mini --register
  lanekeeper board set default --synthesizer-lane synthesizer --synthesize-platforms telegram`,
  );
  command
    .description(
      'Make replies of outcomes: a worker of the synthesizer lane that asks a model over the chat completions protocol.',
    )
    .requiredOption('--endpoint <url>', 'where /chat/completions is found')
    .requiredOption('--model <name>', 'which model is asked')
    .option('--lane <name>', "the board's synthesizer lane", 'synthesizer')
    .option('-c, --concurrency <n>', 'replies at once', integerFrom(1, LIMITS.batchOperationsMax), 4)
    .option('--worker <name>', 'what this worker is called (default: host name and pid)')
    .option(
      '--timeout <duration>',
      'give an answer up after this',
      durationUpTo(3600),
      TIMEOUT_SECONDS_DEFAULT,
    )
    .option('--once', 'end after one reply')
    .option('--register', 'register the lane when there is none of this name')
    .addHelpText(
      'after',
      '\nThe key of the model is read from LANEKEEPER_SYNTHESIZE_KEY, or from OPENAI_API_KEY.\n',
    )
    .action((flags: SynthesizeFlags) => synthesize(contextOf(), flags));
};

async function synthesize(context: Context, flags: SynthesizeFlags): Promise<void> {
  if (!URL.canParse(flags.endpoint) || !/^https?:/.test(flags.endpoint))
    throw new UsageError('--endpoint must be an http or https URL');
  const { env } = context.system;
  const client = await context.client();
  const { drain, hardStop } = followSignals(context);
  const launcher = new SynthesisLauncher({
    endpoint: flags.endpoint,
    model: flags.model,
    apiKey: env['LANEKEEPER_SYNTHESIZE_KEY'] || env['OPENAI_API_KEY'] || null,
    timeoutSeconds: flags.timeout,
  });
  const worker = new LaneWorker({
    client,
    lane: flags.lane,
    worker:
      flags.worker ??
      `${
        hostname()
          .replace(/[^\x21-\x7e]/g, '-')
          .slice(0, 100) || 'synthesizer'
      }-${process.pid}`,
    version: packageVersion(),
    launcher,
    hands: () => flags.concurrency,
    leaseSeconds: LEASE_SECONDS,
    ownEndGraceSeconds: 0,
    drainSeconds: DRAIN_SECONDS,
    tasksMax: flags.once ? 1 : null,
    connectSeconds: flags.once ? CONNECT_SECONDS : null,
    mayRegister: flags.register ?? false,
    sendsOutput: false,
    reporter: new Reporter(context.output, false),
    drain,
    hardStop,
  });
  try {
    await worker.run();
  } finally {
    launcher.close();
  }
}
