/**
 * What an orchestrator hands over: groups of tasks that are collected, cancelled just as their last child ends, stopped with their session,
 * and told to chats, of which some are subscribed later than others.
 */
import { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type Body, call, endOf } from './call.ts';
import { APART_MS, untilChimeMs } from './chime.ts';
import { Delegator, type MadeDelegation } from './delegator.ts';
import type { PartyChannel, PartyConfig } from './party-channel.ts';
import { pause } from './pause.ts';

/** Shared by all orchestrators. The first one is always busy, so that there often is no room in it. */
const SESSIONS = { 'session-1': 7, 'session-2': 1, 'session-3': 1, 'session-4': 1 } as const;
/** So many at once that there is no room for all of them. */
const BURST_SHARE = 0.15;
const BURST = 5;
/** Replies are made one at a time of each session, and a stuck one takes 45 s. */
const PLATFORMS = { discord: 9, cli: 4, telegram: 4, nowhere: 3 } as const;
const CHATS_MAX = 3;
const TASKS_MAX = 4;
/** The one falls among the ends of the children; the other sees to it that nothing runs for ever. */
const DEADLINE_SECONDS = { soon: [1, 3], late: [8, 20] } as const;
const URGENT = 5;
const COLLECT_SECONDS = [1, 6] as const;
/** Each waits for six seconds at most, and its deadline comes after twenty. */
const COLLECTS_MAX = 30;
const COLLECTED_SHARE = 0.7;
const CANCEL_SHARE = 0.3;
/** Strokes after which those are ended that were claimed at once. */
const CANCEL_STROKES_MAX = 2;
const LOOK_MS = [60, 180] as const;
/** After a refusal: others end meanwhile. */
const REFUSED_MS = [150, 500] as const;
/** What is to be made is made by then, so that a storm at the end does not keep the last ones from it. */
const MADE_BY = 0.92;
const SUBSCRIBE_MS = [300, 1100] as const;
const STOP_MS = [7000, 15_000] as const;
const RETRY_MS = [3000, 7000] as const;
/** Few, so that most are subscribed to while there still is something to tell. */
const REMEMBERED = 5;

export class Handovers {
  readonly #config: PartyConfig;
  readonly #quiet: AbortSignal;
  readonly #recorder: Recorder;
  readonly #random: Random;
  readonly #delegator: Delegator;
  readonly #recent: MadeDelegation[] = [];
  #asked = 0;
  #made = 0;

  constructor({ config, quiet, leaving }: PartyChannel, recorder: Recorder) {
    this.#config = config;
    this.#quiet = quiet;
    this.#recorder = recorder;
    this.#random = new Random(config.seed).of(`${config.process} handovers`);
    const random = this.#random.of('delegator');
    this.#delegator = new Delegator({
      config,
      recorder,
      random,
      key: config.orchestratorKey,
      quiet: leaving,
    });
  }

  async run(): Promise<void> {
    await Promise.all([this.#handOver(), this.#subscribe(), this.#stop(), this.#retry()]);
  }

  /** At an even pace, however many were refused or took long. */
  async #handOver(): Promise<void> {
    const random = this.#random.of('create');
    const { delegations, seconds } = this.#config;
    const paceMs = (seconds * 1000 * MADE_BY) / Math.max(1, delegations);
    const startedAt = performance.now();
    const underway = new Set<Promise<void>>();
    while (!this.#quiet.aborted && this.#made < delegations) {
      await pause(random.between(...LOOK_MS), this.#quiet);
      if (this.#made * paceMs > performance.now() - startedAt) continue;
      const isBurst = random.chance(BURST_SHARE);
      const asked = Array.from({ length: isBurst ? BURST : 1 }, () =>
        this.#create(random, isBurst ? 'session-1' : random.choose(SESSIONS)),
      );
      const made = (await Promise.all(asked)).filter((one) => one !== null);
      if (made.length < asked.length) await pause(random.between(...REFUSED_MS), this.#quiet);
      this.#made += made.length;
      for (const one of made) {
        const followed = this.#follow(one, this.#random.of(one.id)).finally(() => underway.delete(followed));
        underway.add(followed);
      }
    }
    await Promise.all(underway);
  }

  async #create(random: Random, sessionId: string): Promise<MadeDelegation | null> {
    this.#asked += 1;
    const platform = random.choose(PLATFORMS);
    const chat = { chat_id: `chat-${random.whole(1, CHATS_MAX)}` };
    const idempotencyKey = `${this.#config.process}-delegation-${this.#asked}`;
    const [soonest, latest] = DEADLINE_SECONDS[random.choose({ soon: 4, late: 6 })];
    const tasks = Array.from({ length: random.whole(1, TASKS_MAX) }, (_, place) => ({
      goal: `${idempotencyKey}-${place}`,
      context: 'the run of the storms',
      lane: random.pick(this.#config.lanes).name,
      priority: URGENT,
      max_failures: random.chance(0.2) ? 1 : 1000,
      backoff: { base_seconds: 0.1, factor: 1, cap_seconds: 1 },
      ...(random.chance(0.75) ? { payload: { chime: true } } : {}),
    }));
    const body = {
      tasks,
      deadline_seconds: random.whole(soonest, latest),
      ...(random.chance(0.25) ? { join: 'any' } : {}),
      ...(random.chance(0.2) ? { on_blocked: 'wait' } : {}),
      ...(random.chance(0.2) ? { on_decided: 'leave' } : {}),
      ...(random.chance(0.2) ? { capacity_key: 'shared' } : {}),
      origin: {
        session_id: sessionId,
        user_id: 'somebody',
        ...(platform === 'nowhere' ? {} : { platform, ...chat }),
      },
      ...subscribeOf(random, platform, chat),
    };
    const made = await this.#delegator.create({ idempotencyKey, sessionId, body });
    if (made === null) return null;
    this.#recent.push(made);
    if (this.#recent.length > REMEMBERED) this.#recent.shift();
    return made;
  }

  async #follow({ id }: MadeDelegation, random: Random): Promise<void> {
    await Promise.all([
      random.chance(COLLECTED_SHARE) ? this.#collect(id, random.of('collect')) : null,
      random.chance(CANCEL_SHARE) ? this.#cancel(id, random.of('cancel')) : null,
    ]);
  }

  async #collect(id: string, random: Random): Promise<void> {
    for (let count = 0; count < COLLECTS_MAX && !this.#quiet.aborted; count += 1) {
      if (await this.#delegator.collect(id, random.whole(...COLLECT_SECONDS))) return;
      await pause(random.between(...LOOK_MS), this.#quiet);
    }
  }

  /** On the stroke on which its children end. */
  async #cancel(id: string, random: Random): Promise<void> {
    for (let stroke = random.whole(1, CANCEL_STROKES_MAX); stroke > 0; stroke -= 1)
      await pause(untilChimeMs() + random.between(...APART_MS), this.#quiet);
    await this.#delegator.cancel(id);
  }

  async #subscribe(): Promise<void> {
    const random = this.#random.of('subscribe');
    while (!this.#quiet.aborted) {
      await pause(random.between(...SUBSCRIBE_MS), this.#quiet);
      if (this.#recent.length === 0 || this.#quiet.aborted) continue;
      await this.#subscribeTo(random.pick(this.#recent), random);
    }
  }

  /** Now and then twice: it is one all the same. */
  async #subscribeTo({ id, taskIds }: MadeDelegation, random: Random): Promise<void> {
    const isTask = random.chance(0.6) && taskIds.length > 0;
    const subjectId = isTask ? random.pick(taskIds) : id;
    const platform = random.choose({ discord: 6, cli: 4, telegram: 1 });
    const chatId = `chat-${random.whole(1, CHATS_MAX)}`;
    const body = {
      ...(isTask ? { task_id: subjectId } : { delegation_id: subjectId }),
      platform,
      chat_id: chatId,
      ...(random.chance(0.5) ? { origin: { session_id: random.choose(SESSIONS) } } : {}),
      ...(random.chance(0.1) ? { mode: 'silent' } : {}),
    };
    for (let count = random.chance(0.3) ? 2 : 1; count > 0; count -= 1) {
      const end = this.#recorder.begin({ kind: 'subscribe', subjectId, platform, chatId });
      const answer = await this.#delegator.ask('PUT', '/subscriptions', { body });
      const { subscription } = answer.body as { subscription?: { id: string } };
      end({ ...endOf(answer), ...(subscription === undefined ? {} : { subscriptionId: subscription.id }) });
    }
  }

  async #stop(): Promise<void> {
    const random = this.#random.of('stop');
    while (!this.#quiet.aborted) {
      await pause(random.between(...STOP_MS), this.#quiet);
      if (!this.#quiet.aborted) await this.#delegator.cancelSession(random.choose(SESSIONS));
    }
  }

  /** What is dead gets another chance. */
  async #retry(): Promise<void> {
    const random = this.#random.of('retry');
    const { orchestratorKey: key, urls } = this.#config;
    while (!this.#quiet.aborted) {
      await pause(random.between(...RETRY_MS), this.#quiet);
      const { body } = await this.#delegator.ask('GET', '/deliveries?status=dead&limit=20', {});
      const { deliveries = [] } = body as { deliveries?: { id: string }[] };
      if (deliveries.length === 0 || this.#quiet.aborted) continue;
      const { id: deliveryId } = random.pick(deliveries);
      const end = this.#recorder.begin({ kind: 'retry', deliveryId });
      const path = `/v1/deliveries/${deliveryId}/retry`;
      end(endOf(await call({ url: random.pick(urls), method: 'POST', path, key, body: {} })));
    }
  }
}

/** Most are told where they came from. */
function subscribeOf(random: Random, platform: string, chat: Body): Body {
  if (random.chance(0.1)) return { subscribe: false };
  if (platform === 'nowhere' || random.chance(0.7)) return {};
  return {
    subscribe: {
      platform,
      ...chat,
      ...(random.chance(0.5) ? { owner: 'night' } : {}),
      ...(random.chance(0.2) ? { mode: 'silent' } : {}),
    },
  };
}
