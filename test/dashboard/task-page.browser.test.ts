/** The task's page as a person uses it: in a browser, against a real server and real workers. */
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { Handler } from '../../src/client/index.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';

const dashboard = useDashboard();

/** Chromium reports every answer of 400 and more. */
const REFUSALS = [/status of (404|409|412|422)/];

const region = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const status = (page: Page) => page.locator('.page-header .chip');

/** Holds its task until it is told to stop. */
const holding: Handler = async (_task, context) => {
  await context.progress(0.25, 'a quarter');
  await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  throw context.signal.reason;
};

describe('a finished task', () => {
  test('says its lane, owner, metadata and final outcome, and all attempts, newest first', async () => {
    const board = await dashboard.board();
    await board.lane('factory');
    const task = await board.task('factory', {
      title: 'Render',
      external_ref: 'render-7',
      backoff: { base_seconds: 0 },
      body: 'as <b>text</b>',
    });
    await board.worker(
      'factory',
      async (_task, { attempt }) => {
        if (attempt === 1) throw new Error('the oven is cold');
        return { summary: 'Twelve pages.', metadata: { model: 'm-1' }, result: { pages: 12 } };
      },
      { worker: 'oven-3' },
    );
    await board.untilStatus(task.id, 'done');

    const page = await dashboard.open(board.path('/tasks/render-7'), { allow: REFUSALS });
    const outcome = region(page, 'Final outcome');
    await outcome.getByText('Twelve pages.').waitFor();
    // The address of an external_ref leads to the one with the id.
    expect(new URL(page.url()).pathname).toBe(board.path(`/tasks/${task.id}`));
    const said = await outcome.innerText();
    for (const words of ['Completed', 'factory', 'oven-3', 'model', 'm-1', 'pages', '12'])
      expect(said).toContain(words);
    const attempts = region(page, 'Attempts').locator('article');
    const heads = await attempts.locator('h3').allInnerTexts();
    expect(heads.map((head) => head.replace(/\s+/g, ' '))).toEqual([
      'Attempt 2 Completed',
      'Attempt 1 Failed',
    ]);
    expect(await attempts.last().innerText()).toContain('the oven is cold');
    await page.getByText('as <b>text</b>').waitFor();
    await expectAccessible(page);

    await board.client.tasks.archive(task.id);
    await page.locator('.page-header').getByText('Archived').waitFor();
    await board.client.tasks.delete(task.id);
    await page.getByText('This task has been deleted.').waitFor();
    expect(await page.getByRole('group', { name: 'Actions' }).count()).toBe(0);
  }, 30_000);

  test('that is not there is said to be missing', async () => {
    const board = await dashboard.board();
    const page = await dashboard.open(board.path('/tasks/nobody'), { allow: REFUSALS });
    await page.getByRole('heading', { name: 'There is no such task on this board.' }).waitFor();
    await expectAccessible(page);
  });
});

describe('a running task', () => {
  test('shows who has it, and is cancelled from the keyboard', async () => {
    const board = await dashboard.board();
    await board.lane('factory');
    const task = await board.task('factory');
    await board.worker('factory', holding, { worker: 'holder' });
    await board.untilStatus(task.id, 'running');

    const page = await dashboard.open(board.path(`/tasks/${task.id}`), { theme: 'dark' });
    const owner = region(page, 'Who has it');
    await owner.getByText('a quarter').waitFor();
    const said = await owner.innerText();
    expect(said).toMatch(/Owner\s+factory · worker holder/);
    expect(said).toMatch(/Attempt\s+1\s/);
    expect(said).toMatch(/Lease\s+[01]:\d\d/);
    expect(said).toContain('25 %');
    await expectAccessible(page);

    await page.keyboard.press('c');
    await page.getByLabel('Reason (optional)').fill('not wanted');
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await status(page).getByText('Cancelled').waitFor();
    await region(page, 'Final outcome').getByText('holder').waitFor();
    expect((await board.read(task.id)).status).toBe('cancelled');
  }, 30_000);
});

describe('a task that does not run', () => {
  test('says why, is unblocked where it says so, and takes comments', async () => {
    const board = await dashboard.board();
    await board.lane('factory');
    await board.client.lanes.pause('factory');
    const task = await board.task('factory', { status: 'blocked' });
    const page = await dashboard.open(board.path(`/tasks/${task.id}`), { phone: true });
    const why = region(page, 'Why it is not running');
    await why.getByText('It is blocked').waitFor();
    expect(await why.getByRole('listitem').allInnerTexts()).toEqual([
      expect.stringContaining('It is blocked'),
      expect.stringContaining('Its lane is paused'),
    ]);
    expect(await why.getByRole('link', { name: 'Lane factory' }).getAttribute('href')).toBe(
      board.path('/lanes#factory'),
    );
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);

    await why.getByRole('button', { name: 'Unblock' }).click();
    await page.getByLabel('Answer (optional)').fill('use the blue one');
    await page.getByRole('dialog').getByRole('button', { name: 'Unblock' }).click();
    await status(page).getByText('Ready').waitFor();
    const comments = region(page, 'Comments');
    await comments.getByText('use the blue one').waitFor();
    await comments.getByLabel('Comment').fill('and *quickly*');
    await page.keyboard.press('Control+Enter');
    await comments.getByRole('listitem').getByText('and *quickly*').waitFor();
    expect((await board.client.tasks.comments(task.id)).comments).toHaveLength(2);
  }, 30_000);

  test('is edited against the version that was read: where somebody else was faster, both are shown', async () => {
    const board = await dashboard.board();
    const task = await board.task(null, { title: 'first', labels: { team: 'a' } });
    const page = await dashboard.open(board.path(`/tasks/${task.id}`), { allow: REFUSALS });
    await region(page, 'Facts').getByText('team: a').waitFor();
    await page.keyboard.press('e');
    const dialog = page.getByRole('dialog', { name: 'Edit the task' });
    await dialog.getByLabel('Title').fill('mine');
    await board.client.tasks.patch(task.id, { title: 'theirs', priority: 7 });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('Somebody else has changed the task meanwhile').waitFor();
    await dialog.getByText('theirs', { exact: true }).waitFor();
    await expectAccessible(page);
    expect(await dialog.getByLabel('Title').inputValue()).toBe('mine');
    expect(await dialog.getByLabel('Priority').inputValue()).toBe('7');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'mine', level: 1 }).waitFor();
    expect(await board.read(task.id)).toMatchObject({ title: 'mine', priority: 7, labels: { team: 'a' } });
    await page.keyboard.press('Escape');
    await page.waitForURL((url) => url.pathname === board.path());
  }, 30_000);

  test('has its parents and children in lists and, drawn, as links; a circle is refused in place', async () => {
    const board = await dashboard.board();
    const parent = await board.task(null, { title: 'before', external_ref: 'before' });
    const task = await board.task(null, { title: 'middle' });
    const child = await board.task(null, { title: 'after', parents: [task.id] });
    const page = await dashboard.open(board.path(`/tasks/${task.id}`), { allow: REFUSALS });
    const family = region(page, 'Parents and children');
    const addParent = async (reference: string): Promise<void> => {
      await family.getByRole('button', { name: 'Add parent' }).click();
      await page.getByLabel('Id or external ref of the other task').fill(reference);
      await page.getByRole('dialog').getByRole('button', { name: 'Add parent' }).click();
    };
    await family.getByRole('link', { name: 'after' }).waitFor();
    await addParent('before');
    await family.locator(`[data-task="${parent.id}"]`).waitFor();
    await status(page).getByText('To do').waitFor();

    await addParent(child.id);
    await family.getByRole('alert').getByText('dependency_cycle').waitFor();
    const way = family.getByRole('list', { name: 'The way round' }).getByRole('link');
    expect(new Set(await way.allInnerTexts())).toEqual(new Set(['middle', 'after']));

    await family.getByRole('button', { name: 'Drawing' }).click();
    const drawing = page.getByRole('region', { name: 'Drawing of parents and children' });
    const box = drawing.getByRole('link', { name: /^before\s*Ready$/ });
    await box.waitFor();
    expect(await drawing.getByRole('link').count()).toBe(3);
    await expectAccessible(page);
    await box.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'before', level: 1 }).waitFor();
    await region(page, 'Parents and children').getByRole('link', { name: 'middle' }).waitFor();
  }, 30_000);
});

test('an observer sees everything and is offered nothing', async () => {
  const board = await dashboard.board();
  const task = await board.task(null, { title: 'look at me' });
  const key = await dashboard.key('observer');
  const page = await dashboard.open(board.path(`/tasks/${task.id}`), { key });
  await region(page, 'Why it is not running').getByText('It has no lane').waitFor();
  await region(page, 'Comments').getByText('No comments.').waitFor();
  const offered = await page.locator('.task-page').getByRole('button').allInnerTexts();
  const changing = ['Add', 'Edit', 'Assign', 'Complete', 'Cancel', 'Archive', 'Send'];
  expect(offered.filter((name) => changing.some((word) => name.startsWith(word)))).toEqual([]);
});
