/** One of many who do whatever comes to their mind, and who remember what they were answered. */
import type { TaskStatus } from '../../src/contract/statuses.ts';
import { MAY_BEGIN, type PersonVerb } from './board-model-words.ts';
import type { Draws } from './draws.ts';
import { CAPS } from './lanes.ts';
import { type Asked, LATER_SECONDS, type RealBoard } from './real-board.ts';

/** An answer, as far as the log must explain it. */
export interface Answer {
  readonly asked: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly status: number;
  readonly code?: string | undefined;
  readonly taskId?: string | undefined;
  readonly runId?: string | undefined;
  /** Of the task that was answered. */
  readonly version?: number | undefined;
  readonly taskStatus?: TaskStatus | undefined;
  /** Of a refusal. */
  readonly statusBefore?: TaskStatus | undefined;
  readonly outcome?: string | undefined;
  readonly claim?: { readonly runId: string; readonly taskId: string; readonly attempt: number };
  /** It changed nothing that has a version. */
  readonly isQuiet?: boolean;
}

interface Held {
  readonly runId: string;
  readonly taskId: string;
  readonly token: string;
}

const LANES = [...CAPS.keys()];
/** The ways on more often than the ways out, or nothing would be left to do. */
const WAYS_ON: readonly PersonVerb[] = [
  'reopen',
  'reopen',
  'reopen',
  'unblock',
  'unblock',
  'promote',
  'accept',
];
const VERBS = [...(Object.keys(MAY_BEGIN) as PersonVerb[]), ...WAYS_ON, ...WAYS_ON];
/** Many holders forget what they held long ago; these are enough for late words. */
const REMEMBERED_MAX = 20;

export class RandomWorker {
  readonly #board: RealBoard;
  readonly #name: string;
  /** Tasks that anybody made. */
  readonly #tasks: string[];
  readonly #draws: Draws;
  readonly #claims: Held[] = [];
  /** Child and parent. */
  readonly #links: (readonly [string, string])[] = [];

  constructor(board: RealBoard, name: string, tasks: string[], draws: Draws) {
    this.#board = board;
    this.#name = name;
    this.#tasks = tasks;
    this.#draws = draws;
  }

  async create(answers: Answer[]): Promise<void> {
    const draws = this.#draws;
    const count = this.#tasks.length < 4 ? 0 : Math.max(0, draws.below(5) - 2);
    const parents = [...new Set(Array.from({ length: count }, () => draws.of(this.#tasks)))];
    const body = {
      title: 'a task',
      lane: draws.of(LANES),
      priority: draws.below(3),
      max_failures: 1 + draws.below(3),
      // Retried within the test.
      backoff: { base_seconds: 0.05, cap_seconds: 0.1 },
      parents,
    };
    const { body: answer } = await this.#ask(answers, { method: 'POST', path: '/tasks', body }, {});
    this.#tasks.push(answer.task.id);
  }

  async step(answers: Answer[]): Promise<void> {
    const turn = this.#draws.below(20);
    if (turn < 5) return this.#claim(answers);
    if (turn < 11) return this.#end(answers);
    if (turn < 12) return this.#link(answers);
    if (turn < 18) return this.#operate(answers);
    return turn === 18 ? this.create(answers) : this.#crash();
  }

  async #claim(answers: Answer[]): Promise<void> {
    const draws = this.#draws;
    const named = draws.below(3) === 0 ? { task_id: draws.of(this.#tasks) } : {};
    const body = { worker: this.#name, lease_seconds: LATER_SECONDS, ...named };
    const asked = { method: 'POST', path: `/lanes/${draws.of(LANES)}/claims`, body };
    const answer = await this.#ask(answers, asked, { isQuiet: true });
    const [claim] = answer.body.claims ?? [];
    if (claim === undefined) return;
    this.#claims.push({ runId: claim.run_id, taskId: claim.task.id, token: claim.token });
    if (this.#claims.length > REMEMBERED_MAX) this.#claims.shift();
  }

  /** Mostly of its latest claim. */
  async #end(answers: Answer[]): Promise<void> {
    const draws = this.#draws;
    const held =
      draws.below(4) === 0 && this.#claims.length > 0 ? draws.of(this.#claims) : this.#claims.at(-1);
    if (held === undefined) return this.#claim(answers);
    const [verb, body] = draws.of([
      ['heartbeat', {}],
      ['complete', { summary: 'done' }],
      ['complete', { summary: 'done' }],
      ['complete', { review: true, reviewer: draws.of(LANES) }],
      ['complete', { review: true }],
      ['request-changes', { reason: 'better' }],
      ['block', { reason: 'stuck', kind: 'needs_input' }],
      ['block', { reason: 'parents', kind: 'dependency' }],
      ['release', {}],
      ['fail', { error: 'broke' }],
      ['fail', { error: 'broke', kind: 'rate_limited', retry_after_seconds: 0 }],
    ] as const);
    const path = `/v1/runs/${held.runId}/${verb}`;
    const isQuiet = verb === 'heartbeat';
    const { taskId, runId, token } = held;
    await this.#ask(answers, { method: 'POST', path, token, body }, { taskId, runId, isQuiet });
  }

  async #link(answers: Answer[]): Promise<void> {
    const isNew = this.#links.length === 0 || this.#draws.below(2) === 0;
    const drawn = [this.#draws.of(this.#tasks), this.#draws.of(this.#tasks)] as const;
    const pair = isNew ? drawn : this.#draws.of(this.#links);
    if (isNew) this.#links.push(pair);
    const [child, parent] = pair;
    const method = isNew ? 'PUT' : 'DELETE';
    const path = `/tasks/${child}/parents/${parent}`;
    // A link that moves nobody has an event and no version.
    await this.#ask(answers, { method, path }, { taskId: child, isQuiet: true });
  }

  async #operate(answers: Answer[]): Promise<void> {
    const draws = this.#draws;
    const taskId = draws.of(this.#tasks);
    const verb = draws.of(VERBS);
    const bodies: Partial<Record<PersonVerb, object>> = {
      schedule: { run_at: new Date().toISOString() },
      assign: { lane: draws.of(LANES) },
      cancel: { deadline_seconds: LATER_SECONDS },
      'request-changes': { reason: 'not yet' },
    };
    const asked = { method: 'POST', path: `/tasks/${taskId}/${verb}`, body: bodies[verb] ?? {} };
    await this.#ask(answers, asked, { taskId });
  }

  /** Somebody's lease has lapsed; a reaper of one of the servers finds it. */
  async #crash(): Promise<void> {
    const held = this.#claims.at(-1);
    if (held !== undefined) await this.#board.servers.lapse(held.taskId);
  }

  async #ask(answers: Answer[], asked: Asked, about: Partial<Answer>) {
    const askedAt = Date.now();
    const answer = await this.#board.ask(asked);
    const { status, body } = answer;
    const [claim] = body?.claims ?? [];
    answers.push({
      ...about,
      asked: `${asked.method} ${asked.path} ${JSON.stringify(asked.body)} → ${status} ${body?.code ?? ''}`,
      askedAt,
      answeredAt: Date.now(),
      status,
      code: body?.code,
      taskId: about.taskId ?? body?.task?.id,
      version: body?.task?.version,
      taskStatus: body?.task?.status,
      statusBefore: body?.status_before,
      outcome: body?.outcome,
      ...(claim === undefined
        ? {}
        : { claim: { runId: claim.run_id, taskId: claim.task.id, attempt: claim.attempt } }),
    });
    return answer;
  }
}
