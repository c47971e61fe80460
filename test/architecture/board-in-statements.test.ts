/**
 * A database that is sharded by board can answer a statement that names one board on one shard. Those that look across boards are here by
 * their tags, each kind with its reason: whoever adds one has to say why. That they are right on partitions is what the partitioned run of the
 * database tests shows (CONTRIBUTING.md); that no key crosses boards, test/server/db/board-keys.pg.test.ts.
 */
import { expect, test } from 'vitest';
import { readSourceFiles } from './source-files.ts';

/** The rest of the tables of the schema have a board_id. */
const GLOBAL_TABLES = [
  'boards',
  'api_keys',
  'signing_keys',
  'sign_in_codes',
  'pulse',
  'audit_entries',
  'audit_seq',
];

const ACROSS_BOARDS: Readonly<Record<string, readonly string[]>> = {
  'asks on which boards there is something to do, which is then done board by board': [
    'bulk.list_running',
    'claims.list_overdue_boards',
    'delegations.list_boards_with_leftovers',
    'delegations.list_boards_with_overdue',
    'lanes.list_drained',
    'presence.list_edges',
    'retention.list_due',
    'stats.list_boards',
    'stranded.list_boards',
    'synthesis.list_boards',
    'tasks.list_boards_with_due',
    'wake.poll',
    'wake.poll_which',
    'webhooks.list_boards',
  ],
  'figures of all boards, for /metrics': [
    'system.ages',
    'system.counts',
    'system.oldest_ready',
    'system.delegations',
    'system.outbox',
    'system.statistics',
    'retention.lag',
    'retention.oldest',
  ],
  'a list of boards, each with its own row': [
    'boards.find',
    'boards.find_by_id',
    'boards.insert',
    'boards.list',
  ],
  'throws away what is old, or gives all claims their time back: each row by its own board': [
    'bulk.forget',
    'claims.give_back',
    'claims.keep_pulse',
    'claims.pay_amnesties',
    'idempotency.forget',
    'presence.prune',
    'stats.delete_old',
  ],
  'of the whole database, while no server is there': ['restore.look', 'restored.keep_incarnations'],
  'rows of several boards, each by its whole key': [
    'presence.newest_sockets',
    'presence.record',
    'presence.record_new',
  ],
  'names its board in a piece that it shares with others': [
    'claims.close_runs',
    'claims.count_of_others',
    'claims.list_of_others',
    'joins.list_running',
    'tasks.move',
  ],
};

const NAMES_ITS_BOARD =
  /board_id( \+ 0)? = \$\{|\$\{(row\.|event\.|slot\.)?boardId\}|\$\{slot\.boardId\}|unnest\([\s\S]*board/;

interface Statement {
  readonly tag: string;
  readonly text: string;
}

function statementsOf(source: string): Statement[] {
  const tags = [...source.matchAll(/\/\* ([a-z_]+\.[a-z_]+) \*\//g)];
  return tags.map((found, place) => {
    const endOfFunction = source.indexOf('\n}\n', found.index);
    const ends = [endOfFunction < 0 ? source.length : endOfFunction, tags[place + 1]?.index ?? source.length];
    return { tag: found[1] ?? '', text: source.slice(found.index, Math.min(...ends)) };
  });
}

function boardTables(): string[] {
  const schema = readSourceFiles().filter(({ path }) => path.startsWith('src/server/db/schema/'));
  const tables = schema.flatMap(({ text }) =>
    [...text.matchAll(/pgTable\(\s*'([a-z_]+)'/g)].map(([, name = '']) => name),
  );
  return tables.filter((table) => !GLOBAL_TABLES.includes(table));
}

test('a statement names its board, or is known to look across boards', () => {
  const tables = boardTables();
  expect(tables.length).toBeGreaterThan(20);
  const isOfBoards = new RegExp(`\\b(FROM|JOIN|UPDATE|INTO)\\s+(${tables.join('|')})\\b`);
  const across = readSourceFiles()
    .filter(({ path }) => path.startsWith('src/server/'))
    .flatMap(({ text }) => statementsOf(text))
    .filter(({ text }) => isOfBoards.test(text) && !NAMES_ITS_BOARD.test(text))
    .map(({ tag }) => tag);
  expect([...new Set(across)].sort()).toEqual(Object.values(ACROSS_BOARDS).flat().sort());
});
