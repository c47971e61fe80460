/**
 * What a migration must not do while servers of the release before work on the same tables: take away or change what they use, refuse what
 * they write, or keep a large table locked for as long as it takes to read it.
 */
import { parseMigration } from '../../../src/server/db/migration/files.ts';
import { plainSql, readStatement, type SchemaStatement } from '../../../src/server/db/migration/statement.ts';

/** A row for a board, lane, worker, key or server: read in milliseconds. Every other table has one for tasks, runs or events. */
const SMALL_TABLES = new Set([
  'api_keys',
  'board_seq',
  'boards',
  'lanes',
  'pulse',
  'sign_in_codes',
  'signing_keys',
  'stats_progress',
  'stranded_marks',
  'workers',
]);
/** The same for every row, so that Postgres writes it down once: constants, and the time of the statement. */
const CALLS_A_FUNCTION = /\bDEFAULT \(?(?!now\b)[\w.]+ ?\(/i;
const FILLS_ITSELF = /\b(small|big)?serial\b|\bGENERATED\b/i;
const SCANS_INLINE = /\b(CHECK|UNIQUE|PRIMARY KEY|REFERENCES)\b/i;

export interface MigrationText {
  readonly tag: string;
  readonly text: string;
}

interface Scene {
  readonly statement: string;
  readonly isContract: boolean;
  /** Made by this very migration, so nobody uses it yet. */
  readonly made: ReadonlySet<string>;
  /** Everything up to here, also of earlier migrations, as plain SQL. */
  readonly history: readonly string[];
}

/** One line for each offence of the migration; `earlier` are those before it. */
export function brokenRules(migration: MigrationText, earlier: readonly MigrationText[]): string[] {
  const { statements, isOutsideTransaction } = parseMigration(migration.tag, 0, migration.text);
  const history = earlier.flatMap(({ tag, text }) => parseMigration(tag, 0, text).statements.map(plainSql));
  const made = new Set<string>();
  const offences: string[] = [];
  if (isOutsideTransaction && statements.length !== 1)
    offences.push('outside a transaction there is one statement, or a failure leaves the first of them');
  const isContract = contractOf(migration, earlier, offences);
  for (const statement of statements) {
    const read = readStatement(statement);
    if (read.kind === 'create_table') made.add(read.table);
    const scene = { statement: plainSql(statement), isContract, made, history };
    offences.push(...offencesOf(read, scene), ...transactionOffences(read, isOutsideTransaction));
    history.push(plainSql(statement));
  }
  return offences;
}

/** A step that takes something away names the earlier one since which no server uses it. */
function contractOf(
  { tag, text }: MigrationText,
  earlier: readonly MigrationText[],
  offences: string[],
): boolean {
  const named = /^-- lanekeeper: contract step of (\d{4})\b/m.exec(text)?.[1];
  if (named === undefined) return false;
  if (!earlier.some((other) => other.tag.startsWith(`${named}_`)) || tag.startsWith(named))
    offences.push(`there is no earlier migration ${named} for this to be the contract step of`);
  return true;
}

function transactionOffences(read: SchemaStatement, isOutsideTransaction: boolean): string[] {
  const isConcurrent = (read.kind === 'create_index' || read.kind === 'drop') && read.isConcurrent;
  if (isConcurrent && !isOutsideTransaction)
    return ['CONCURRENTLY needs "-- lanekeeper: outside a transaction" as first line'];
  if (isConcurrent && !read.isRepeatable)
    return ['outside a transaction a statement may run twice: IF NOT EXISTS, IF EXISTS'];
  if (!isConcurrent && isOutsideTransaction) return ['only CONCURRENTLY has to be outside a transaction'];
  return [];
}

function offencesOf(read: SchemaStatement, scene: Scene): string[] {
  const isSmall = (table: string): boolean => scene.made.has(table) || SMALL_TABLES.has(table);
  switch (read.kind) {
    case 'create_table':
      return [];
    case 'create_index':
      return read.isConcurrent || isSmall(read.table)
        ? []
        : [`an index on "${read.table}" is built CONCURRENTLY, or writes wait for it`];
    case 'change_rows': {
      const isInsert = /^INSERT/i.test(scene.statement);
      return isInsert || isSmall(read.table)
        ? []
        : [`rows of "${read.table}" are changed by the server, in portions`];
    }
    case 'drop':
      if (read.what === 'INDEX')
        return read.isConcurrent ? [] : [`the index "${read.name}" is dropped CONCURRENTLY`];
      return scene.isContract ? [] : [`the ${read.what.toLowerCase()} "${read.name}" is still used`];
    case 'alter_table':
      return scene.made.has(read.table)
        ? []
        : actionsOf(read.change).flatMap((action) => actionOffences(action, read.table, scene));
    case 'other':
      return /^(TRUNCATE|LOCK|CLUSTER|VACUUM|REINDEX)\b/i.test(scene.statement)
        ? [`${scene.statement.split(' ', 1)[0]} locks whole tables`]
        : [];
  }
}

/** `ADD COLUMN a text, ADD COLUMN b text` are two; commas in parentheses separate something else. */
function actionsOf(change: string): string[] {
  return change.split(/,\s*(?=(?:ADD|DROP|ALTER|RENAME|VALIDATE|SET)\b)/i);
}

function actionOffences(action: string, table: string, scene: Scene): string[] {
  if (/^(DROP (COLUMN )?(?!CONSTRAINT)|RENAME\b)/i.test(action) && !/^DROP CONSTRAINT/i.test(action))
    return scene.isContract
      ? []
      : [`servers of the release before still use what this takes from "${table}"`];
  if (/^ADD CONSTRAINT/i.test(action)) return constraintOffences(action, table);
  if (/^ADD\b/i.test(action)) return columnOffences(action, table);
  const column = /^ALTER (?:COLUMN )?"?(\w+)"? (.*)$/i.exec(action);
  if (column === null) return [];
  const [, name = '', change = ''] = column;
  if (/^(SET DATA )?TYPE\b/i.test(change))
    return [`"${table}"."${name}" gets a new column instead of another type`];
  if (/^SET NOT NULL/i.test(change) && !isKnownNotNull(table, name, scene.history))
    return [`"${table}"."${name}" needs a validated CHECK that it is NOT NULL first`];
  return [];
}

function columnOffences(action: string, table: string): string[] {
  const isEmpty = !/\bDEFAULT\b/i.test(action);
  const found = [
    isEmpty && /\bNOT NULL\b/i.test(action) && 'a column that is NOT NULL needs a DEFAULT',
    CALLS_A_FUNCTION.test(action) && 'a DEFAULT that differs from row to row rewrites the table',
    FILLS_ITSELF.test(action) && 'a column that fills itself rewrites the table',
    SCANS_INLINE.test(action) && 'a constraint of a new column is added by itself, NOT VALID',
  ];
  return found.filter((offence) => offence !== false).map((offence) => `${offence} ("${table}")`);
}

function constraintOffences(action: string, table: string): string[] {
  if (SMALL_TABLES.has(table) || /\bNOT VALID\b|\bUSING INDEX\b/i.test(action)) return [];
  return [
    `a constraint of "${table}" is added NOT VALID and validated by a later migration, or made USING INDEX`,
  ];
}

function isKnownNotNull(table: string, column: string, history: readonly string[]): boolean {
  const added = new RegExp(
    `^ALTER TABLE "?${table}"? ADD CONSTRAINT "?(\\w+)"? CHECK \\(.*"?${column}"? IS NOT NULL`,
    'i',
  );
  const constraint = history
    .map((statement) => added.exec(statement)?.[1])
    .find((name) => name !== undefined);
  if (constraint === undefined) return false;
  const validated = new RegExp(`^ALTER TABLE "?${table}"? VALIDATE CONSTRAINT "?${constraint}"?`, 'i');
  return history.some((statement) => validated.test(statement));
}
