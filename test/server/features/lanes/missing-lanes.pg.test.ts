/** Lanes that an import registers: looked for together and locked once, however many there are. */
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import type { Tx } from '../../../../src/server/db/client.ts';
import { registerMissingLanes } from '../../../../src/server/features/lanes/service.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

test.each([
  ['written', false, ['find_names', 'lock_unknown_reviewers', 'insert', 'insert']],
  ['a dry run', true, ['find_names']],
])('those that are missing, in order, when it is %s', async (_, isDryRun, expected) => {
  const [board] = await servers.board();
  await board.lane('known');
  const said: string[] = [];
  const sql = postgres(servers.database.url, {
    max: 1,
    debug: (__, query) =>
      said.push(...[...query.matchAll(/\/[*] lanes[.](\w+) [*]\//g)].map(([, tag]) => tag ?? '')),
  });
  onTestFinished(() => sql.end());
  const [{ id } = { id: 0 }] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  const wanted = (['second', 'known', 'first'] as const).map((name) => ({
    name,
    kind: 'persistent' as const,
  }));
  const made = await sql.begin((tx) => registerMissingLanes(tx as unknown as Tx, id, wanted, isDryRun));
  expect(made.map(({ name }) => name)).toEqual(['first', 'second']);
  expect(said).toEqual(expected);
});
