/** The inbox in a real browser: what waits, resolved where it stands, by pointer and by keys. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';

const dashboard = useDashboard();

const entry = (page: Page, title: string) => page.getByRole('listitem').filter({ hasText: title });

/** Blocked with a question once; its next attempt ends with the answer that it was told. */
async function askingWorker(board: DashboardBoard): Promise<void> {
  await board.worker('factory', async (_task, context) => {
    const { comments } = context.handoff;
    const told = comments.at(-1)?.body;
    if (told === undefined) await context.block({ kind: 'needs_input', reason: 'Which colour?' });
    return { summary: `painted ${told}` };
  });
}

test('a question is answered where it stands: the entry goes, and the next attempt has the answer', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  await askingWorker(board);
  const task = await board.task('factory', { title: 'Paint the lid' });
  await board.untilStatus(task.id, 'blocked');
  const page = await dashboard.open(board.path('/attention'));
  const blocked = entry(page, 'Paint the lid');
  await blocked.getByText('Which colour?').waitFor();
  await page.getByText(/^1\s*waiting$/).waitFor();
  // It is there as soon as the board is: before, "u" would ask in a dialog.
  await blocked.getByLabel('Answer').waitFor();
  await page.keyboard.press('j');
  await page.locator('.attention-entry.selected').waitFor();
  await page.keyboard.press('u');
  await blocked.locator('textarea:focus').waitFor();
  await page.keyboard.type('green');
  await blocked.getByRole('button', { name: 'Answer and unblock' }).click();
  await blocked.waitFor({ state: 'detached' });
  await page.getByText('Nothing needs you').waitFor();
  await page.getByText(/^1\s*waiting$/).waitFor({ state: 'detached' });
  const done = await board.untilStatus(task.id, 'done');
  expect(done.summary).toBe('painted green');
  await expectAccessible(page);
});

test('entries are filtered by the address, resolved elsewhere, walked by keys, and say why they cannot be', async () => {
  const board = await dashboard.board();
  await Promise.all([board.lane('factory'), board.lane('quiet')]);
  const first = await board.task(null, { title: 'What is this?', status: 'triage' });
  await board.task(null, { title: 'And this?', status: 'triage', priority: 7 });
  await board.task('factory', { title: 'Stuck', status: 'blocked' });
  await board.task('quiet', { title: 'Sweep' });
  const page = await dashboard.open(`${board.path('/attention')}?code=in_triage`, { allow: [/status of 4/] });
  await entry(page, 'And this?').getByText('priority 7').waitFor();
  expect(await entry(page, 'Stuck').count()).toBe(0);
  await page.reload();
  await page.getByRole('button', { name: 'In triage 2', pressed: true }).waitFor();

  // Somebody else resolves the one that has the keyboard: it goes on from the next.
  await page.keyboard.press('j');
  await page.locator(`[id$="${first.id}"]:focus`).waitFor();
  await board.client.tasks.promote(first.id);
  await entry(page, 'What is this?').waitFor({ state: 'detached' });
  await page.locator('.attention-entry:focus', { hasText: 'And this?' }).waitFor();
  await page.keyboard.press('a');
  const question = page.getByRole('dialog', { name: 'Assign to a lane: And this?' });
  await question.getByLabel('Lane').fill('NO SUCH NAME');
  await question.getByRole('button', { name: 'Assign to a lane' }).click();
  await entry(page, 'And this?').getByRole('alert').waitFor();
  await entry(page, 'And this?').getByRole('button', { name: 'Promote' }).click();
  await page.getByText('Nothing of this kind needs you.').waitFor();

  await page.getByRole('button', { name: /^All/ }).click();
  await entry(page, 'Lane quiet').getByText('lanekeeper work quiet -- ./your-command').waitFor();
  await entry(page, 'Lane quiet').getByRole('button', { name: 'Copy command' }).click();
  expect(await page.evaluate('navigator.clipboard.readText()')).toContain('lanekeeper work quiet');
  await entry(page, 'Stuck').waitFor();
  await expectAccessible(page);
  await page.evaluate("document.documentElement.dataset.theme = 'dark'");
  await page.setViewportSize({ width: 360, height: 740 });
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await entry(page, 'Stuck').focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/tasks\//);
});

test('who only looks is offered nothing to do', async () => {
  const board = await dashboard.board();
  await board.task(null, { title: 'What is this?', status: 'triage' });
  const key = await dashboard.key('observer', [board.name]);
  const page = await dashboard.open(board.path('/attention'), { key });
  await entry(page, 'What is this?').waitFor();
  expect(await entry(page, 'What is this?').getByRole('button').count()).toBe(0);
});
