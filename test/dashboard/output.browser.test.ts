import { expect, test } from 'vitest';
import type { Handler, TaskContext } from '../../src/client/index.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';

const dashboard = useDashboard();

/** A worker that does as the test says, and ends when it is told to. */
function puppet(): { readonly handler: Handler; readonly context: Promise<TaskContext>; end: () => void } {
  let end = (): void => undefined;
  let give: (context: TaskContext) => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const context = new Promise<TaskContext>((resolve) => {
    give = resolve;
  });
  return {
    handler: async (_, task) => {
      give(task);
      // Taking one acknowledges it.
      const listening = (async () => {
        for await (const _ of task.messages);
      })();
      await ended;
      listening.catch(() => undefined);
      return { summary: 'all of it' };
    },
    context,
    end: () => end(),
  };
}

/** Holds the board's one task as a worker that speaks the API itself. */
async function claimOne(board: DashboardBoard) {
  const { claims } = await board.client.claims.claim('build', { worker: 'w', lease_seconds: 300 });
  const { run_id: run, token } = only(claims);
  return {
    print: (lines: readonly string[]) => board.client.runs.output(run, lines, { token }),
    complete: () => board.client.runs.complete(run, { summary: 'all of it' }, { token }),
  };
}

test('output is followed live with its colours, searched, held while somebody reads, and all of it can be taken away', async () => {
  const board = await dashboard.board();
  await board.lane('build');
  const task = await board.task('build');
  const { print, complete } = await claimOne(board);
  await print(Array.from({ length: 60 }, (_, index) => `\u001b[32mline ${index + 1}\u001b[0m <b>plain</b>`));
  const page = await dashboard.open(board.path(`/tasks/${task.id}`));
  const output = page.getByRole('region', { name: 'Output', exact: true });
  const green = output.locator('.ansi-green', { hasText: 'line 60' });
  await green.waitFor();
  await print(['the next one']);
  await output.getByText('the next one').waitFor();

  await page.getByLabel('Search the output').fill('LINE 7');
  await page.getByText('1 of 1', { exact: true }).waitFor();
  await output.locator('mark', { hasText: 'line 7' }).waitFor();
  await print(['nobody sees this yet']);
  await page.getByRole('button', { name: 'Jump to end (1 new)' }).click();
  await output.getByText('nobody sees this yet').waitFor();

  await page.locator('.output').getByRole('button', { name: 'Copy' }).click();
  const copied = await eventually('the text is copied', () =>
    page.evaluate<string>('navigator.clipboard.readText()'),
  );
  expect(copied.split('\n')).toHaveLength(62);
  expect(copied).toContain('line 1 <b>plain</b>');
  await expectAccessible(page);
  await complete();
  await page.getByText('All that is kept.').waitFor();
});

test('output survives a server that goes and comes back: every line once, and what nobody kept is said', async () => {
  const board = await dashboard.board();
  await board.lane('build');
  const task = await board.task('build');
  const { print: append } = await claimOne(board);
  const print = (from: number, to: number): Promise<unknown> =>
    append(Array.from({ length: to - from + 1 }, (_, index) => `number ${from + index}`));
  await print(1, 5);
  const page = await dashboard.open(board.path(`/tasks/${task.id}`), { allow: [/./] });
  const output = page.getByRole('region', { name: 'Output', exact: true });
  await output.getByText('number 5', { exact: true }).waitFor();
  await dashboard.server.kill();
  await dashboard.server.restart();
  await print(6, 300);
  await output.getByText('number 300', { exact: true }).waitFor();
  await page.getByLabel('Search the output').fill('number 1');
  await page.getByText(/^1 of \d+$/).waitFor();
  await output.getByText('95 lines were dropped or are no longer kept').waitFor();
  await page.getByLabel('Search the output').fill('number 300');
  await page.getByText('1 of 1', { exact: true }).waitFor();
});

test('a message is seen delivered and acknowledged, and a finished task says that nobody will read one', async () => {
  const board = await dashboard.board();
  await board.lane('build');
  const { handler, context, end } = puppet();
  await board.worker('build', handler);
  const task = await board.task('build');
  await context;
  const page = await dashboard.open(board.path(`/tasks/${task.id}`));
  const field = page.locator('textarea[name="steer"]');
  await page.getByText('Its worker is told at once').waitFor();
  await field.fill('use the other branch');
  await field.press('Control+Enter');
  const messages = page.getByRole('list', { name: 'Messages' });
  await messages.getByText('use the other branch').waitFor();
  expect(await field.inputValue()).toBe('');
  const acknowledged = async (): Promise<boolean> => {
    const [message] = (await board.client.tasks.messages(task.id)).messages;
    return message?.state === 'acknowledged';
  };
  await eventually('the worker has acknowledged', acknowledged);
  const before = performance.now();
  await messages.getByText('Acknowledged').waitFor();
  expect(performance.now() - before).toBeLessThan(2000);
  end();
  await board.untilStatus(task.id, 'done');
  await page.getByText('It is done: nobody would read it.').waitFor();
});

test('who may only look sees what was said, and has nothing to say it with', async () => {
  const board = await dashboard.board();
  const task = await board.task('build');
  await board.client.tasks.steer(task.id, 'said by another');
  const page = await dashboard.open(board.path(`/tasks/${task.id}`), {
    key: await dashboard.key('observer'),
  });
  await page.getByText('said by another').first().waitFor();
  await page.getByText('Queued').waitFor();
  expect(await page.locator('textarea[name="steer"]').count()).toBe(0);
});

/** More than are made at once. */
const REMARKS = 80;

test('an address of an event leads to it, in whatever fold it is; what happens is added', async () => {
  const board = await dashboard.board();
  const task = await board.task('build');
  for (let count = 0; count < REMARKS; count += 1)
    await board.client.tasks.comment(task.id, `remark ${count}`);
  const events = (await board.client.tasks.events(task.id)).events;
  const wanted = events.at(20)?.seq ?? 0;
  const page = await dashboard.open(`${board.path(`/tasks/${task.id}`)}#event-${wanted}`, { phone: true });
  const marked = page.locator('.timeline-item[aria-current="true"]');
  await marked.getByText('remark 19').waitFor();
  await eventually('it is on the screen', () =>
    page.evaluate<boolean>(
      `(() => { const box = document.querySelector('#event-${wanted}').getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; })()`,
    ),
  );
  await board.client.tasks.cancel(task.id, { reason: 'not wanted any more' });
  await page.getByText(`${REMARKS + 2} events`, { exact: true }).waitFor();
  const list = page.getByRole('region', { name: 'Events of the task, the oldest first' });
  expect(await list.getByRole('listitem').count()).toBeLessThan(REMARKS);
  // What has the focus stays, however far away somebody looks; and what comes is followed at the end.
  await marked.getByRole('link').focus();
  const cancelled = list.getByText('Cancelled: not wanted any more');
  await eventually('the end has been reached', async () => {
    // Rows turn out higher on the way.
    await page.keyboard.press('End');
    return cancelled.isVisible();
  });
  expect(await marked.getByRole('link').evaluate((link) => link === link.ownerDocument.activeElement)).toBe(
    true,
  );
  await board.client.tasks.comment(task.id, 'said afterwards');
  await list.getByText('said afterwards').waitFor();
  await marked.scrollIntoViewIfNeeded();
  await page.getByRole('list', { name: 'How long it was in which status' }).getByText('Cancelled').waitFor();
  await page.getByRole('button', { name: 'Full', exact: true }).click();
  await marked.getByRole('button', { name: 'Copy link' }).click();
  await marked.getByRole('button', { name: 'Data' }).click();
  await marked.getByText('"body": "remark 19"').waitFor();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(page.url());
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
});
