/**
 * Tasks that wait for each other: chains, fans and diamonds, made at once; links made and taken away afterwards; parents that are opened
 * again while their children are being claimed; and what is stuck for want of a parent set going again.
 */
import { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type BatchEntry, createBatch } from './create-batch.ts';
import { Operator } from './operator.ts';
import type { PartyChannel, PartyConfig } from './party-channel.ts';
import { pause } from './pause.ts';

/** Each entry's parents, by place. */
const SHAPES: Readonly<Record<'chain' | 'gather' | 'spread' | 'diamond', readonly (readonly number[])[]>> = {
  chain: [[], [0], [1]],
  gather: [[], [], [], [0, 1, 2]],
  spread: [[], [0], [0], [0]],
  diamond: [[], [0], [0], [1, 2]],
};
const SHARES = { chain: 1, gather: 3, spread: 1, diamond: 3 } as const;
/** With two orchestrators some four tasks a second: with the others what the workers can do. */
const CREATE_MS = [1200, 2800] as const;
const RETRY_MS = [100, 900] as const;
const RELINK_MS = [250, 900] as const;
const TEND_MS = [700, 1800] as const;
const REOPEN_RACE_MS = [500, 1300] as const;
/** From the answer that the parent is done: about what it takes until the child has been claimed. */
const REOPEN_AFTER_MS = [0, 25] as const;
const FINISH_ATTEMPTS_MAX = 12;
/** Tasks that may still be made to wait for each other. */
const REMEMBERED_TASKS = 40;
/** Ahead of what else waits, so that who is to meet is held at the same time. */
const URGENT = 5;
const LOOKED_AT = 30;

export class Families {
  readonly #config: PartyConfig;
  readonly #quiet: AbortSignal;
  readonly #recorder: Recorder;
  readonly #random: Random;
  readonly #operator: Operator;
  readonly #isFull: () => boolean;
  readonly #recent: string[] = [];
  #batches = 0;

  constructor({ config, quiet }: PartyChannel, recorder: Recorder, isFull: () => boolean) {
    this.#config = config;
    this.#quiet = quiet;
    this.#recorder = recorder;
    this.#random = new Random(config.seed).of(`${config.process} families`);
    this.#operator = new Operator(config, recorder, this.#random.of('operator'));
    this.#isFull = isFull;
  }

  async run(): Promise<void> {
    await Promise.all([this.#create(), this.#relink(), this.#tend(), this.#raceReopening()]);
  }

  async #create(): Promise<void> {
    const random = this.#random.of('create');
    while (!this.#quiet.aborted) {
      await pause(random.between(...CREATE_MS), this.#quiet);
      if (this.#isFull()) continue;
      const shape = SHAPES[random.choose(SHARES)];
      // Those that somebody waits for end on the stroke of a common clock.
      const isAwaited = (place: number): boolean => shape.some((parents) => parents.includes(place));
      const lane = random.pick(this.#config.lanes).name;
      await this.#createBatch(
        random,
        shape.map((parents, place) => ({
          lane: random.chance(0.6) ? lane : random.pick(this.#config.lanes).name,
          priority: URGENT,
          parents: parents.map((parent) => `#${parent}`),
          ...(isAwaited(place) ? { payload: { chime: true } } : {}),
        })),
      );
    }
  }

  async #createBatch(random: Random, entries: readonly BatchEntry[]): Promise<string[]> {
    this.#batches += 1;
    const parts = { operator: this.#operator, recorder: this.#recorder, random, quiet: this.#quiet };
    const ids = await createBatch(parts, `${this.#config.process}-family-${this.#batches}`, entries);
    for (const id of ids) this.#remember(id);
    return ids;
  }

  #remember(taskId: string): void {
    this.#recent.push(taskId);
    if (this.#recent.length > REMEMBERED_TASKS) this.#recent.shift();
  }

  /** Whatever they do by then; circles are refused. */
  async #relink(): Promise<void> {
    const random = this.#random.of('relink');
    while (!this.#quiet.aborted) {
      await pause(random.between(...RELINK_MS), this.#quiet);
      if (this.#recent.length < 2 || this.#quiet.aborted) continue;
      const [taskId, parentId] = [random.pick(this.#recent), random.pick(this.#recent)];
      if (taskId === parentId) continue;
      const { ending } = await this.#operator.act({ kind: 'link', taskId, parentId });
      if (ending === 'fail' || random.chance(0.5)) continue;
      await pause(random.between(...RELINK_MS), this.#quiet);
      await this.#operator.act({ kind: 'unlink', taskId, parentId });
    }
  }

  async #tend(): Promise<void> {
    const random = this.#random.of('tend');
    const operator = this.#operator;
    while (!this.#quiet.aborted) {
      await pause(random.between(...TEND_MS), this.#quiet);
      for (const { id } of random.shuffle(await operator.list('todo', LOOKED_AT)).slice(0, 4))
        await this.#free(random, id);
      for (const { id } of random.shuffle(await operator.list('review', LOOKED_AT)).slice(0, 3))
        if (random.chance(0.6))
          await operator.act({ kind: random.chance(0.6) ? 'accept' : 'send_back', taskId: id });
      for (const { id } of await operator.list('triage', LOOKED_AT))
        await operator.ask('POST', `/tasks/${id}/promote`, {});
      const finished = await operator.list('done,cancelled', LOOKED_AT);
      if (finished.length > 0 && random.chance(0.5))
        await operator.act({
          kind: random.chance(0.6) ? 'reopen' : 'archive',
          taskId: random.pick(finished).id,
        });
    }
  }

  /** A parent that was cancelled or put away is never done by itself. */
  async #free(random: Random, taskId: string): Promise<void> {
    for (const { parent, isMet } of await this.#operator.parentsOf(taskId)) {
      const isLost = !isMet && (parent.status === 'cancelled' || parent.status === 'archived');
      if (isLost && random.chance(0.4)) await this.#operator.act({ kind: 'reopen', taskId: parent.id });
      else if (isLost || random.chance(0.1))
        await this.#operator.act({ kind: 'unlink', taskId, parentId: parent.id });
    }
  }

  /** A parent of no lane, done by hand: its child is claimed at once by whoever waits, and just then the parent is opened again. */
  async #raceReopening(): Promise<void> {
    const random = this.#random.of('reopening');
    while (!this.#quiet.aborted) {
      await pause(random.between(...REOPEN_RACE_MS), this.#quiet);
      if (this.#isFull() || this.#quiet.aborted) continue;
      const [taskId] = await this.#createBatch(random, [
        {},
        { lane: random.pick(this.#config.lanes).name, parents: ['#0'], priority: URGENT },
      ]);
      if (taskId === undefined) continue;
      const { ending } = await this.#operator.act({ kind: 'finish', taskId });
      if (ending === 'ok') {
        await pause(random.between(...REOPEN_AFTER_MS));
        await this.#operator.act({ kind: 'reopen', taskId });
      }
      // Nobody else will, and its child waits.
      for (let attempt = 1; attempt <= FINISH_ATTEMPTS_MAX; attempt += 1) {
        await pause(random.between(...RETRY_MS));
        const again = await this.#operator.act({ kind: 'finish', taskId });
        if (again.ending !== 'unknown') break;
      }
    }
  }
}
