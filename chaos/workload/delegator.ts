/** Hands work over and asks what came of it, each recorded: as an orchestrator, or under a claim. */
import type { DelegationStatus } from '../../src/contract/statuses.ts';
import type { DecisionOperation } from '../history.ts';
import type { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type Body, type CallAnswer, call, endOf } from './call.ts';
import type { PartyConfig } from './party-channel.ts';
import { after, pause } from './pause.ts';

/** Together they outlast a restart of Postgres. */
const CREATE_ATTEMPTS_MAX = 12;
const RETRY_MS = [100, 900] as const;
const REPEAT_SHARE = 0.1;
const HANG_UP_SHARE = 0.06;
const HANG_UP_MS = [1, 25] as const;

export interface Handover {
  /** Also its goal. */
  readonly idempotencyKey: string;
  readonly sessionId: string | null;
  readonly body: Body;
}

export interface MadeDelegation {
  readonly id: string;
  readonly taskIds: readonly string[];
}

interface SeenDelegation {
  readonly id?: string;
  readonly status?: DelegationStatus;
  readonly tasks?: readonly string[];
  readonly results?: readonly { readonly task_id: string }[] | null;
}

interface DelegatorParts {
  readonly config: PartyConfig;
  readonly recorder: Recorder;
  readonly random: Random;
  /** Of an orchestrator, or a claim's token. */
  readonly key: string;
  /** Nothing is asked again after it. */
  readonly quiet: AbortSignal;
}

export class Delegator {
  readonly #parts: DelegatorParts;

  constructor(parts: DelegatorParts) {
    this.#parts = parts;
  }

  /** Under its key until there is an answer, and now and then although there was one. Answers null where there is none, or a refusal. */
  async create({ idempotencyKey, sessionId, body }: Handover): Promise<MadeDelegation | null> {
    const { recorder, random, quiet } = this.#parts;
    let repeats = random.chance(REPEAT_SHARE) ? 2 : 1;
    for (let attempt = 1; attempt <= CREATE_ATTEMPTS_MAX; attempt += 1) {
      const end = recorder.begin({ kind: 'delegate', idempotencyKey, sessionId });
      const answer = await this.ask('POST', '/delegations', {
        body: { goal: idempotencyKey, ...body },
        headers: { 'Idempotency-Key': idempotencyKey },
        isHungUp: random.chance(HANG_UP_SHARE),
      });
      const { id, tasks = [] } = delegationIn(answer);
      const made = answer.ending === 'ok' && id !== undefined ? { id, taskIds: tasks } : null;
      end({
        ...endOf(answer),
        ...(made === null ? {} : { delegationId: made.id, taskIds: made.taskIds, isReplay: answer.isReplay }),
      });
      if (made !== null) repeats -= 1;
      if (made !== null && repeats === 0) return made;
      // The first request with this key may still be at it.
      if (answer.ending === 'fail' && answer.code !== 'idempotency_in_flight') return null;
      await pause(random.between(...RETRY_MS), quiet);
      if (quiet.aborted) return made;
    }
    return null;
  }

  /** With a long poll. Answers whether there is nothing more to ask. */
  async collect(delegationId: string, waitSeconds: number): Promise<boolean> {
    const end = this.#parts.recorder.begin({ kind: 'collect', delegationId });
    const answer = await this.ask('GET', `/delegations/${delegationId}`, { waitSeconds });
    const decision = decisionOf(answer);
    end({ ...endOf(answer), ...decision });
    return answer.ending === 'fail' || (decision.status ?? 'running') !== 'running';
  }

  async cancel(delegationId: string): Promise<void> {
    const end = this.#parts.recorder.begin({ kind: 'cancel_delegation', delegationId });
    const answer = await this.ask('POST', `/delegations/${delegationId}/cancel`, {
      body: { reason: 'changed my mind' },
    });
    end({ ...endOf(answer), ...decisionOf(answer) });
  }

  async cancelSession(sessionId: string): Promise<void> {
    const end = this.#parts.recorder.begin({ kind: 'cancel_session', sessionId });
    const answer = await this.ask('POST', '/delegations/cancel', { body: { session_id: sessionId } });
    const { cancelled } = answer.body as { cancelled?: string[] };
    end({
      ...endOf(answer),
      ...(answer.ending === 'ok' && cancelled !== undefined ? { delegationIds: cancelled } : {}),
    });
  }

  ask(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    {
      body,
      headers = {},
      waitSeconds = 0,
      isHungUp = false,
    }: {
      readonly body?: Body;
      readonly headers?: Readonly<Record<string, string>>;
      readonly waitSeconds?: number;
      readonly isHungUp?: boolean;
    },
  ): Promise<CallAnswer> {
    const { config, random, key, quiet } = this.#parts;
    const signal = isHungUp ? after(random.between(...HANG_UP_MS)) : quiet;
    return call({
      url: random.pick(config.urls),
      method,
      path: `/v1/boards/${config.board}${path}`,
      key,
      ...(body === undefined ? {} : { body }),
      headers: { ...headers, ...(waitSeconds === 0 ? {} : { Prefer: `wait=${waitSeconds}` }) },
      timeoutMs: waitSeconds * 1000 + 8000,
      ...(isHungUp || waitSeconds > 0 ? { signal } : {}),
    });
  }
}

function delegationIn({ body }: CallAnswer): SeenDelegation {
  const { delegation } = body as { delegation?: SeenDelegation };
  return delegation ?? {};
}

function decisionOf(answer: CallAnswer): Pick<DecisionOperation, 'status' | 'taskIds'> {
  const { status, results } = delegationIn(answer);
  if (answer.ending !== 'ok' || status === undefined) return {};
  return { status, ...(results == null ? {} : { taskIds: results.map(({ task_id: taskId }) => taskId) }) };
}
