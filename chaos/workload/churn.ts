/**
 * Work that comes and goes, at a steady rate, on a board that forgets what is over. Beside it families that last: a parent that is soon done,
 * another one that nobody lets go on for long, and a child that waits for both; nothing of these may be forgotten until the child is done.
 */
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import { createBatch } from './create-batch.ts';
import { type HeldClaim, writeOverHttp } from './holder.ts';
import { end } from './life-parts.ts';
import { Operator } from './operator.ts';
import { joinRun, type LanePlan, type PartyChannel } from './party-channel.ts';
import { pause } from './pause.ts';
import { pullLoop } from './pull-loop.ts';
import { WorkerContext } from './worker-context.ts';

const LOOPS = 2;
/** With what a creation takes some six tasks a second: a hundred are there at any time, and two hundred events. */
const CREATE_MS = [80, 200] as const;
const WORK_MS = [10, 120] as const;
const RELEASE_SHARE = 0.08;
const OUTPUT_SHARE = 0.15;
const FAMILY_MS = [5000, 8000] as const;
/** Several times what is kept of it would be. */
const FAMILY_LASTS_MS = [10_000, 20_000] as const;
const FINISH_RETRY_MS = [200, 900] as const;
const LEAVE_WITHIN_MS = 4000;

class Churn {
  readonly #context: WorkerContext;
  readonly #operator: Operator;
  readonly #lane: LanePlan;
  #batches = 0;
  #families = 0;

  constructor(channel: PartyChannel, lane: LanePlan) {
    const { config } = channel;
    const recorder = new Recorder(config.directory, config.process);
    const random = new Random(config.seed).of(config.process);
    this.#context = new WorkerContext(channel, recorder, random);
    this.#operator = new Operator(config, recorder, random.of('operator'));
    this.#lane = lane;
  }

  async run(): Promise<void> {
    const loops = Array.from({ length: LOOPS }, (_, index) => this.#pull(index + 1));
    await Promise.all([this.#create(), this.#found(), ...loops]);
  }

  async #create(): Promise<void> {
    const { quiet, random } = this.#context;
    const own = random.of('create');
    while (!quiet.aborted) {
      await this.#batch(own, [this.#task()]);
      await pause(own.between(...CREATE_MS), quiet);
    }
  }

  #pull(number: number): Promise<void> {
    const { config, random } = this.#context;
    const worker = `${config.process}-${number}`;
    const parts = { context: this.#context, lane: this.#lane, worker, random: random.of(worker) };
    return pullLoop(parts, (claim) => this.#work(claim));
  }

  async #work(claim: HeldClaim): Promise<void> {
    const { config, recorder, leaving } = this.#context;
    const random = this.#context.random.of(claim.runId);
    const write = writeOverHttp(recorder, claim, () => random.pick(config.urls));
    await pause(random.between(...WORK_MS), leaving);
    if (random.chance(OUTPUT_SHARE)) await write('output', { lines: ['a line'] });
    const isReleased = random.chance(RELEASE_SHARE);
    await end({ random, write, leaving }, isReleased ? 'release' : 'complete', {});
  }

  /** The first one of each life stays for ever, and so does what is to be let go when that life ends. */
  async #found(): Promise<void> {
    const { quiet, random } = this.#context;
    const own = random.of('families');
    const ends: Promise<void>[] = [];
    while (!quiet.aborted) {
      const [, keptOpen] = await this.#batch(own, [
        this.#task(),
        { status: 'triage' },
        { ...this.#task(), parents: ['#0', '#1'] },
      ]);
      this.#families += 1;
      if (keptOpen !== undefined && this.#families > 1) ends.push(this.#letGo(own, keptOpen));
      await pause(own.between(...FAMILY_MS), quiet);
    }
    await Promise.all(ends);
  }

  async #letGo(random: Random, taskId: string): Promise<void> {
    const { quiet } = this.#context;
    await pause(random.between(...FAMILY_LASTS_MS), quiet);
    while (!quiet.aborted) {
      const { ending } = await this.#operator.act({ kind: 'finish', taskId });
      if (ending !== 'unknown') return;
      await pause(random.between(...FINISH_RETRY_MS), quiet);
    }
  }

  #batch(random: Random, entries: Parameters<typeof createBatch>[2]): Promise<string[]> {
    const { recorder, config, quiet } = this.#context;
    this.#batches += 1;
    const parts = { operator: this.#operator, recorder, random, quiet };
    return createBatch(parts, `${config.process}-${this.#batches}`, entries);
  }

  #task() {
    return { lane: this.#lane.name, backoff: { base_seconds: 0.1, factor: 1, cap_seconds: 1 } };
  }
}

const channel = await joinRun();
const [lane] = channel.config.lanes;
if (lane === undefined) throw new Error('there is a lane');
channel.leaving.addEventListener('abort', () => {
  setTimeout(() => process.exit(0), LEAVE_WITHIN_MS).unref();
});
await new Churn(channel, lane).run();
process.exit(0);
