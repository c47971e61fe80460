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
  readonly #path: string;
  readonly #database: Database;
  readonly #columns = new Map<string, ReadonlySet<string>>();
  readonly #statements = new Map<string, Statement>();

  private constructor(path: string, database: Database) {
    this.#path = path;
    this.#database = database;
  }

  static async open(path: string): Promise<HermesDatabase> {
    const bytes = await readSqliteFile(path);
    const { Database: SqlDatabase } = await initSqlJs();
    const board = new HermesDatabase(
      path,
      readable(path, () => new SqlDatabase(bytes)),
    );
    try {
      board.#prepare();
    } catch (error) {
      board.close();
      throw error;
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
        this.#exec(`CREATE INDEX lanekeeper_import_${table} ON ${table} (task_id)`);
    }
    if (this.has('tasks', 'id')) this.#exec('CREATE INDEX lanekeeper_import_tasks ON tasks (id)');
    this.#exec('PRAGMA query_only = 1');
  }

  #exec(sql: string): void {
    readable(this.#path, () => this.#database.exec(sql));
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

  /** By rowid. */
  tasks(rowids: readonly number[]): Map<number, Row> {
    const rows = this.#all(
      'SELECT t.rowid AS rowid_, t.* FROM json_each(?) AS wanted CROSS JOIN tasks t ON t.rowid = wanted.value',
      [JSON.stringify(rowids)],
    );
    return new Map(rows.map(({ rowid_: rowid, ...row }) => [Number(rowid), row]));
  }

  /** By task, in the order they were written. */
  related(table: RelatedTable, taskIds: readonly string[]): Map<string, Row[]> {
    const byTask = new Map<string, Row[]>(taskIds.map((id) => [id, []]));
    if (!this.has(table, 'task_id')) return byTask;
    const rows = this.#all(
      `SELECT wanted.value AS task_id_, r.* FROM json_each(?) AS wanted CROSS JOIN ${table} r ON r.task_id = wanted.value
       ORDER BY wanted.key, r.rowid`,
      [JSON.stringify(taskIds)],
    );
    for (const { task_id_: id, ...row } of rows) byTask.get(String(id))?.push(row);
    return byTask;
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
    return readable(this.#path, () => this.#read(sql, parameters));
  }

  #read(sql: string, parameters: readonly (string | number)[]): Row[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    statement.bind([...parameters]);
    const names = statement.getColumnNames();
    const rows: Row[] = [];
    // By hand: asked for objects, sql.js looks the names of the columns up again for every row.
    while (statement.step()) {
      const cells = statement.get();
      const row: Record<string, Cell> = {};
      for (const [index, name] of names.entries()) row[name] = cells[index] ?? null;
      rows.push(row);
    }
    statement.reset();
    return rows;
  }
}

/** Whatever SQLite cannot read is the file's fault: it was cut short, or its pages contradict each other. */
function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${path} cannot be read: ${reason}`, { cause: error });
  }
}
