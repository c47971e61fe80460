import { expect, test } from 'vitest';
import { eventually } from '../fixtures/eventually.ts';
import { expectAccessible } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';

const dashboard = useDashboard();

test('the log is live, filtered by the address, and leads with the keyboard to what happened', async () => {
  const board = await dashboard.board();
  await board.lane('build');
  await board.task('build', { title: 'the first' });
  const page = await dashboard.open(board.path('/activity'));
  const events = page.getByRole('region', { name: 'Events, the newest first' });
  await events.getByText('Created on lane build: the first').waitFor();
  await events.getByText('Lane build registered').waitFor();

  const task = await board.task('test', { title: 'the second' });
  await events.getByText('Created on lane test: the second').waitFor();
  await page.getByLabel('Lane', { exact: true }).fill('test');
  await eventually('the filter is in the address', async () => page.url().endsWith('?lane=test'));
  await events.getByText('the first').first().waitFor({ state: 'detached' });
  await page.reload();
  await events.getByText('Created on lane test: the second').waitFor();
  expect(await events.getByText('the first').count()).toBe(0);
  await expectAccessible(page);

  // What is typed stays as it was typed when the address, which has no space at its end, is changed by it.
  const words = page.getByLabel('Text', { exact: true });
  await words.pressSequentially('the ');
  await eventually('the text is in the address', async () => page.url().endsWith('text=the'));
  await words.pressSequentially('second');
  expect(await words.inputValue()).toBe('the second');
  await eventually('the rest is too', async () => page.url().endsWith('text=the+second'));
  await events.getByText('Created on lane test: the second').waitFor();

  await page.getByLabel('Text', { exact: true }).blur();
  await page.keyboard.press('j');
  await events.locator('[aria-current="true"]').getByText('the second').first().waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/tasks/${task.id}#event-*`);
});

test('the list stands still while somebody reads, says what is new, and reads back to the beginning', async () => {
  const board = await dashboard.board();
  await board.tasks('build', 450);
  const page = await dashboard.open(board.path('/activity'));
  const events = page.getByRole('region', { name: 'Events, the newest first' });
  await events.getByText('Created on lane build').first().waitFor();
  await events.hover();
  await board.task('build', { title: 'while it is read' });
  await page.getByRole('button', { name: '↑ 1 new' }).click();
  await events.getByText('while it is read').first().waitFor();

  await eventually('the oldest has been read', async () => {
    await page.evaluate('document.querySelector(".activity-scroll").scrollTo({ top: 1e9 })');
    return (await page.getByText('back to the beginning of the log').count()) > 0;
  });
  await events.getByText(`Board ${board.name} created`).waitFor();
});

test('a link to a moment of the log shows it as it was; a narrow window has all of it', async () => {
  const board = await dashboard.board();
  await board.task('build', { title: 'before' });
  const { events } = await board.client.events.list({ before: 'now', limit: 1 });
  await board.task('build', { title: 'afterwards' });
  const page = await dashboard.open(board.path(`/activity?at=${events[0]?.cursor}`), {
    phone: true,
    theme: 'dark',
  });
  const list = page.getByRole('region', { name: 'Events, the newest first' });
  await list.getByText('Created on lane build: before').waitFor();
  expect(await list.getByText('afterwards').count()).toBe(0);
  await expectAccessible(page);
  // The page's own part; the frame around it has its own tests.
  const [content, window] = await page.evaluate<[number, number]>(
    '((part) => [part.scrollWidth, part.clientWidth])(document.querySelector(".activity"))',
  );
  expect(content).toBeLessThanOrEqual(window);
  await page.getByRole('button', { name: 'Back to now' }).click();
  await list.getByText('Created on lane build: afterwards').waitFor();
});
