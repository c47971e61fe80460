/** The page of lanes in a real browser: who is there, what operators do with a lane, and how a worker is connected to one. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { eventually } from '../fixtures/eventually.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';

const dashboard = useDashboard();

const row = (page: Page, lane: string) => page.locator(`[id="lane-${lane}"]`);

async function choose(page: Page, lane: string, action: string): Promise<void> {
  await page.getByRole('button', { name: `Actions of ${lane}`, exact: true }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

/** Until the worker is told to stop. */
function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

test('a lane shows its worker, what it holds and what waits, and is loud only where nobody is there', async () => {
  const board = await dashboard.board();
  await board.lane('factory', { max_concurrent_claims: 1, description: 'builds things' });
  await board.lane('docs');
  await board.tasks('factory', 3, { title: 'build it' });
  await board.worker('factory', (_task, { signal }) => untilStopped(signal), {
    worker: 'press-1',
    version: '1.4.0',
  });
  const page = await dashboard.open(`${board.path('/lanes')}#factory`);
  const factory = row(page, 'factory');
  await factory.getByText('at capacity').waitFor();
  await factory.getByText('press-1').first().waitFor();
  await factory.getByText('1.4.0').waitFor();
  await factory.getByRole('link', { name: 'build it' }).waitFor();
  await factory.locator('.lease').waitFor();
  expect(await factory.locator('.lanes-figures').innerText()).toMatch(
    /1 of 1\s+In flight\s+1 \/ 1\s+Ready\s+2/,
  );
  await row(page, 'docs').getByText('offline').waitFor();
  expect(await page.locator('.lanes-problem').count()).toBe(0);
  await factory.getByRole('img', { name: /Last hour: \d+ completed/ }).waitFor();

  // Live: a task for a lane without a worker makes it loud, without a reload.
  await board.task('docs');
  await row(page, 'docs').getByText('Nobody is there while 1 ready task waits.').waitFor();
  await page.getByText('2 lanes, 1 with a problem').waitFor();
  await expectAccessible(page);
  await page.evaluate("document.documentElement.dataset.theme = 'dark'");
  await expectAccessible(page);
  await page.setViewportSize({ width: 360, height: 740 });
  await expectNoSidewaysScroll(page);
  await expectAccessible(page);
});

test('a lane that tasks name and nobody has registered is told, and registered in place', async () => {
  const board = await dashboard.board();
  await board.task('pres');
  const page = await dashboard.open(board.path('/lanes'));
  await page.getByText('No lane is registered yet.').waitFor();
  await page.getByRole('button', { name: 'Register pres' }).click();
  const dialog = page.getByRole('dialog', { name: 'Register a lane' });
  expect(await dialog.getByLabel('Name').inputValue()).toBe('pres');
  await dialog.getByLabel('Claims at once').fill('3');
  await dialog.getByLabel('Labels').fill('team: build');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Register' }).click();
  await row(page, 'pres').getByText('Nobody is there').waitFor();
  await page.getByText('which nobody has registered').waitFor({ state: 'detached' });
  await page.waitForURL(/#pres$/);
  const { lane } = await board.client.lanes.get('pres');
  expect(lane).toMatchObject({ kind: 'persistent', max_concurrent_claims: 3, labels: { team: 'build' } });
});

test('operators pause, resume, drain and delete; a refusal stands at the lane', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  await board.task('factory');
  const worker = await board.worker('factory', (_task, { signal }) => untilStopped(signal));
  const page = await dashboard.open(board.path('/lanes'), { allow: [/409/] });
  const factory = row(page, 'factory');
  await factory.getByText('busy').waitFor();
  await choose(page, 'factory', 'Pause');
  await factory.getByText('paused').waitFor();
  await choose(page, 'factory', 'Resume');
  await factory.getByText('busy').waitFor();

  await choose(page, 'factory', 'Delete');
  await page.getByRole('dialog', { name: 'Delete factory' }).getByRole('button', { name: 'Delete' }).click();
  await factory.getByText('lane_has_claims').waitFor();

  await choose(page, 'factory', 'Drain');
  await page.keyboard.press('Escape');
  expect(await page.evaluate('document.activeElement.ariaLabel')).toBe('Actions of factory');
  await choose(page, 'factory', 'Drain');
  await page.getByRole('dialog', { name: 'Drain factory' }).getByRole('button', { name: 'Drain' }).click();
  await factory.getByText('draining').waitFor();
  await worker.stop({ hard: true });
  await factory.locator('.chip-paused').waitFor();

  await choose(page, 'factory', 'Delete');
  await page.getByRole('dialog', { name: 'Delete factory' }).getByRole('button', { name: 'Delete' }).click();
  await factory.waitFor({ state: 'detached' });
  await expect(board.client.lanes.get('factory')).rejects.toThrow();
});

test('a change that somebody else was faster with is refused in the form, which can load what it is now', async () => {
  const board = await dashboard.board();
  await board.lane('factory', { description: 'first' });
  const page = await dashboard.open(board.path('/lanes'), { allow: [/412|409/] });
  await choose(page, 'factory', 'Edit');
  const dialog = page.getByRole('dialog', { name: 'Edit factory' });
  await dialog.getByLabel('Description').fill('mine');
  await board.client.lanes.patch('factory', { description: 'theirs', lease_seconds: 77 });
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('version_mismatch').waitFor();
  expect(await dialog.getByLabel('Description').inputValue()).toBe('mine');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Load what it is now' }).click();
  await eventually('the form shows theirs', async () =>
    (await dialog.getByLabel('Description').inputValue()) === 'theirs' ? true : null,
  );
  await dialog.getByLabel('Lease').fill('120');
  await dialog.getByLabel('Claim mode').selectOption('watch');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const { lane } = await board.client.lanes.get('factory');
  expect(lane).toMatchObject({ description: 'theirs', lease_seconds: 120, claim_mode: 'watch' });
});

test('a takeover says what it costs, and shows the tokens of what was adopted once', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const task = await board.task('factory');
  await board.client.claims.claim('factory', { worker: 'old' });
  const page = await dashboard.open(`${board.path('/lanes')}#factory`);
  await choose(page, 'factory', 'Take over');
  const dialog = page.getByRole('dialog', { name: 'Take over factory' });
  await dialog.getByText('1 task is held now').waitFor();
  await dialog.getByLabel('The worker that takes over').fill('new');
  await dialog.getByRole('radio', { name: /Hand their work/ }).check();
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Take over' }).click();
  const taken = page.getByRole('dialog', { name: 'factory was taken over' });
  const claims = JSON.parse((await taken.locator('pre').textContent()) ?? '') as [
    { token: string; worker: string },
  ];
  expect(claims[0].token).toMatch(/^eyJ/);
  await taken.getByRole('button', { name: 'Close' }).click();
  await row(page, 'factory').getByText('attempt 2').waitFor();
  expect((await board.read(task.id)).claim?.worker).toBe('new');
  expect((await board.client.lanes.get('factory')).lane.epoch).toBe(2);
});

test('filter and order stand in the address; j, k and enter go through the lanes, and the open one stands there, too', async () => {
  const board = await dashboard.board();
  await board.lane('alpha', { labels: { team: 'build' } });
  await board.lane('beta');
  await board.lane('gamma', { labels: { team: 'build' } });
  await board.tasks('gamma', 2);
  await board.task('beta');
  const page = await dashboard.open(board.path('/lanes'));
  const names = async (): Promise<string[]> =>
    (await page.locator('.lanes-toggle').allInnerTexts()).map((text) => text.replace(/\W/g, ''));
  await row(page, 'gamma').waitFor();
  await page.getByLabel('Order of lanes').selectOption('backlog');
  await page.keyboard.press('/');
  await page.getByLabel('Filter lanes').fill('team:build');
  await page.getByText('2 of 3 lanes').waitFor();
  await page.reload();
  await page.getByText('2 of 3 lanes').waitFor();
  await eventually('the order is that of the address', async () =>
    (await names()).join() === 'gamma,alpha' ? true : null,
  );
  expect(new URL(page.url()).search).toBe('?sort=backlog&q=team%3Abuild');
  await page.getByRole('heading', { name: 'Lanes' }).click();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await row(page, 'alpha').getByRole('heading', { name: 'Settings' }).waitFor();
  expect(page.url()).toContain('#alpha');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await row(page, 'gamma').getByRole('heading', { name: 'Settings' }).waitFor();
  await page.reload();
  await row(page, 'gamma').getByRole('heading', { name: 'Settings' }).waitFor();
  await page.getByLabel('Order of lanes').selectOption('age');
  expect(page.url()).toMatch(/\?sort=age&q=team%3Abuild#gamma$/);
  await page.getByLabel('Order of lanes').blur();
  await page.keyboard.press('Escape');
  await row(page, 'gamma').getByRole('heading', { name: 'Settings' }).waitFor({ state: 'detached' });
  expect(page.url()).not.toContain('#');
});

test('an observer sees lanes and snippets with a placeholder, and is offered nothing that would be refused', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path('/lanes'), { key: await dashboard.key('observer') });
  await page.getByRole('button', { name: 'Connect a worker to factory' }).click();
  await page.getByText('lk_lane_YOUR_KEY').first().waitFor();
  expect(await page.getByRole('button', { name: 'Issue a key' }).count()).toBe(0);
  await page.getByRole('button', { name: 'Close' }).click();
  expect(await page.getByRole('button', { name: /Actions of|Register/ }).count()).toBe(0);
});
