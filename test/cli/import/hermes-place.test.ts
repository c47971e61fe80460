/** What lies beside a Hermes board is found where Hermes has it, and what is missing or broken there stops nothing. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findBoardFacts, findProfiles } from '../../../src/cli/import/hermes-place.ts';

const NOTHING = { name: null, title: null, description: null };

async function installation(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'lanekeeper-hermes-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

test('the profiles are those of the installation, for its own board and for each that has a name', async () => {
  const root = await installation({ 'profiles/Coder/config.yaml': '', 'profiles/readme.txt': '' });
  await symlink(join(root, 'profiles/Coder'), join(root, 'profiles/linked'));
  const all = new Set(['default', 'Coder', 'linked']);
  expect(await findProfiles(join(root, 'kanban.db'))).toEqual(all);
  expect(await findProfiles(join(root, 'kanban/boards/site/kanban.db'))).toEqual(all);
  expect(await findProfiles(join(root, 'elsewhere/kanban.db'))).toEqual(new Set(['default']));
});

test('a named board says what it is called, the one of the installation does not', async () => {
  const facts = JSON.stringify({
    slug: 'site',
    name: ' The site ',
    description: 'x'.repeat(5000),
    icon: '!',
  });
  const root = await installation({ 'kanban/boards/site/board.json': facts, 'board.json': '{"name": 7}' });
  const site = await findBoardFacts(join(root, 'kanban/boards/site/kanban.db'));
  expect(site).toEqual({ name: 'site', title: 'The site', description: 'x'.repeat(4000) });
  expect(await findBoardFacts(join(root, 'kanban.db'))).toEqual(NOTHING);
});

test.each(['{broken', 'null', '[]', '{"name": "  "}'])(
  'a board.json that holds %s says nothing',
  async (text) => {
    const root = await installation({ 'board.json': text });
    expect(await findBoardFacts(join(root, 'kanban.db'))).toEqual(NOTHING);
  },
);
