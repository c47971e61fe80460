/** What the loops of a worker process share. */
import type { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type CallAnswer, call, endOf } from './call.ts';
import { delegateUnder } from './hand-on.ts';
import { type HeldClaim, type Write, writeOverHttp } from './holder.ts';
import { Operator } from './operator.ts';
import { makeHelper } from './park.ts';
import { type LanePlan, type PartyChannel, type PartyConfig, tell } from './party-channel.ts';
import { live } from './task-life.ts';

export interface LoopParts {
  readonly context: WorkerContext;
  readonly lane: LanePlan;
  /** Its name as the server knows it. */
  readonly worker: string;
  readonly random: Random;
}

export class WorkerContext {
  readonly config: PartyConfig;
  readonly recorder: Recorder;
  readonly random: Random;
  readonly quiet: AbortSignal;
  readonly leaving: AbortSignal;
  #held = 0;

  constructor(channel: PartyChannel, recorder: Recorder, random: Random) {
    this.config = channel.config;
    this.quiet = channel.quiet;
    this.leaving = channel.leaving;
    this.recorder = recorder;
    this.random = random;
  }

  boardPath(rest: string): string {
    return `/v1/boards/${this.config.board}${rest}`;
  }

  /** Works on the task until it is over, as far as this holder can tell. */
  async work(parts: LoopParts, claim: HeldClaim, write?: Write): Promise<void> {
    this.#count(1);
    await this.#live(parts, claim, write).finally(() => this.#count(-1));
  }

  #live(parts: LoopParts, claim: HeldClaim, write?: Write): Promise<void> {
    const { lane, random } = parts;
    const own = random.of(claim.runId);
    return live({
      random: own,
      leaseSeconds: lane.leaseSeconds,
      claim,
      write: write ?? writeOverHttp(this.recorder, claim, () => own.pick(this.config.urls)),
      lane: lane.name,
      lanes: this.config.lanes.map(({ name }) => name),
      reviewLane: this.config.reviewLane,
      cancel: () => this.cancel(claim.taskId, own),
      decide: async (kind) => {
        await new Operator(this.config, this.recorder, own).act({ kind, taskId: claim.taskId });
      },
      makeHelper: () => makeHelper({ ...parts, random: own }, claim),
      delegate: () => delegateUnder({ ...parts, random: own }, claim),
      leaving: this.leaving,
    });
  }

  async cancel(taskId: string, random: Random): Promise<void> {
    const end = this.recorder.begin({ kind: 'cancel', taskId });
    const answer = await call({
      url: random.pick(this.config.urls),
      method: 'POST',
      path: this.boardPath(`/tasks/${taskId}/cancel`),
      key: this.config.orchestratorKey,
      body: { reason: 'no longer wanted', deadline_seconds: random.whole(1, 3) },
    });
    end(cancelEndOf(answer));
  }

  #count(change: 1 | -1): void {
    this.#held += change;
    tell({ told: 'holding', count: this.#held });
  }
}

export function cancelEndOf(answer: CallAnswer) {
  const { task } = answer.body as { task?: { status?: string } };
  return {
    ...endOf(answer),
    ...(task?.status === undefined ? {} : { status: task.status }),
  };
}
