import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { expectAccessible, listFindings, sidewaysPixels } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';
import { type FilledBoard, fillBoard } from './fixtures/filled-board.ts';
import { untilQuiet } from './fixtures/quiet-page.ts';

const dashboard = useDashboard();

/** Chromium reports a request that fails, even one that is meant to. */
const UNAUTHORIZED = /status of 401/;
const SERVER_IS_AWAY =
  /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED/;

const navigation = (page: Page) => page.getByRole('navigation', { name: 'Pages' });

function connection(page: Page, state: string): Promise<void> {
  return page.locator(`[data-connection="${state}"]`).waitFor();
}

/** Every page has said that it is there, and nothing on it is still being read. */
async function shown(page: Page): Promise<void> {
  await connection(page, 'live');
  await page.locator('main h1, main h2').first().waitFor();
  await untilQuiet(page);
}

test('a pasted key signs in, a reload stays signed in, and a sign-out forgets it', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path(), { key: null });
  await expectAccessible(page);
  await page.getByLabel('API key').fill(dashboard.adminKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await navigation(page).waitFor();
  await page.reload();
  await navigation(page).waitFor();
  expect(page.url()).not.toContain(dashboard.adminKey);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  await page.reload();
  await page.getByLabel('API key').waitFor();
  expect(await page.evaluate('JSON.stringify([sessionStorage, localStorage])')).not.toContain(
    dashboard.adminKey,
  );
});

test('a wrong key is refused with words, and the right one works afterwards', async () => {
  const page = await dashboard.open('/', { key: null, allow: [UNAUTHORIZED] });
  await page.getByLabel('API key').fill('lk_admin_nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect.poll(() => page.getByRole('alert').innerText()).toContain('not valid');
  await page.getByLabel('API key').fill(dashboard.adminKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await navigation(page).waitFor();
});

test('the link that the server prints signs in once, and leaves no code in the address', async () => {
  const link = /http\S+#code=\S+/.exec(dashboard.server.output())?.[0] ?? '';
  const page = await dashboard.open(link, { key: null });
  await navigation(page).waitFor();
  expect(page.url()).not.toContain('code');
  const second = await dashboard.open(link, { key: null, allow: [UNAUTHORIZED] });
  await expect.poll(() => second.getByRole('alert').innerText()).toContain('not valid');
  expect(await navigation(second).count()).toBe(0);
  // Its key goes with it, on the server too.
  const key = await page.evaluate<string>(`sessionStorage.getItem('lanekeeper.key')`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  const whoami = () => fetch(`${dashboard.url}/v1/whoami`, { headers: { Authorization: `Bearer ${key}` } });
  await expect.poll(async () => (await whoami()).status).toBe(401);
});

test('a link that is pasted into the tab that asks for a key signs in, and leaves no code in the address', async () => {
  const page = await dashboard.open('/', { key: null });
  await page.getByLabel('API key').waitFor();
  await page.evaluate('window.isSamePage = true');
  const { url } = await dashboard.client.keys.createSignInCode({ role: 'observer', name: 'Kim' });
  await page.evaluate(`location.hash = ${JSON.stringify(new URL(url).hash)}`);
  await page.getByText('Kim · observer').waitFor();
  await navigation(page).waitFor();
  expect(page.url()).not.toContain('code');
  expect(await page.evaluate('window.isSamePage')).toBe(true);
});

test('a sign-out that the server does not get forgets the key here, and says that it lives on', async () => {
  const { url } = await dashboard.client.keys.createSignInCode({ role: 'observer', name: 'Lee' });
  const page = await dashboard.open(`/${new URL(url).hash}`, { key: null, allow: [/status of 403/] });
  await navigation(page).waitFor();
  await page.route('**/v1/sign-out', (route) => route.fulfill({ status: 403, body: 'a proxy says no' }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('the key “Lee” was not withdrawn').waitFor();
  await page.getByLabel('API key').waitFor();
  expect(await page.evaluate(`sessionStorage.getItem('lanekeeper.key')`)).toBeNull();
});

test('escape in a menu closes the menu and nothing of the page below it', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path('/lanes#factory'));
  // The lane is open, and its keys are the page's.
  await page.locator('[aria-expanded="true"]').waitFor();
  await page.getByRole('button', { name: 'Boards' }).click();
  const menu = page.getByRole('menu', { name: 'Boards' });
  await menu.waitFor();
  await page.keyboard.press('Escape');
  await menu.waitFor({ state: 'hidden' });
  expect(new URL(page.url()).hash).toBe('#factory');
  // The same key, where nothing lies above the page: else the line above proves nothing.
  await page.keyboard.press('Escape');
  await expect.poll(() => new URL(page.url()).hash).toBe('');
});

test('the theme changes by button and key, and is kept', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  const theme = () => page.evaluate('document.documentElement.dataset.theme ?? "system"');
  await navigation(page).waitFor();
  expect(await theme()).toBe('light');
  await page.getByRole('button', { name: /^Theme/ }).click();
  await expect.poll(theme).toBe('dark');
  await page.reload();
  await navigation(page).waitFor();
  expect(await theme()).toBe('dark');
  await page.keyboard.press('t');
  await expect.poll(theme).toBe('system');
});

test('keys go to every page, and the help names them', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  await navigation(page).waitFor();
  const targets = {
    a: 'attention',
    l: 'lanes',
    d: 'delegations',
    s: 'deliveries',
    v: 'activity',
    c: 'charts',
    k: 'keys',
  };
  for (const [key, name] of Object.entries(targets)) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(`**${board.path(`/${name}`)}`);
    await page.locator('main h1, main h2').first().waitFor();
  }
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await page.waitForURL(`**${board.path()}`);
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard' });
  await help.waitFor();
  expect(await help.evaluate((element) => element.scrollTop)).toBe(0);
  const text = await help.innerText();
  for (const label of ['Board', 'Lanes', 'Charts', 'Pause or resume live updates', 'Change the theme'])
    expect(text).toContain(label);
  await expectAccessible(page, 'the keyboard help');
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'hidden' });
});

test('an address that is no page says so, and the way back is there', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path('/nowhere'));
  await page.getByText('There is no such page.').waitFor();
  await navigation(page).getByRole('link', { name: 'Board' }).click();
  await page.waitForURL(`**${board.path()}`);
});

test('paused with p, the page shows nothing new until it is resumed', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path());
  await connection(page, 'live');
  await page.keyboard.press('p');
  await connection(page, 'paused');
  await page.getByRole('status').getByText('Updates: Paused').waitFor({ state: 'attached' });
  await board.task('factory', { title: 'Made in the dark' });
  // Another window has it, so that it has been on its way to this one, too.
  const other = await dashboard.open(board.path());
  await other.getByText('Made in the dark').first().waitFor();
  expect(await page.getByText('Made in the dark').count()).toBe(0);
  await page.keyboard.press('p');
  await connection(page, 'live');
  await page.getByText('Made in the dark').first().waitFor();
});

test('a server that is killed and comes back is caught up with, without a reload', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path(), { allow: [SERVER_IS_AWAY] });
  await connection(page, 'live');
  await page.evaluate('window.isSamePage = true');
  await dashboard.server.kill();
  await connection(page, 'offline');
  await dashboard.server.restart();
  await board.task('factory', { title: 'Made while away' });
  await page.getByText('Made while away').first().waitFor();
  await connection(page, 'live');
  expect(await page.evaluate('window.isSamePage')).toBe(true);
});

test('an observer sees everything but keys, and is offered no action', async () => {
  const board = await dashboard.board();
  const { running, blocked } = await fillBoard(board);
  const key = await dashboard.key('observer', [board.name]);
  const page = await dashboard.open(board.path(), { key });
  await shown(page);
  await page.getByText(running.title).first().waitFor();
  expect(await navigation(page).getByRole('link', { name: 'Keys' }).count()).toBe(0);
  for (const path of [
    '',
    '/lanes',
    `/tasks/${running.id}`,
    `/tasks/${blocked.id}`,
    '/attention',
    '/deliveries',
    '/delegations',
  ]) {
    await page.goto(board.path(path));
    await shown(page);
    const names = await page.locator('main button, main [role="menuitem"]').allInnerTexts();
    expect(
      names.filter((name) => ACTIONS.test(name)),
      path,
    ).toEqual([]);
  }
  // The same names, where they may be used: else the list above proves nothing.
  const own = await dashboard.open(board.path(`/tasks/${blocked.id}`));
  await shown(own);
  await own.getByRole('button', { name: ACTIONS }).first().waitFor();
});

const ACTIONS =
  /^(Accept|Add task|Archive|Assign|Cancel|Comment|Complete|Connect a worker|Create|Delegate|Delete|Drain|Drop|Edit|Issue|New|Pause|Promote|Reclaim|Release|Reopen|Request|Resume|Retry|Revoke|Schedule|Send|Steer|Take back|Take over|Unblock)\b/;

const pagesOf = ({ running, done, delegation }: FilledBoard): readonly string[] => [
  '',
  '/lanes',
  `/tasks/${running.id}`,
  `/tasks/${done.id}`,
  '/attention',
  '/delegations',
  `/delegations/${delegation}`,
  '/deliveries',
  '/activity',
  '/charts',
  '/keys',
];

/** What `look` finds on each page, all at once: one page that is wrong must not hide the next. */
async function visit(
  board: DashboardBoard,
  page: Page,
  look: (page: Page, path: string) => Promise<readonly string[]>,
): Promise<void> {
  const findings: string[] = [];
  for (const path of pagesOf(await fillBoard(board))) {
    await page.goto(board.path(path));
    await shown(page);
    findings.push(...(await look(page, path)).map((finding) => `${path}: ${finding}`));
  }
  expect(findings, findings.join('\n')).toEqual([]);
}

test.for(['light', 'dark'] as const)(
  'every page is accessible in %s, without an error or a breach of its policy',
  async (theme) => {
    const board = await dashboard.board();
    const page = await dashboard.open(board.path(), { theme });
    await visit(board, page, listFindings);
  },
);

test('no page scrolls sideways on a phone, and what differs most there is accessible', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path(), { phone: true, theme: 'system-dark' });
  await visit(board, page, async (each, path) => {
    const pixels = await sidewaysPixels(each);
    const width = pixels === 0 ? [] : [`${pixels} px wider than the window`];
    return path === '' || path.startsWith('/tasks/') ? [...width, ...(await listFindings(each))] : width;
  });
});
