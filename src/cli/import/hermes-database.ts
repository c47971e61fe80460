/** A Hermes board as its SQLite file has it: tables and columns are looked at, never assumed. */
import initSqlJs, { type Database, type Statement } from 'sql.js';
import { UsageError } from '../exit-codes.ts';
import type { Cell, Row } from './cell.ts';
import { readSqliteFile } from './sqlite-file.ts';

/** Tables whose rows belong to a task. Boards of older versions lack some. */
export const RELATED_TABLES = [
  'task_runs',
  'task_comments',
  'task_events',
  'task_attachments',
  'kanban_notify_subs',
] as const;
export type RelatedTable = (typeof RELATED_TABLES)[number];

/** What decides about the order of the tasks; the rest of a row is read when its turn comes. */
const OUTLINE_COLUMNS = ['id', 'status', 'assignee', 'created_at', 'started_at', 'idempotency_key'];

export interface Outline {
  readonly rowid: number;
  readonly row: Row;
}

export interface RawLink {
  readonly parent: Cell;
  readonly child: Cell;
}

export class HermesDatabase {
  readonly #database: Database;
  readonly #columns = new Map<string, ReadonlySet<string>>();
  readonly #statements = new Map<string, Statement>();

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(path: string): Promise<HermesDatabase> {
    const bytes = await readSqliteFile(path);
    const { Database: SqlDatabase } = await initSqlJs();
    const board = new HermesDatabase(new SqlDatabase(bytes));
    try {
      board.#prepare();
    } catch (error) {
      board.close();
      if (error instanceof UsageError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`${path} cannot be read: ${reason}`, { cause: error });
    }
    if (!board.has('tasks', 'id')) {
      board.close();
      throw new UsageError(`${path} is no Hermes board: it has no table of tasks.`);
    }
    return board;
  }

  #prepare(): void {
    for (const table of ['tasks', 'task_links', ...RELATED_TABLES]) {
      const names = this.#all(`SELECT name FROM pragma_table_info('${table}')`).map(({ name }) =>
        String(name),
      );
      this.#columns.set(table, new Set(names));
    }
    // In our copy. Otherwise every task would cost a look at all rows: old versions have no such index.
    for (const table of RELATED_TABLES) {
      if (this.has(table, 'task_id'))
        this.#database.exec(`CREATE INDEX lanekeeper_import_${table} ON ${table} (task_id)`);
    }
    if (this.has('tasks', 'id')) this.#database.exec('CREATE INDEX lanekeeper_import_tasks ON tasks (id)');
    this.#database.exec('PRAGMA query_only = 1');
  }

  has(table: string, column: string): boolean {
    return this.#columns.get(table)?.has(column) ?? false;
  }

  outlines(): Outline[] {
    const columns = OUTLINE_COLUMNS.filter((column) => this.has('tasks', column));
    return this.#all(`SELECT rowid AS rowid_, ${columns.join(', ')} FROM tasks ORDER BY rowid`).map(
      ({ rowid_: rowid, ...row }) => ({ rowid: Number(rowid), row }),
    );
  }

  task(rowid: number): Row {
    return this.#all('SELECT * FROM tasks WHERE rowid = ?', [rowid])[0] ?? {};
  }

  /** In the order they were written. */
  related(table: RelatedTable, taskId: string): Row[] {
    if (!this.has(table, 'task_id')) return [];
    return this.#all(`SELECT * FROM ${table} WHERE task_id = ? ORDER BY rowid`, [taskId]);
  }

  links(): RawLink[] {
    if (!this.has('task_links', 'parent_id') || !this.has('task_links', 'child_id')) return [];
    return this.#all('SELECT parent_id, child_id FROM task_links ORDER BY rowid').map(
      ({ parent_id: parent = null, child_id: child = null }) => ({ parent, child }),
    );
  }

  count(table: RelatedTable): number {
    if (!this.has(table, 'task_id')) return 0;
    return Number(this.#all(`SELECT count(*) AS count FROM ${table}`)[0]?.['count'] ?? 0);
  }

  /** Rows of tasks that are gone: nothing in the file forbids them. */
  countOrphans(table: RelatedTable): number {
    if (!this.has(table, 'task_id')) return 0;
    const sql = `SELECT count(*) AS count FROM ${table} r WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = r.task_id)`;
    return Number(this.#all(sql)[0]?.['count'] ?? 0);
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.free();
    this.#database.close();
  }

  #all(sql: string, parameters: readonly (string | number)[] = []): Row[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    statement.bind([...parameters]);
    const rows: Row[] = [];
    while (statement.step()) rows.push(statement.getAsObject());
    statement.reset();
    return rows;
  }
}
