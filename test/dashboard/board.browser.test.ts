import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { eventually } from '../fixtures/eventually.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';

const dashboard = useDashboard();

/** Chromium reports a request that fails, even one that is meant to. */
const CONFLICT = /status of 409/;

const cardIn = (page: Page, status: string, title: string) =>
  page.locator(`[data-column="${status}"] .board-card`, { hasText: title });

const live = (page: Page) => page.locator('[data-connection="live"]').waitFor();

/** Of the column's head: exact, whatever is loaded. */
const countOf = (page: Page, status: string) => page.locator(`[data-count="${status}"]`).innerText();

const focused = (page: Page) => page.evaluate<string>('document.activeElement.textContent');

test('an empty board teaches three commands, and a new task is a card at once', async () => {
  const board = await dashboard.board();
  const page = await dashboard.open(board.path());
  await page.getByText('lanekeeper work factory').waitFor();
  await expectAccessible(page);
  await board.lane('builder');
  await live(page);
  await page.keyboard.press('n');
  await page.getByLabel('Title').fill('Build the gate');
  await page.getByLabel(/^Lane/).fill('no such lane');
  await expectAccessible(page);
  await page.getByLabel(/^Lane/).fill('builder');
  await page.getByLabel('Priority').fill('7');
  await page.getByLabel('Labels').fill('team=web');
  await page.getByRole('button', { name: 'Create task' }).click();
  const card = cardIn(page, 'ready', 'Build the gate');
  await card.waitFor();
  const button = page.getByRole('button', { name: 'New task' });
  await button.click();
  await page.getByRole('dialog', { name: 'New task' }).waitFor();
  await page.keyboard.press('Escape');
  await expect.poll(() => focused(page)).toBe('New task');
  expect(await card.innerText()).toMatch(/builder[\s\S]*↑7[\s\S]*team=web/);
});

test('a card crosses the board with the work, says who holds it, and the counts are exact', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  const page = await dashboard.open(board.path());
  await live(page);
  let finish = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await board.worker(
    'builder',
    async (_, context) => {
      await context.progress(0.5, 'half of it');
      await held;
      return { summary: 'made' };
    },
    { worker: 'ann' },
  );
  await board.task('builder', { title: 'Build the gate' });
  const running = cardIn(page, 'running', 'Build the gate');
  await running.getByText('half of it').waitFor();
  expect(await running.innerText()).toMatch(/ann[\s\S]*[01]:\d\d/);
  expect(await countOf(page, 'running')).toBe('1');
  finish();
  await cardIn(page, 'done', 'Build the gate').waitFor();
  await expect.poll(() => countOf(page, 'running')).toBe('0');
  expect(await countOf(page, 'done')).toBe('1');
  await page.getByText(/tasks? moved: .*1 done/).waitFor({ state: 'attached' });
});

test('a filter stands in the address: a reload and a shared link show the same, and what is not understood is said', async () => {
  const board = await dashboard.board();
  await Promise.all([board.lane('web'), board.lane('api')]);
  await board.task('web', { title: 'One', labels: { team: 'blue' } });
  await board.task('api', { title: 'Two' });
  const page = await dashboard.open(board.path());
  await cardIn(page, 'ready', 'Two').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('lane:w');
  await page.getByRole('option', { name: 'lane:web' }).waitFor();
  await expectAccessible(page);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.type('foo:bar');
  await page.getByText('There is no qualifier “foo”').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  expect(await page.evaluate('document.activeElement.tagName')).toBe('BODY');
  await page.getByRole('button', { name: 'Close To do' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Close Ready' }).click();
  await expect.poll(() => page.url()).toContain('closed=ready');
  await page.reload();
  await page.getByRole('button', { name: '2 Ready' }).click();
  await cardIn(page, 'ready', 'One').waitFor();
  expect(await cardIn(page, 'ready', 'Two').count()).toBe(0);
  expect(await countOf(page, 'ready')).toBe('1 of 2');
  await page.getByRole('button', { name: 'Remove foo:bar' }).click();
  await page.getByText('There is no qualifier').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Clear all' }).click();
  await cardIn(page, 'ready', 'Two').waitFor();
  expect(new URL(page.url()).search).not.toContain('q=');
});

test('cards are dragged only where the action is legal, and move when the log says so', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  const task = await board.task('builder', { title: 'Look at it', status: 'triage' });
  const other = await board.task('builder', { title: 'Leave it', status: 'blocked' });
  const page = await dashboard.open(`${board.path()}?open=ready,running,done`);
  const card = cardIn(page, 'triage', 'Look at it');
  await card.waitFor();
  await card.hover();
  await page.mouse.down();
  const running = page.locator('[data-column="running"]');
  const place = await running.boundingBox();
  await page.mouse.move((place?.x ?? 0) + 40, (place?.y ?? 0) + 200, { steps: 4 });
  await page.locator('[data-column="running"].refusing').waitFor();
  expect(await page.locator('[data-drop="Promote"]').getAttribute('data-column')).toBe('ready');
  await page.mouse.up();
  await page.locator('.refusing').first().waitFor({ state: 'detached' });
  expect((await board.read(task.id)).status).toBe('triage');
  await card.dragTo(page.locator('[data-column="ready"]'));
  await cardIn(page, 'ready', 'Look at it').waitFor();
  expect((await board.read(task.id)).status).toBe('ready');
  expect((await board.read(other.id)).status).toBe('blocked');
});

test('everything works by keyboard, and the focus stays on the board when its card leaves', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  const [first, second] = [
    await board.task('builder', { title: 'First' }),
    await board.task('builder', { title: 'Second' }),
  ];
  await board.task('builder', { title: 'Third', status: 'blocked' });
  const page = await dashboard.open(board.path());
  await cardIn(page, 'ready', 'Second').waitFor();
  await page.keyboard.press('j');
  expect(await focused(page)).toBe('Second');
  await page.keyboard.press('k');
  await page.keyboard.press('l');
  expect(await focused(page)).toBe('Third');
  await page.keyboard.press('h');
  expect(await focused(page)).toBe('First');
  await board.client.tasks.schedule(first.id, '2099-01-01T00:00:00Z');
  await cardIn(page, 'scheduled', 'First').waitFor();
  await expect.poll(() => focused(page)).toBe('Second');
  await page.keyboard.press('e');
  await page.getByRole('menuitem', { name: 'Archive' }).waitFor();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect.poll(() => focused(page)).toBe('Second');
  await page.keyboard.press('e');
  await page.getByRole('menuitem', { name: 'Archive' }).click();
  await page.getByRole('button', { name: 'Archive' }).click();
  await cardIn(page, 'ready', 'Second').waitFor({ state: 'detached' });
  await page.getByLabel('Archived').check();
  await cardIn(page, 'archived', 'Second').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.url()).toMatch(/\/tasks\/task_/);
  expect((await board.read(second.id)).status).toBe('archived');
});

test('many are selected by key, range and filter, and one action on them says what was refused', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  await board.tasks('builder', 30, { labels: { team: 'blue' } });
  await board.task('builder', { title: 'Another' });
  const page = await dashboard.open(board.path());
  await cardIn(page, 'ready', 'task 0').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.locator('[data-selected="1"]').waitFor();
  await cardIn(page, 'ready', 'task 3')
    .first()
    .getByRole('link')
    .click({ modifiers: ['Shift'] });
  await page.locator('[data-selected="3"]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('[data-selected]').waitFor({ state: 'detached' });
  await page.getByLabel('Filter tasks').fill('label:team=blue');
  await page.getByRole('button', { name: 'Select all 30' }).click();
  await page.locator('[data-selected="30"]').waitFor();
  // One of them is taken meanwhile: it is the server that decides.
  await page.getByRole('button', { name: 'Archive', exact: true }).click();
  await board.client.claims.claim('builder', { worker: 'ann' });
  await page.getByRole('button', { name: 'Archive 30' }).click();
  await page.locator('[data-bulk="done"]').waitFor();
  expect(await page.locator('[data-bulk]').innerText()).toMatch(
    /Archive: 29 of 30, 1 refused[\s\S]*illegal_transition/,
  );
  await expectAccessible(page);
  // It is the app's, not the page's: what it came to is there when somebody comes back.
  await page.getByRole('link', { name: /^Lanes/ }).click();
  await page.locator('[data-bulk]').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: /^Board/ }).click();
  await page.locator('[data-bulk="done"]').waitFor();
  await page.getByRole('button', { name: 'Put away' }).click();
  await page.locator('[data-bulk]').waitFor({ state: 'detached' });
});

test('what is refused is said on the card', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  const task = await board.task('builder', { title: 'Taken' });
  const page = await dashboard.open(board.path(), { allow: [CONFLICT] });
  await cardIn(page, 'ready', 'Taken').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('e');
  await page.getByRole('menuitem', { name: 'Archive' }).click();
  // While the person thinks about it, and before the page has heard of it.
  await board.client.claims.claim('builder', { worker: 'ann' });
  await page.getByRole('button', { name: 'Archive' }).click();
  await page.locator('.notice-problem', { hasText: 'Archive' }).waitFor();
  const card = cardIn(page, 'running', 'Taken');
  await card.locator('.refused').waitFor();
  expect((await board.read(task.id)).status).toBe('running');
  // An open menu offers what the card allows now.
  await card.hover();
  await card.getByRole('button', { name: 'Actions for Taken' }).click();
  const menu = page.getByRole('menu', { name: 'Actions for Taken' });
  await menu.getByRole('menuitem', { name: 'Take back' }).waitFor();
  await board.client.tasks.reclaim(task.id);
  await menu.getByRole('menuitem', { name: 'Archive' }).waitFor();
  expect(await menu.getByRole('menuitem', { name: 'Take back' }).count()).toBe(0);
});

test('a paused board says so and is resumed; who may not act is offered nothing', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  await board.task('builder', { title: 'A task' });
  const page = await dashboard.open(board.path(), { theme: 'dark' });
  await page.getByRole('button', { name: 'Pause board' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause board' }).click();
  await page.getByRole('button', { name: 'Resume board' }).click();
  await page.getByRole('button', { name: 'Pause board' }).waitFor();
  await expectAccessible(page);
  // Who gives work may not stop the whole board: that is an admin's.
  const orchestrator = await dashboard.open(board.path(), { key: await dashboard.key('orchestrator') });
  await orchestrator.getByRole('button', { name: 'New task' }).waitFor();
  expect(await orchestrator.getByRole('button', { name: 'Pause board' }).count()).toBe(0);
  const observer = await dashboard.open(board.path(), { key: await dashboard.key('observer') });
  await cardIn(observer, 'ready', 'A task').waitFor();
  expect(await observer.getByRole('button', { name: /Pause board|New task|Actions for/ }).count()).toBe(0);
  expect(await observer.locator('main').getByRole('checkbox').count()).toBe(1);
});

test('a phone shows one column, which stands in the address', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  await board.task('builder', { title: 'A task with a title that is longer than a phone is wide, by far' });
  const page = await dashboard.open(board.path(), { phone: true });
  await live(page);
  await page.getByRole('button', { name: /^Ready 1/ }).tap();
  await cardIn(page, 'ready', 'A task').waitFor();
  expect(await page.locator('[data-column]').count()).toBe(1);
  await expectNoSidewaysScroll(page);
  await expectAccessible(page);
  await page.reload();
  await cardIn(page, 'ready', 'A task').waitFor();
});

test('of thousands of cards only those in sight are in the page, to the last one', async () => {
  const board = await dashboard.board();
  await board.lane('builder');
  for (let batch = 0; batch < 3; batch += 1) await board.tasks('builder', 1000);
  const page = await dashboard.open(board.path());
  await cardIn(page, 'ready', 'task 0').first().waitFor();
  expect(await countOf(page, 'ready')).toBe((3000).toLocaleString('en-US'));
  const scroller = page.locator('[data-column="ready"] .board-column-scroll');
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  const last = page.locator('[aria-posinset="3000"]');
  await last.waitFor();
  expect(await page.locator('.board-card').count()).toBeLessThan(60);
  await eventually('the last card ends where the column does', async () => {
    const [card, column] = [await last.boundingBox(), await scroller.boundingBox()];
    if (card === null || column === null) return null;
    return card.y + card.height <= column.y + column.height || null;
  });
});
