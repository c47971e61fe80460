/**
 * A gateway process: takes outcomes that return to chats, "sends" them, which takes a moment, and says so; or that it could not, or not
 * now. Sometimes it says nothing at all, or too late, or twice. Killed and stopped from outside, by preference while it holds something.
 */
import { createHash } from 'node:crypto';
import type { DeliveryOperation, RecordedLease } from '../history.ts';
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import { type Body, type CallAnswer, call, endOf } from './call.ts';
import { joinRun, type PartyChannel, tell } from './party-channel.ts';
import { after, pause } from './pause.ts';

/** Each waits for others' outcomes: some are an owner's, and some are for all that have none. */
const ASKS: Readonly<Record<string, Body>> = {
  any: {},
  chat: { platforms: ['telegram', 'discord'] },
  terminal: { platforms: ['cli'] },
  night: { owner: 'night' },
};
const LIVES = {
  prompt: 60,
  twice: 7,
  impatient: 6,
  late: 6,
  forgotten: 5,
  nack: 8,
  defer: 5,
  bury: 2,
} as const;
/** Short, so that it lapses while its gateway is stopped. */
const LEASE_SECONDS = [2, 3] as const;
const WAIT_SECONDS = [2, 6] as const;
const MAX = 3;
const SEND_MS = [20, 600] as const;
const LATE_MS = [300, 1500] as const;
const KEYED_SHARE = 0.3;
const KEYED_ATTEMPTS_MAX = 4;
const HANG_UP_SHARE = 0.05;
const HANG_UP_MS = [1, 25] as const;
const RETRY_MS = [100, 600] as const;
const RETRY_DOUBLINGS_MAX = 3;
/** Together they outlast a restart of Postgres. */
const VERDICT_ATTEMPTS_MAX = 12;
const IMPATIENT_MS = [0, 12] as const;

interface SeenLease {
  readonly id: string;
  readonly lease_id: string;
  readonly lease_expires_at: string;
  readonly attempt: number;
  readonly text: string;
  readonly subscription: {
    readonly id: string;
    readonly platform: string;
    readonly chat_id: string;
    readonly thread_id: string;
    readonly origin: { readonly session_id: string | null };
  };
  readonly events: readonly { readonly seq: number }[];
}

class Gateway {
  readonly #channel: PartyChannel;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #held = 0;
  #asked = 0;

  constructor(channel: PartyChannel) {
    this.#channel = channel;
    this.#recorder = new Recorder(channel.config.directory, channel.config.process);
    this.#random = new Random(channel.config.seed).of(channel.config.process);
  }

  async run(): Promise<void> {
    await Promise.all(Object.entries(ASKS).map(([name, ask]) => this.#loop(ask, this.#random.of(name))));
  }

  /** Until there is nothing more to be told: also after the others have become quiet. */
  async #loop(ask: Body, random: Random): Promise<void> {
    const { leaving } = this.#channel;
    let failures = 0;
    while (!leaving.aborted) {
      const leases = await this.#lease(ask, random);
      failures = leases === null ? Math.min(failures + 1, RETRY_DOUBLINGS_MAX) : 0;
      if (leases === null) await pause(random.between(...RETRY_MS) * 2 ** failures, leaving);
      else await Promise.all(leases.map((lease) => this.#hold(lease, random.of(lease.leaseId))));
    }
  }

  /** With a key: until there is an answer, and the same one each time. null: there was none, or a refusal. */
  async #lease(ask: Body, random: Random): Promise<readonly RecordedLease[] | null> {
    this.#asked += 1;
    const isKeyed = random.chance(KEYED_SHARE);
    const key = `${this.#channel.config.process}-${this.#asked}`;
    const leaseSeconds = random.whole(...LEASE_SECONDS);
    const body = { ...ask, max: random.whole(1, MAX), lease_seconds: leaseSeconds };
    const attempts = isKeyed ? KEYED_ATTEMPTS_MAX : 1;
    for (let attempt = 1; attempt <= attempts && !this.#channel.leaving.aborted; attempt += 1) {
      const leases = await this.#ask(body, leaseSeconds, isKeyed ? { 'Idempotency-Key': key } : {}, random);
      if (leases !== null) return leases;
      await pause(random.between(...RETRY_MS), this.#channel.leaving);
    }
    return null;
  }

  async #ask(
    body: Body,
    leaseSeconds: number,
    headers: Readonly<Record<string, string>>,
    random: Random,
  ): Promise<readonly RecordedLease[] | null> {
    const { config, leaving } = this.#channel;
    const waitSeconds = random.whole(...WAIT_SECONDS);
    const end = this.#recorder.begin({ kind: 'lease', leaseSeconds, leases: [] });
    const answer = await call({
      url: random.pick(config.urls),
      method: 'POST',
      path: `/v1/boards/${config.board}/deliveries/claims`,
      key: config.orchestratorKey,
      body,
      headers: { ...headers, Prefer: `wait=${waitSeconds}` },
      timeoutMs: waitSeconds * 1000 + 8000,
      signal: random.chance(HANG_UP_SHARE) ? after(random.between(...HANG_UP_MS)) : leaving,
    });
    const leases = answer.ending === 'ok' ? leasesIn(answer) : [];
    end({ ...endOf(answer), leases });
    return answer.ending === 'ok' ? leases : null;
  }

  async #hold(lease: RecordedLease, random: Random): Promise<void> {
    this.#count(1);
    try {
      await this.#live(lease, random);
    } finally {
      this.#count(-1);
    }
  }

  async #live(lease: RecordedLease, random: Random): Promise<void> {
    const { quiet } = this.#channel;
    const life = quiet.aborted ? 'prompt' : random.choose(LIVES);
    await pause(random.between(...SEND_MS));
    const sent = { message_id: `message of ${lease.deliveryId}` };
    switch (life) {
      case 'prompt':
        return this.#settle(lease, 'deliver', sent, random);
      case 'twice':
        await this.#settle(lease, 'deliver', sent, random);
        return this.#settle(lease, 'deliver', sent, random);
      case 'impatient':
        await this.#say(lease, 'deliver', sent, random, after(random.between(...IMPATIENT_MS)));
        return this.#settle(lease, 'deliver', sent, random);
      case 'late':
        await pause(LEASE_SECONDS[1] * 1000 + random.between(...LATE_MS), quiet);
        return this.#settle(lease, 'deliver', sent, random);
      case 'forgotten':
        return;
      case 'nack':
        return this.#settle(lease, 'nack', { error: 'the chat did not answer' }, random);
      case 'defer':
        return this.#settle(lease, 'defer', { defer_seconds: random.whole(1, 3) }, random);
      case 'bury':
        return this.#settle(lease, 'bury', { error: 'the chat is gone', permanent: true }, random);
    }
  }

  /** Until it is known how it ended, with the same words each time. */
  async #settle(
    lease: RecordedLease,
    kind: DeliveryOperation['kind'],
    body: Body,
    random: Random,
  ): Promise<void> {
    const { leaving } = this.#channel;
    for (let attempt = 1; attempt <= VERDICT_ATTEMPTS_MAX; attempt += 1) {
      const { ending } = await this.#say(lease, kind, body, random);
      if (ending !== 'unknown' || leaving.aborted) return;
      await pause(random.between(...RETRY_MS), leaving);
    }
  }

  async #say(
    { deliveryId, leaseId, attempt }: RecordedLease,
    kind: DeliveryOperation['kind'],
    body: Body,
    random: Random,
    signal?: AbortSignal,
  ): Promise<CallAnswer> {
    const { config } = this.#channel;
    const end = this.#recorder.begin({ kind, deliveryId, leaseId, attempt });
    const answer = await call({
      url: random.pick(config.urls),
      method: 'POST',
      path: `/v1/deliveries/${deliveryId}/${kind === 'deliver' ? 'ack' : 'nack'}`,
      key: config.orchestratorKey,
      body: { lease_id: leaseId, ...body },
      ...(signal === undefined ? {} : { signal }),
    });
    end(endOf(answer));
    return answer;
  }

  #count(change: 1 | -1): void {
    this.#held += change;
    tell({ told: 'holding', count: this.#held });
  }
}

/** Without a session of its own, a chat is one. */
function sessionOf({
  subscription: { origin, platform, chat_id: chat, thread_id: thread },
}: SeenLease): string {
  return JSON.stringify(origin.session_id ? [origin.session_id] : [platform, chat, thread]);
}

function leasesIn({ body }: CallAnswer): RecordedLease[] {
  const { deliveries = [] } = body as { deliveries?: readonly SeenLease[] };
  return deliveries.map((seen) => ({
    deliveryId: seen.id,
    subscriptionId: seen.subscription.id,
    leaseId: seen.lease_id,
    attempt: seen.attempt,
    expiresAt: seen.lease_expires_at,
    seqs: seen.events.map(({ seq }) => seq),
    session: sessionOf(seen),
    text: createHash('sha256').update(seen.text).digest('base64url'),
  }));
}

await new Gateway(await joinRun()).run();
process.exit(0);
