/** One command of the model-based test: asks a real board for something, and holds the answer and the rows against the model. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Task } from '../../src/contract/tasks.ts';
import type { BoardModel } from './board-model.ts';
import type { ModelTask, Said } from './board-model-words.ts';
import type { Asked, RealBoard } from './real-board.ts';

/**
 * Commands of a board after which all of its tasks are looked at: what an answer does not show, and what should not have changed. That costs
 * as much as three commands; after each of them it would be most of the test.
 */
const LOOK_AT_ALL_EVERY = 8;

/** Numbers that fast-check draws and shrinks; what they stand for depends on the board. */
export type Draw = readonly [number, number, number, number];
export const DRAW: fc.Arbitrary<Draw> = fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999));

export const tally = { commands: 0, refused: 0, byName: new Map<string, number>() };

export function pick<T>(list: readonly T[], draw: number): T | undefined {
  return list[draw % Math.max(1, list.length)];
}

export function sure<T>(list: readonly T[], draw: number): T {
  const found = pick(list, draw);
  if (found === undefined) throw new Error('there is one to pick');
  return found;
}

/** What is done, and what must come of it. */
interface Doing {
  readonly said: string;
  readonly act: (model: BoardModel, real: RealBoard) => Promise<void>;
}

export type Plan = (model: BoardModel, draw: Draw) => Doing | null;

export class Command implements fc.AsyncCommand<BoardModel, RealBoard> {
  readonly #name: string;
  readonly #plan: Plan;
  readonly #draw: Draw;
  #said = '';

  constructor(name: string, plan: Plan, draw: Draw) {
    this.#name = name;
    this.#plan = plan;
    this.#draw = draw;
  }

  check(model: Readonly<BoardModel>): boolean {
    return this.#plan(model as BoardModel, this.#draw) !== null;
  }

  async run(model: BoardModel, real: RealBoard): Promise<void> {
    const doing = this.#plan(model, this.#draw);
    if (doing === null) throw new Error('checked');
    this.#said = doing.said;
    real.forgetAnswer();
    await doing.act(model, real);
    const { answered } = real;
    const task = model.tasks.find(({ id }) => id === answered?.id);
    if (answered !== null && task !== undefined) compare(model, task, answered);
    real.commands += 1;
    tally.commands += 1;
    tally.byName.set(this.#name, (tally.byName.get(this.#name) ?? 0) + 1);
    if (real.commands % LOOK_AT_ALL_EVERY === 0) await compareAll(model, real);
  }

  toString(): string {
    return this.#said === '' ? this.#name : `${this.#name}(${this.#said})`;
  }
}

export async function compareAll(model: BoardModel, real: RealBoard): Promise<void> {
  const shown = new Map((await real.readAll()).map((task) => [task.id, task]));
  expect(shown.size).toBe(model.tasks.length);
  for (const task of model.tasks) compare(model, task, shown.get(task.id));
}

export function compare(model: BoardModel, task: ModelTask, shown: Task | undefined): void {
  if (shown === undefined) throw new Error(`${task.id} is not there`);
  const { claim, blocked } = shown;
  const found = {
    status: shown.status,
    lane: shown.lane,
    priority: shown.priority,
    attempt: shown.attempt,
    unmet_parents: shown.unmet_parents,
    consecutive_failures: shown.consecutive_failures,
    blocked: blocked?.kind === undefined ? null : blocked.kind,
    isBlocked: blocked !== null,
    reviewer: shown.reviewer,
    holder: claim?.run_id ?? null,
    cancelRequested: claim?.cancel_requested ?? false,
    hasTime: shown.run_at !== null,
    comments: shown.comment_count,
  };
  const wanted = {
    status: task.status,
    lane: task.lane,
    priority: task.priority,
    attempt: task.attempt,
    unmet_parents: model.unmet(task),
    consecutive_failures: task.failures,
    blocked: task.blocked?.kind ?? null,
    isBlocked: task.blocked !== null,
    reviewer: task.review?.reviewer ?? null,
    holder: task.claim?.runId ?? null,
    cancelRequested: task.claim?.isCancelRequested ?? false,
    hasTime: task.runAt !== 'none',
    comments: task.comments,
  };
  if (!isSame(found, wanted)) expect(found, task.id).toEqual(wanted);
}

/** Of flat records. An expectation costs as much as the request whose answer it looks at. */
function isSame<T extends object>(found: T, wanted: T): boolean {
  return JSON.stringify(found) === JSON.stringify(wanted);
}

/** Asks, and holds the answer against what the model says of it. The model is asked first: it knows no more than the caller does. */
export async function ask(
  real: RealBoard,
  asked: Asked,
  said: Said,
): Promise<Awaited<ReturnType<RealBoard['ask']>>> {
  const answer = await real.ask(asked);
  const found: Said = {
    status: answer.status,
    ...(said.code === undefined && answer.status < 400 ? {} : { code: answer.body.code }),
    ...(said.reason === undefined ? {} : { reason: answer.body.reason }),
  };
  if (!isSame(found, said))
    expect(found, `${asked.method} ${asked.path} ${JSON.stringify(answer.body)}`).toEqual(said);
  if (answer.status >= 400) tally.refused += 1;
  return answer;
}
