/** What a statement of a migration is and which lock it takes, told from its first words: enough for the few kinds that schema changes are made of. */

export type TableLock =
  | 'ROW EXCLUSIVE'
  | 'SHARE UPDATE EXCLUSIVE'
  | 'SHARE'
  | 'SHARE ROW EXCLUSIVE'
  | 'ACCESS EXCLUSIVE';

export type SchemaStatement =
  | { readonly kind: 'create_table'; readonly table: string }
  | {
      readonly kind: 'create_index';
      readonly table: string;
      readonly index: string;
      readonly isConcurrent: boolean;
      readonly isRepeatable: boolean;
    }
  | { readonly kind: 'alter_table'; readonly table: string; readonly change: string }
  | { readonly kind: 'change_rows'; readonly table: string }
  | {
      readonly kind: 'drop';
      readonly what: string;
      readonly name: string;
      readonly isConcurrent: boolean;
      readonly isRepeatable: boolean;
    }
  | { readonly kind: 'other' };

const NAME = '(?:"?public"?\\.)?"?(\\w+)"?';
const CREATE_TABLE = new RegExp(`^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?${NAME}`, 'i');
const CREATE_INDEX = new RegExp(
  `^CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(IF NOT EXISTS )?${NAME} ON (?:ONLY )?${NAME}`,
  'i',
);
const ALTER_TABLE = new RegExp(`^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?${NAME} (.*)$`, 'i');
const CHANGE_ROWS = new RegExp(`^(?:UPDATE|INSERT INTO|DELETE FROM) (?:ONLY )?${NAME}`, 'i');
const DROP = new RegExp(`^DROP (\\w+) (CONCURRENTLY )?(IF EXISTS )?${NAME}`, 'i');

/** One line, without comments. */
export function plainSql(statement: string): string {
  return statement
    .replace(/--.*$/gm, ' ')
    .replace(/\/\*[\s\S]*?\*\//g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

export function readStatement(statement: string): SchemaStatement {
  const text = plainSql(statement);
  const created = CREATE_TABLE.exec(text);
  if (created) return { kind: 'create_table', table: created[1] ?? '' };
  const indexed = CREATE_INDEX.exec(text);
  if (indexed) {
    const [, concurrently, ifNotExists, index = '', table = ''] = indexed;
    const flags = { isConcurrent: concurrently !== undefined, isRepeatable: ifNotExists !== undefined };
    return { kind: 'create_index', table, index, ...flags };
  }
  const altered = ALTER_TABLE.exec(text);
  if (altered) return { kind: 'alter_table', table: altered[1] ?? '', change: altered[2] ?? '' };
  const changed = CHANGE_ROWS.exec(text);
  if (changed) return { kind: 'change_rows', table: changed[1] ?? '' };
  const dropped = DROP.exec(text);
  if (dropped) {
    const [, what = '', concurrently, ifExists, name = ''] = dropped;
    const flags = { isConcurrent: concurrently !== undefined, isRepeatable: ifExists !== undefined };
    return { kind: 'drop', what: what.toUpperCase(), name, ...flags };
  }
  return { kind: 'other' };
}

/** The lock on a table that was there before; null: none, or nothing that these words tell. */
export function lockOf(
  statement: SchemaStatement,
): { readonly name: string; readonly lock: TableLock } | null {
  switch (statement.kind) {
    case 'create_index':
      return { name: statement.table, lock: statement.isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE' };
    case 'alter_table':
      return { name: statement.table, lock: lockOfChange(statement.change) };
    case 'change_rows':
      return { name: statement.table, lock: 'ROW EXCLUSIVE' };
    case 'drop':
      return {
        name: statement.name,
        lock: statement.isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
      };
    case 'create_table':
    case 'other':
      return null;
  }
}

function lockOfChange(change: string): TableLock {
  const isGentle = /^(RE)?SET \(|^VALIDATE CONSTRAINT|^ALTER (COLUMN )?\S+ SET STATISTICS/i.test(change);
  if (isGentle) return 'SHARE UPDATE EXCLUSIVE';
  return /^ADD\b.*\b(FOREIGN KEY|REFERENCES)\b/i.test(change) && !/^ADD COLUMN/i.test(change)
    ? 'SHARE ROW EXCLUSIVE'
    : 'ACCESS EXCLUSIVE';
}
