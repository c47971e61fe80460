/** The page of keys in a real browser: what admins issue and revoke, and what others are told. */
import { expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';

const dashboard = useDashboard();

test('a key is created, shown once, used and revoked; the list has it until then', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path('/keys'));
  await page.getByRole('button', { name: 'Create a key' }).click();
  const dialog = page.getByRole('dialog', { name: 'Create a key' });
  await dialog.getByLabel('Role').selectOption('lane');
  await dialog.getByLabel('Name').fill('press 7');
  expect(await dialog.getByLabel('Board', { exact: true }).inputValue()).toBe(board.name);
  await dialog.getByLabel('Lane').fill('factory');
  await dialog.getByLabel('Expires').fill('2099-01-01T00:00');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Create' }).click();
  const secret = (await page.locator('.secret-once pre').innerText()).trim();
  const client = connect({ url: dashboard.url, token: secret, board: board.name });
  const { principal } = await client.whoami();
  expect(principal).toMatchObject({ key: { role: 'lane', lane: 'factory', boards: [board.name] } });
  await page.getByRole('button', { name: 'Copy secret' }).click();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();

  const row = page.locator('.keys-row', { hasText: 'press 7' });
  await row.getByText('factory').waitFor();
  expect(await page.content()).not.toContain(secret);
  await expectAccessible(page);
  await page.evaluate("document.documentElement.dataset.theme = 'dark'");
  await page.setViewportSize({ width: 360, height: 740 });
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await row.getByRole('button', { name: 'Revoke press 7' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await row.waitFor({ state: 'detached' });
  await expect(client.whoami()).rejects.toMatchObject({ status: 401 });
});

test('a sign-in link signs somebody in once, with the role that was chosen', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path('/keys'));
  await page.getByRole('button', { name: 'Sign-in link' }).click();
  const dialog = page.getByRole('dialog', { name: 'A link that signs somebody in' });
  await dialog.getByLabel('Who it is for').fill('Kim');
  await dialog.getByLabel('Boards').fill(board.name);
  await dialog.getByRole('button', { name: 'Make the link' }).click();
  await dialog.getByText(/good for (9|10):/).waitFor();
  await expectAccessible(page);
  const { hash } = new URL((await dialog.locator('pre').innerText()).trim());
  const theirs = await dashboard.open(`/${hash}`, { key: null });
  await theirs.getByText(/observer/).waitFor();
  await theirs.getByRole('navigation', { name: 'Pages' }).waitFor();
  expect(theirs.url()).not.toContain('code=');
  const { keys } = await dashboard.client.keys.list({ limit: '200' });
  expect(keys).toContainEqual(
    expect.objectContaining({ role: 'observer', boards: [board.name], session: true }),
  );
});

test('who revokes their own key is warned, and signed out', async () => {
  const board = await dashboard.board();
  const key = await dashboard.key('orchestrator');
  const { secret: own } = await dashboard.client.keys.create({ role: 'admin', name: 'mine alone' });
  const page = await dashboard.open(board.path('/keys'), { key: own ?? key, allow: [/401/] });
  await page.getByRole('button', { name: 'Revoke mine alone' }).click();
  await page.getByText('you will be signed out at once').waitFor();
  await page.getByRole('button', { name: 'Revoke and sign out' }).click();
  await page.getByLabel('API key').waitFor();
  await expect(connect({ url: dashboard.url, token: own ?? '' }).whoami()).rejects.toMatchObject({
    status: 401,
  });
});

/** A window that a link has signed in, as most people are: its key is a session's. */
async function openSignedIn(name: string, path: string, allow: readonly RegExp[] = []) {
  const { url } = await dashboard.client.keys.createSignInCode({ role: 'admin', name });
  return dashboard.open(path + new URL(url).hash, { key: null, allow });
}

test('a key that a sign-in issues ends with it, which is said before and after', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await openSignedIn('Ann', board.path('/keys'));
  await page.getByRole('button', { name: 'Create a key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('A key issued now ends with your sign-in at').waitFor();
  await dialog.getByLabel('Name').fill('short-lived');
  expect(await dialog.getByLabel('Expires').getAttribute('max')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByText(/It ends on .*, with your sign-in/).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();

  await page.goto(board.path('/lanes'));
  await page.getByRole('button', { name: 'Connect a worker to factory' }).click();
  await dialog.getByText('lanekeeper lane key factory').waitFor();
  await dialog.getByRole('button', { name: 'Issue a key' }).click();
  await dialog.getByText(/It ends on .*, with your sign-in/).waitFor();
  await expectAccessible(page);
  const { keys } = await dashboard.client.keys.list({ limit: '200' });
  const ends = ['Ann', 'short-lived', 'lane factory'].map(
    (name) => keys.find((key) => key.name === name)?.expires_at,
  );
  expect(new Set(ends).size).toBe(1);
  expect(ends[0]).toMatch(/^20/);
});

test('the key of a sign-in is revoked before it is said to be, and stays signed in where that is refused', async () => {
  const board = await dashboard.board();
  const page = await openSignedIn('Quentin', board.path('/keys'), [/status of (401|403)/]);
  const revoke = async (): Promise<void> => {
    await page.getByRole('button', { name: 'Revoke Quentin' }).click();
    await page.getByRole('button', { name: 'Revoke and sign out' }).click();
  };
  await page.getByRole('button', { name: 'Revoke Quentin' }).waitFor();
  const secret = await page.evaluate<string>(`sessionStorage.getItem('lanekeeper.key')`);
  const client = connect({ url: dashboard.url, token: secret });
  await page.route('**/v1/keys/*', (route) => route.fulfill({ status: 403, body: 'a proxy says no' }));
  await revoke();
  await page.locator('.notice-problem', { hasText: 'Revoke Quentin' }).waitFor();
  expect(await page.getByText('Revoked Quentin').count()).toBe(0);
  expect((await client.whoami()).principal).toMatchObject({ key: { name: 'Quentin' } });
  await page.unroute('**/v1/keys/*');
  await revoke();
  await page.getByText('Revoked Quentin').waitFor();
  await page.getByLabel('API key').waitFor();
  await expect(client.whoami()).rejects.toMatchObject({ status: 401 });
});

test('a question that comes while another one is open takes its place', async () => {
  const board = await dashboard.board();
  for (const name of ['first', 'second']) await dashboard.client.keys.create({ role: 'observer', name });
  const page = await dashboard.open(board.path('/keys'));
  await page.getByRole('button', { name: 'Revoke first' }).click();
  await page.getByRole('dialog', { name: 'Revoke first' }).waitFor();
  // Nobody gets past the open one with a mouse; something that the page does by itself may.
  await page.evaluate(`document.querySelector('[aria-label="Revoke second"]').click()`);
  await page.getByRole('dialog', { name: 'Revoke second' }).waitFor();
  expect(await page.getByRole('dialog').count()).toBe(1);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const { keys } = await dashboard.client.keys.list({ limit: '200' });
  expect(keys.map(({ name }) => name)).toEqual(expect.arrayContaining(['first', 'second']));
});

test('the signing key is rotated only when it was confirmed', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path('/keys'));
  const rotate = async (): Promise<void> => {
    await page.getByRole('button', { name: 'More about keys' }).click();
    await page.getByRole('menuitem', { name: 'Rotate the signing key' }).click();
  };
  await rotate();
  await page.keyboard.press('Escape');
  expect(await page.getByText(/The signing key .* signs from/).count()).toBe(0);
  await rotate();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
  await page.getByText(/The signing key .* signs from/).waitFor();
});

test('more keys than a page holds are there after "more"; who is no admin is told why there are none', async () => {
  const board = await dashboard.board();
  await Promise.all(
    Array.from({ length: 55 }, (_, index) =>
      dashboard.client.keys.create({ role: 'observer', name: `many ${index}` }),
    ),
  );
  const page = await dashboard.open(board.path('/keys'));
  await page.locator('.keys-row').nth(49).waitFor();
  await page.getByRole('button', { name: 'More keys' }).click();
  await page.locator('.keys-row').nth(54).waitFor();

  const other = await dashboard.open(board.path('/keys'), { key: await dashboard.key('orchestrator') });
  await other.getByRole('heading', { name: 'Keys are for admins.' }).waitFor();
  expect(await other.locator('.keys-row').count()).toBe(0);
  await expectAccessible(other);
});
