/**
 * Replies made of outcomes: each is a task of the server's own on the board's synthesizer lane, claimed and ended like any other. One at a
 * time in a session, so that a conversation is told in order; sessions do not wait for each other, and what is told directly waits for none
 * of it. Whatever becomes of the task, the delivery goes out when its time is over.
 */
import type { Sql, Tx } from '../../db/client.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { type IdSource, parseId } from '../../kernel/ids.ts';
import { Turns } from '../../kernel/turns.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import { type DeliveryRow, type DeliveryService, lockGivingOut } from '../deliveries/service.ts';
import {
  eraseReply,
  type FamilyMember,
  lockTasks,
  mayMove,
  type TaskCreation,
  TaskOperation,
} from '../tasks/service.ts';
import {
  dropUnsubscribed,
  endSynthesis,
  findReply,
  listBoardsWithSynthesis,
  listSettled,
  listStartable,
  lockSynthesis,
  noteSynthesisTask,
  postponeSynthesis,
  type SettledSynthesis,
  settleSynthesis,
} from './store.ts';

interface SynthesisParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly boards: Pick<BoardService, 'resolveId' | 'readSettings'>;
  readonly deliveries: DeliveryService;
  readonly creation: TaskCreation;
}

const BOARDS_PER_SWEEP_MAX = 100;
const TURNS_PER_SWEEP_MAX = 20;
const SWEEP_MS_MAX = 1000;
/** Of one transaction: each makes a task. */
const STARTED_PER_TURN_MAX = 20;
/** Each is a transaction of its own. */
const SETTLED_PER_TURN_MAX = 50;
/** Far above a message of any platform. */
const REPLY_CHARACTERS_MAX = 32_000;
/** Between looks whether a task that was told to stop at once has: its claim is ended within about that. */
const STOP_SECONDS = 1;
/** From the event on, pinned by the domain; nobody who starts late works longer than that. */
const RUNTIME_SECONDS = 45;

const SYNTHESIS = { type: 'system', id: 'synthesis' } as const;

const GUIDANCE = [
  'Write the reply that the user should see, in the language of their request, from the outcome below.',
  'Say what was asked for and what came of it, first and plainly; then what they have to decide or do, if anything.',
  'Do not mention tasks, lanes, runs, workers, boards, ids, tools or other inner workings, and do not invent anything.',
  'Answer with the text of the reply alone.',
].join(' ');

export class Synthesis {
  readonly #parts: SynthesisParts;
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(parts: SynthesisParts) {
    this.#parts = parts;
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { sql, boards } = this.#parts;
    const listed = listBoardsWithSynthesis(sql, this.#turns.troubled, BOARDS_PER_SWEEP_MAX);
    await this.#turns.take(await withinDeadline(listed), signal, async (boardId, patienceMs) => {
      const board = await boards.resolveId(boardId);
      if (board === null) return false;
      const settled = await this.#settle(board, patienceMs);
      const started = await this.#start(board, patienceMs);
      if (settled + started > 0) this.#parts.wake.ring(boardId);
      return settled === SETTLED_PER_TURN_MAX || started === STARTED_PER_TURN_MAX;
    });
  }

  async #start(board: BoardRef, patienceMs: number): Promise<number> {
    const { sql, boards, deliveries } = this.#parts;
    return impatientTransaction(sql, patienceMs, async (tx) => {
      const { synthesizer_lane: lane } = await boards.readSettings(tx, board);
      if (lane === null) return 0;
      await lockGivingOut(tx, board.id);
      const rows = await listStartable(tx, board.id, STARTED_PER_TURN_MAX);
      const texts = await deliveries.textsOf(tx, board, rows);
      for (const row of rows) await this.#make(tx, board, lane, row, texts.get(row.id) ?? '');
      return rows.length;
    });
  }

  async #make(tx: Tx, board: BoardRef, lane: string, row: DeliveryRow, text: string): Promise<void> {
    const task = await this.#parts.creation.createSystem(tx, board, SYNTHESIS, {
      title: `Reply to ${row.platform}`,
      body: `${GUIDANCE}\n\n${text}`,
      lane,
      payload: { kind: 'synthesis', guidance: GUIDANCE, text, platform: row.platform },
      max_failures: 1,
      max_runtime_seconds: RUNTIME_SECONDS,
    });
    await noteSynthesisTask(tx, board.id, row.id, present(parseId('task', task.id), 'a task of ours'));
  }

  async #settle(board: BoardRef, patienceMs: number): Promise<number> {
    const { sql } = this.#parts;
    const settled = await withinDeadline(listSettled(sql, board.id, SETTLED_PER_TURN_MAX));
    for (const one of settled)
      await impatientTransaction(sql, patienceMs, (tx) => this.#settleOne(tx, board, one));
    return settled.length;
  }

  /** The task first, as everywhere; how it stands is known under its lock, and not before. */
  async #settleOne(tx: Tx, board: BoardRef, { id, task_id: taskId }: SettledSynthesis): Promise<void> {
    const [task] = taskId === null ? [] : await lockTasks(tx, board.id, [taskId]);
    const synthesis = await lockSynthesis(tx, board.id, id);
    // Begun meanwhile: the next look is at its task.
    if (synthesis === null || synthesis.task_id !== taskId) return;
    const isOver = task?.status !== 'running';
    if (synthesis.is_awaited) {
      const reply = task === undefined ? null : await findReply(tx, board.id, task.id);
      const text = reply === null || reply.trim() === '' ? null : excerptOf(reply, REPLY_CHARACTERS_MAX);
      await settleSynthesis(tx, board.id, id, text);
    } else if (isOver && task !== undefined) await eraseReply(tx, board.id, task.id);
    // What it is made of may be deleted at any time, so it is not let go while anything more can be written of that.
    if (isOver) await endSynthesis(tx, board.id, id);
    else await postponeSynthesis(tx, board.id, id, STOP_SECONDS);
    if (isOver && !synthesis.is_awaited) await dropUnsubscribed(tx, board.id, id);
    await this.#stop(tx, board, task, synthesis.is_awaited ? 'its time is over' : 'nobody waits for it');
  }

  async #stop(tx: Tx, board: BoardRef, task: FamilyMember | undefined, reason: string): Promise<void> {
    if (task === undefined) return;
    if (task.status !== 'running' && !mayMove(task.status, 'cancel', 'cancelled')) return;
    const known = new Map([[task.id, task]]);
    const parts = { tx, board, actor: SYNTHESIS, ids: this.#parts.ids, known };
    await (await TaskOperation.begin(parts, task.id))?.cancel(reason, 0);
  }
}
