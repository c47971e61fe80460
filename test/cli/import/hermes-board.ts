/** Hermes boards as SQLite files, made by hand: of an old version, of a newer one, and with whatever irregularity a test wants. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import initSqlJs, { type Database, type Statement } from 'sql.js';
import { onTestFinished } from 'vitest';

export type Value = string | number | null | Uint8Array;
export type Values = Readonly<Record<string, Value>>;

/** The columns of a board from before links had a life of their own: no runs, the old names of the failure columns. */
const OLD_SCHEMA = `
  CREATE TABLE tasks (id TEXT PRIMARY KEY, title TEXT NOT NULL, body TEXT, assignee TEXT, status TEXT NOT NULL, priority INTEGER DEFAULT 0,
    created_by TEXT, created_at NOT NULL, started_at, completed_at, claim_lock TEXT, claim_expires INTEGER, tenant TEXT, result TEXT,
    idempotency_key TEXT, spawn_failures INTEGER NOT NULL DEFAULT 0, last_spawn_error TEXT);
  CREATE TABLE task_links (parent_id TEXT NOT NULL, child_id TEXT NOT NULL, PRIMARY KEY (parent_id, child_id));
  CREATE TABLE task_comments (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, author TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER);
  CREATE TABLE task_events (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, kind TEXT NOT NULL, payload TEXT, created_at INTEGER);`;

/** A newer one, with the columns of a fork among them. */
const NEW_SCHEMA = `
  CREATE TABLE tasks (id TEXT PRIMARY KEY, title TEXT NOT NULL, body TEXT, assignee TEXT, status TEXT NOT NULL, priority INTEGER DEFAULT 0,
    created_by TEXT, created_at, started_at, completed_at, workspace_kind TEXT NOT NULL DEFAULT 'scratch', workspace_path TEXT,
    branch_name TEXT, project_id TEXT, claim_lock TEXT, claim_expires INTEGER, tenant TEXT, result TEXT, idempotency_key TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0, worker_pid INTEGER, last_failure_error TEXT, max_runtime_seconds INTEGER,
    last_heartbeat_at INTEGER, current_run_id INTEGER, skills TEXT, model_override TEXT, max_retries INTEGER, goal_mode INTEGER,
    session_id TEXT, block_kind TEXT, block_recurrences INTEGER NOT NULL DEFAULT 0, completion_contract TEXT, worker_started_at TEXT,
    scheduled_at, fork_colour TEXT);
  CREATE TABLE task_links (parent_id TEXT NOT NULL, child_id TEXT NOT NULL, PRIMARY KEY (parent_id, child_id));
  CREATE TABLE task_comments (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, author TEXT, body TEXT, created_at);
  CREATE TABLE task_events (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, run_id INTEGER, kind TEXT NOT NULL, payload TEXT, created_at);
  CREATE TABLE task_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, profile TEXT, step_key TEXT, status TEXT, claim_lock TEXT,
    claim_expires INTEGER, worker_pid INTEGER, max_runtime_seconds INTEGER, last_heartbeat_at INTEGER, started_at, ended_at, outcome TEXT,
    summary TEXT, metadata TEXT, error TEXT, worker_started_at TEXT);
  CREATE TABLE task_attachments (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT, filename TEXT, stored_path TEXT, content_type TEXT,
    size INTEGER, uploaded_by TEXT, created_at INTEGER);
  CREATE TABLE kanban_notify_subs (task_id TEXT, platform TEXT, chat_id TEXT, thread_id TEXT DEFAULT '', created_at INTEGER,
    last_event_id INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (task_id, platform, chat_id, thread_id));`;

const SCHEMAS = { old: OLD_SCHEMA, new: NEW_SCHEMA };

/** 2026-05-01 12:00:00 UTC, in seconds. */
export const MAY = 1_777_636_800;

export class HermesBoard {
  readonly #database: Database;
  readonly #rows = new Map<string, number>();
  /** Large boards are made of few kinds of rows. Freed with the database, by export. */
  readonly #statements = new Map<string, Statement>();

  private constructor(database: Database) {
    this.#database = database;
  }

  static async make(schema: keyof typeof SCHEMAS): Promise<HermesBoard> {
    const { Database: SqlDatabase } = await initSqlJs();
    const database = new SqlDatabase();
    database.exec(SCHEMAS[schema]);
    return new HermesBoard(database);
  }

  /** Later ones are a second younger. */
  task(id: string | null, status: string, values: Values = {}): this {
    const age = this.#rows.get('tasks') ?? 0;
    return this.row('tasks', { id, title: `task ${id}`, status, created_at: MAY + age, ...values });
  }

  link(parent: string, child: string): this {
    return this.row('task_links', { parent_id: parent, child_id: child });
  }

  event(task: string, kind: string, payload: unknown = null, values: Values = {}): this {
    const at = MAY + (this.#rows.get('task_events') ?? 0);
    const text = typeof payload === 'string' || payload === null ? payload : JSON.stringify(payload);
    return this.row('task_events', { task_id: task, kind, payload: text, created_at: at, ...values });
  }

  row(table: string, values: Values): this {
    const names = Object.keys(values);
    const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    statement.run(Object.values(values));
    this.#rows.set(table, (this.#rows.get(table) ?? 0) + 1);
    return this;
  }

  /** Many rows of one table at once. */
  all(work: (board: this) => void): this {
    this.#database.exec('BEGIN');
    work(this);
    this.#database.exec('COMMIT');
    return this;
  }

  exec(sql: string): this {
    this.#database.exec(sql);
    return this;
  }

  bytes(): Uint8Array {
    this.#statements.clear();
    return this.#database.export();
  }

  /** A file of its own, or with a name that of a named board; gone when the test ends. */
  async save(named: { readonly name: string; readonly facts: object } | null = null): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'lanekeeper-hermes-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const directory = named === null ? root : join(root, 'kanban', 'boards', named.name);
    await mkdir(directory, { recursive: true });
    if (named !== null) await writeFile(join(directory, 'board.json'), JSON.stringify(named.facts));
    const path = join(directory, 'kanban.db');
    await writeFile(path, this.bytes());
    return path;
  }
}
