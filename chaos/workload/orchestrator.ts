/**
 * Creates work and changes its mind: creations with a key that are asked again until they are answered, and sometimes although they were;
 * cancels of waiting and of running tasks; answers for blocked ones; now and then a finished one is opened again.
 */
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import { type Body, type CallAnswer, call, endOf } from './call.ts';
import { Families } from './families.ts';
import { Handovers } from './handovers.ts';
import { joinRun, type LanePlan, type PartyChannel, type PartyConfig } from './party-channel.ts';
import { after, pause } from './pause.ts';
import { cancelEndOf } from './worker-context.ts';

/** Between two creations: with two orchestrators about seven tasks a second, and with families and helpers most of what workers can do. */
const CREATE_MS = [80, 480] as const;
/** Now and then so many at once that workers have more to do than hands. */
const BURST_SHARE = 0.04;
const BURST_TASKS = 15;
const CREATE_ATTEMPTS_MAX = 20;
const RETRY_MS = [100, 900] as const;
const REPEAT_SHARE = 0.08;
const HANG_UP_SHARE = 0.05;
const HANG_UP_MS = [1, 20] as const;
const CANCEL_MS = [300, 1200] as const;
const TEND_MS = [800, 2000] as const;
const REOPEN_SHARE = 0.1;
/** Recent tasks that may be cancelled. */
const REMEMBERED_TASKS = 30;
/** Above it nothing is created: so that the drain at the end is short. */
const WAITING_MAX = 150;

class Orchestrator {
  readonly families: Families;
  readonly handovers: Handovers;
  readonly #config: PartyConfig;
  readonly #quiet: AbortSignal;
  readonly #recorder: Recorder;
  readonly #random: Random;
  readonly #recent: string[] = [];
  #created = 0;
  #isFull = false;

  constructor(channel: PartyChannel) {
    const { config, quiet } = channel;
    this.#config = config;
    this.#quiet = quiet;
    this.#recorder = new Recorder(config.directory, config.process);
    this.#random = new Random(config.seed).of(config.process);
    this.families = new Families(channel, this.#recorder, () => this.#isFull);
    this.handovers = new Handovers(channel, this.#recorder);
  }

  async create(): Promise<void> {
    const random = this.#random.of('create');
    while (!this.#quiet.aborted) {
      const tasks = random.chance(BURST_SHARE) ? BURST_TASKS : 1;
      if (!this.#isFull)
        await Promise.all(
          Array.from({ length: tasks }, () => this.#createOne(random, random.pick(this.#config.lanes))),
        );
      await pause(random.between(...CREATE_MS), this.#quiet);
    }
  }

  async cancel(): Promise<void> {
    const random = this.#random.of('cancel');
    while (!this.#quiet.aborted) {
      await pause(random.between(...CANCEL_MS), this.#quiet);
      if (this.#recent.length === 0) continue;
      const taskId = random.pick(this.#recent);
      const end = this.#recorder.begin({ kind: 'cancel', taskId });
      const body = { reason: 'changed my mind', deadline_seconds: random.whole(1, 3) };
      end(cancelEndOf(await this.#post(random, `/tasks/${taskId}/cancel`, body)));
    }
  }

  /** What nobody else would ever move on. */
  async tend(): Promise<void> {
    const random = this.#random.of('tend');
    while (!this.#quiet.aborted) {
      await pause(random.between(...TEND_MS), this.#quiet);
      for (const task of await this.#list(random, 'blocked')) {
        if (random.chance(0.7)) await this.#post(random, `/tasks/${task}/unblock`, {});
      }
      const finished = random.chance(REOPEN_SHARE) ? await this.#list(random, 'done,cancelled') : [];
      if (finished.length > 0) await this.#post(random, `/tasks/${random.pick(finished)}/reopen`, {});
      const waiting = await this.#list(random, 'ready,scheduled');
      this.#isFull = waiting.length >= WAITING_MAX;
    }
  }

  async #createOne(random: Random, lane: LanePlan): Promise<void> {
    this.#created += 1;
    const key = `${this.#config.process}-${this.#created}`;
    const request = {
      title: key,
      lane: lane.name,
      idempotency_key: key,
      priority: random.whole(0, 3),
      // Retried soon and for ever: what is to be seen here is claims, not the breaker.
      max_failures: random.chance(0.1) ? 1 : 1000,
      backoff: { base_seconds: 0.1, factor: 1, cap_seconds: 1 },
    };
    const header = random.chance(0.5) ? { 'Idempotency-Key': key } : {};
    let repeats = random.chance(REPEAT_SHARE) ? 2 : 1;
    for (let attempt = 1; attempt <= CREATE_ATTEMPTS_MAX; attempt += 1) {
      const end = this.#recorder.begin({ kind: 'create', idempotencyKey: key, lane: lane.name });
      const answer = await this.#post(random, '/tasks', request, header);
      end(createEndOf(answer));
      if (answer.ending === 'ok') repeats -= 1;
      if (answer.ending === 'fail' || repeats === 0) {
        this.#remember(answer);
        return;
      }
      await pause(random.between(...RETRY_MS), this.#quiet);
      // A key whose answer stayed unknown stays so: somebody who gave up looks the same.
      if (this.#quiet.aborted) return;
    }
  }

  #remember(answer: CallAnswer): void {
    const taskId = taskIdOf(answer.body);
    if (taskId === undefined) return;
    this.#recent.push(taskId);
    if (this.#recent.length > REMEMBERED_TASKS) this.#recent.shift();
  }

  async #list(random: Random, statuses: string): Promise<string[]> {
    const answer = await call({
      url: random.pick(this.#config.urls),
      method: 'GET',
      path: `/v1/boards/${this.#config.board}/tasks?status=${statuses}&limit=200&order=-created`,
      key: this.#config.orchestratorKey,
    });
    const { tasks } = answer.body as { tasks?: { id: string }[] };
    return (tasks ?? []).map(({ id }) => id);
  }

  #post(
    random: Random,
    path: string,
    body: Body,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<CallAnswer> {
    return call({
      url: random.pick(this.#config.urls),
      method: 'POST',
      path: `/v1/boards/${this.#config.board}${path}`,
      key: this.#config.orchestratorKey,
      body,
      headers,
      ...(random.chance(HANG_UP_SHARE) ? { signal: after(random.between(...HANG_UP_MS)) } : {}),
    });
  }
}

function taskIdOf(body: Body): string | undefined {
  const { task } = body as { task?: { id?: string } };
  return task?.id;
}

function createEndOf(answer: CallAnswer) {
  const taskId = taskIdOf(answer.body);
  return {
    ...endOf(answer),
    ...(answer.ending !== 'ok' || taskId === undefined
      ? {}
      : { taskId, isReplay: answer.isReplay || answer.status === 200 }),
  };
}

const channel = await joinRun();
const orchestrator = new Orchestrator(channel);
await Promise.all([
  orchestrator.create(),
  orchestrator.cancel(),
  orchestrator.tend(),
  orchestrator.families.run(),
  orchestrator.handovers.run(),
]);
await new Promise<void>((resolve) => {
  if (channel.leaving.aborted) resolve();
  else channel.leaving.addEventListener('abort', () => resolve());
});
process.exit(0);
