/** Boards: created, changed, deleted; and the directory that turns a board's name into its number. */
import { randomInt } from 'node:crypto';
import type { z } from 'zod';
import type { Board, BoardSettings, patchBoard, putBoard } from '../../../contract/boards.ts';
import type { Retention, RetentionPatch } from '../../../contract/retention.ts';
import { TASK_STATUSES, type TaskStatus } from '../../../contract/statuses.ts';
import type { Runner, Sql } from '../../db/client.ts';
import { appendEvents } from '../../db/event-log.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { formatCursor } from '../../kernel/cursor.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound } from '../auth/service.ts';
import { KEEP_ALL, setRetention } from '../retention/service.ts';
import {
  type BoardRow,
  deleteBoardRows,
  deleteCounter,
  findBoard,
  findBoardById,
  hasClaims,
  insertBoard,
  listBoards,
  lockBoard,
  lockBoardForEnd,
  lockLanes,
  updateBoard,
} from './store.ts';

type PutBody = z.infer<(typeof putBoard)['body']>;
type PatchBody = z.infer<(typeof patchBoard)['body']>;

/** What never changes while a board exists. */
export interface BoardRef {
  readonly id: number;
  readonly name: string;
  readonly incarnation: string;
}

const DEFAULT_BOARD = 'default';
/** Pinned by the domain. */
const DEFAULT_SETTINGS: BoardSettings = {
  paused: false,
  stranded_after_seconds: 300,
  delegation_capacity: 3,
  synthesizer_lane: null,
  synthesize_platforms: ['telegram'],
  default_owner: null,
  retention: KEEP_ALL,
};
/** Boards are few; a deleted one is forgotten by this server within the age, and no write to it can succeed meanwhile. */
const DIRECTORY_BOARDS_MAX = 10_000;
const DIRECTORY_AGE_MS = 1000;
/** The column is a Postgres integer. */
const BOARD_ID_MAX = 2 ** 31 - 1;
/** Eight characters of base 36, as the cursor's form has room for. */
const INCARNATION_RANGE = 36 ** 8;

function makeIncarnation(): string {
  return randomInt(INCARNATION_RANGE).toString(36).padStart(8, '0');
}

export function settingsOf(row: { readonly settings: Readonly<Record<string, unknown>> }): BoardSettings {
  const settings: Partial<BoardSettings> = row.settings;
  return { ...DEFAULT_SETTINGS, ...settings, retention: { ...KEEP_ALL, ...settings.retention } };
}

function boardOf(row: BoardRow): Board {
  return {
    name: row.name,
    title: row.title,
    description: row.description,
    settings: settingsOf(row),
    counts: Object.fromEntries(TASK_STATUSES.map((status) => [status, row[status]])) as Record<
      TaskStatus,
      number
    >,
    cursor: formatCursor({ boardId: row.id, incarnation: row.log_incarnation, seq: row.seq }),
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

export class BoardService {
  readonly #sql: Sql;
  readonly #wake: Wake;
  /** One object per board, so that it can be a key: what is gathered per board stays together. */
  readonly #refs = boundedCache<number, BoardRef>(DIRECTORY_BOARDS_MAX);
  readonly #directory = boundedCache<string, BoardRef>(DIRECTORY_BOARDS_MAX, DIRECTORY_AGE_MS);

  constructor(sql: Sql, wake: Wake) {
    this.#sql = sql;
    this.#wake = wake;
  }

  /** The board of this name, or the 404 that a foreign one also gets. */
  async resolve(name: string): Promise<BoardRef> {
    const known = this.#directory.get(name);
    if (known !== undefined) return known;
    const row = await withinDeadline(findBoard(this.#sql, name));
    if (row === null) throw boardNotFound(name);
    return this.#remember(row);
  }

  /** The board with this number, which a run's id names; null when there is none. */
  async resolveId(id: number): Promise<BoardRef | null> {
    if (id > BOARD_ID_MAX) return null; // A made-up run id may name any number.
    const row = await withinDeadline(findBoardById(this.#sql, id));
    return row === null ? null : this.#remember(row);
  }

  #remember(row: BoardRow): BoardRef {
    const known = this.#refs.get(row.id);
    const isSame = known?.name === row.name && known.incarnation === row.log_incarnation;
    const ref = isSame ? known : { id: row.id, name: row.name, incarnation: row.log_incarnation };
    this.#refs.set(row.id, ref);
    this.#directory.set(row.name, ref);
    return ref;
  }

  async get(name: string): Promise<Board> {
    const row = await withinDeadline(findBoard(this.#sql, name));
    if (row === null) throw boardNotFound(name);
    return boardOf(row);
  }

  /** As they are now. */
  async readSettings(runner: Runner, board: BoardRef): Promise<BoardSettings> {
    const row = await findBoardById(runner, board.id);
    if (row === null) throw boardNotFound(board.name);
    return settingsOf(row);
  }

  async list(caller: Principal, afterName: string | null, rowsMax: number): Promise<Board[]> {
    return (await withinDeadline(listBoards(this.#sql, visibleNames(caller), afterName, rowsMax))).map(
      boardOf,
    );
  }

  async put(caller: Principal, name: string, body: PutBody): Promise<{ board: Board; isNew: boolean }> {
    const isNew = await this.#create(actorOf(caller), name, body);
    if (!isNew)
      await this.#change(actorOf(caller), name, { version: null, isPatch: false }, withoutNulls(body));
    return { board: await this.get(name), isNew };
  }

  async patch(caller: Principal, name: string, version: number | null, body: PatchBody): Promise<Board> {
    await this.#change(actorOf(caller), name, { version, isPatch: true }, body);
    return this.get(name);
  }

  /** `default` exists from the start. */
  async ensureDefault(actor: ActorRef): Promise<void> {
    await this.#create(actor, DEFAULT_BOARD, {});
  }

  async #create(actor: ActorRef, name: string, body: PutBody): Promise<boolean> {
    const settings = changedSettings(DEFAULT_SETTINGS, body.settings, false);
    const fields = { title: body.title ?? null, description: body.description ?? null, settings };
    return transaction(this.#sql, async (tx) => {
      const id = await insertBoard(tx, name, makeIncarnation(), fields);
      if (id === null) return false;
      await setRetention(tx, id, settings.retention);
      await appendEvents(tx, id, { events: [{ kind: 'board.created', actor, data: { name, ...fields } }] });
      return true;
    });
  }

  /** @param manner null as the version: whatever it is. Only in a PATCH does null clear something. */
  async #change(
    actor: ActorRef,
    name: string,
    { version, isPatch }: { readonly version: number | null; readonly isPatch: boolean },
    body: PatchBody,
  ): Promise<void> {
    const id = await transaction(this.#sql, async (tx) => {
      const row = await lockBoard(tx, name);
      if (row === null) throw boardNotFound(name);
      if (version !== null && version !== row.version) throw versionMismatch(row.version);
      if (Object.keys(body).length === 0) return row.id;
      const settings =
        body.settings === undefined
          ? undefined
          : changedSettings(
              body.settings === null ? DEFAULT_SETTINGS : settingsOf(row),
              body.settings,
              isPatch,
            );
      const fields = { ...body, ...(settings === undefined ? {} : { settings }) };
      await updateBoard(tx, row.id, fields as Parameters<typeof updateBoard>[2]);
      // Only where it is meant: whoever prunes is waited for.
      const isRetentionNamed = body.settings === null || body.settings?.retention !== undefined;
      if (settings !== undefined && isRetentionNamed) await setRetention(tx, row.id, settings.retention);
      await appendEvents(tx, row.id, {
        events: [{ kind: 'board.updated', actor, data: fields }],
        isConfigChange: settings !== undefined,
      });
      return row.id;
    });
    this.#wake.ring(id);
  }

  async delete(name: string): Promise<void> {
    if (name === DEFAULT_BOARD) throw new ProblemError('forbidden', 'The default board always exists.');
    const deletedId = await transaction(this.#sql, async (tx) => {
      const id = await lockBoardForEnd(tx, name);
      if (id === null) throw boardNotFound(name);
      // Whoever prunes it just now is waited for, because he has the counter row last.
      await setRetention(tx, id, KEEP_ALL);
      await lockLanes(tx, id);
      // The counter row before all that is deleted: what was claimed before it is ours is seen now, and nothing can be claimed after.
      await deleteCounter(tx, id);
      if (await hasClaims(tx, id))
        throw new ProblemError(
          'lane_has_claims',
          'Tasks of this board are being worked on; drain its lanes first.',
        );
      await deleteBoardRows(tx, id, name);
      return id;
    });
    this.#directory.delete(name);
    this.#wake.ring(deletedId);
  }
}

export function versionMismatch(current: number): ProblemError {
  return new ProblemError(
    'version_mismatch',
    `The resource is at version ${current} by now; read it again.`,
    { extensions: { version: current } },
  );
}

/** null: every board. */
function visibleNames(caller: Principal): string[] | null {
  if (caller.kind === 'claim') return [caller.board];
  return caller.boards === '*' ? null : [...caller.boards];
}

/** Settings for which null is a value: nobody, or for ever. */
const CLEARABLE: ReadonlySet<string> = new Set<keyof BoardSettings>(['synthesizer_lane', 'default_owner']);

/** A setting that is left out keeps its value, and one that is null does, unless null says something. */
function changedSettings(before: BoardSettings, body: PutBody['settings'], isPatch: boolean): BoardSettings {
  const { retention, ...named } = body ?? {};
  const isNamed = ([name, value]: [string, unknown]): boolean =>
    value !== undefined && (value !== null || (isPatch && CLEARABLE.has(name)));
  return {
    ...before,
    ...Object.fromEntries(Object.entries(named).filter(isNamed)),
    retention: changedRetention(before.retention, retention, isPatch),
  };
}

function changedRetention(
  before: Retention,
  named: RetentionPatch | null | undefined,
  isPatch: boolean,
): Retention {
  if (named === undefined || named === null) return named === null && isPatch ? KEEP_ALL : before;
  const given = Object.entries(named).filter(
    ([, seconds]) => seconds !== undefined && (seconds !== null || isPatch),
  );
  return { ...before, ...Object.fromEntries(given) };
}

/** In a PUT null means absent. */
function withoutNulls(body: PutBody): PatchBody {
  return Object.fromEntries(
    Object.entries(body).filter(([, value]) => value !== null && value !== undefined),
  );
}
