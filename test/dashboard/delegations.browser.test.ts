/** Delegations and the way back of their outcome in a real browser: progress, steering, cancel, result; deliveries, dead letters, subscriptions. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { only } from '../fixtures/eventually.ts';
import { expectAccessible, expectNoSidewaysScroll } from './fixtures/accessible.ts';
import { type Dashboard, useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';

const dashboard: Dashboard = useDashboard();

const ORIGIN = { platform: 'chat', chat_id: '42', session_id: 's1' };

async function expectFit(page: Page): Promise<void> {
  await expectAccessible(page);
  await page.evaluate("document.documentElement.dataset.theme = 'dark'");
  await page.setViewportSize({ width: 360, height: 740 });
  await expectAccessible(page);
  await expectNoSidewaysScroll(page);
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** Ends tasks at once, but for those that are told to hold. */
async function holdingWorker(board: DashboardBoard): Promise<void> {
  await board.lane('factory');
  await board.worker(
    'factory',
    async ({ title }, { signal }) => {
      if (title !== 'hold') return { summary: `${title} is made`, result: { parts: 3 } };
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
    { concurrency: 2 },
  );
}

test('a delegation shows how far it is, is steered and cancelled, and then has its consolidated result', async () => {
  const board = await dashboard.board();
  await holdingWorker(board);
  const tasks = ['hold', 'the lid'].map((title) => ({ title, lane: 'factory' }));
  await board.client.delegations.create({ goal: 'ship a box', tasks, origin: ORIGIN, deadline_seconds: 900 });
  await board.client.delegations.create({ goal: 'somebody else', tasks: [{ title: 'x', lane: 'no-lane' }] });
  const page = await dashboard.open(`${board.path('/delegations')}?session_id=s1&status=running`);
  await page.getByText('1/2 ended').waitFor();
  await page.getByText(/1[45]:\d\d to its deadline/).waitFor();
  expect(await page.getByText('somebody else').count()).toBe(0);
  await expectFit(page);
  await page.getByRole('link', { name: 'ship a box' }).click();

  await page.getByRole('button', { name: 'Steer' }).click();
  const dialog = page.getByRole('dialog');
  expect(await dialog.getByLabel('To').locator('option').allInnerTexts()).toEqual([
    'All that have not ended',
    'hold',
  ]);
  await dialog.getByLabel('Message').fill('take the blue one');
  await dialog.getByRole('button', { name: 'Send' }).click();
  await page.getByText('Queued for 1; missed by 1, which had ended.').waitFor();

  await page.getByRole('button', { name: 'Cancel delegation' }).click();
  await dialog.getByLabel(/^Reason/).fill('no more boxes');
  await dialog.getByRole('button', { name: 'Cancel delegation' }).click();
  const result = page.getByRole('region', { name: 'Result' });
  await result.getByText('the lid is made', { exact: true }).waitFor();
  await page.getByText('no more boxes').first().waitFor();
  await result.getByRole('button', { name: 'Copy as JSON' }).click();
  const copied = JSON.parse(await page.evaluate<string>('navigator.clipboard.readText()')) as unknown;
  expect(copied).toMatchObject([{ title: 'hold' }, { title: 'the lid', result: { parts: 3 } }]);
  await page.getByRole('region', { name: 'Told to' }).getByText('chat 42').waitFor();
  await expectFit(page);
});

/** Three outcomes for one chat: one is sent, one dead, one waits. */
async function deliver(board: DashboardBoard): Promise<void> {
  const subscribe = { platform: 'chat', chat_id: '42', owner: 'gateway' };
  const origin = { ...ORIGIN, chat_id: '1' };
  for (const title of ['sent', 'dead', 'waiting']) {
    const task = await board.task(null, { title, subscribe, origin });
    await board.client.tasks.complete(task.id, { summary: `${title} is made` });
  }
  const next = async () =>
    only((await board.client.deliveries.claim({ owner: 'gateway' }, { waitSeconds: 5 })).deliveries);
  const sent = await next();
  await board.client.deliveries.ack(sent.id, { lease_id: sent.lease_id, message_id: 'm1' });
  const dead = await next();
  const nack = { lease_id: dead.lease_id, error: 'no such chat', permanent: true };
  await board.client.deliveries.nack(dead.id, nack);
}

/** Leased to the gateway. Of those that wait for the one session another may come first. */
async function lease(board: DashboardBoard, id: string): Promise<string> {
  for (;;) {
    const { deliveries } = await board.client.deliveries.claim({ owner: 'gateway' }, { waitSeconds: 5 });
    const next = only(deliveries);
    if (next.id === id) return next.lease_id;
    await board.client.deliveries.ack(next.id, { lease_id: next.lease_id });
  }
}

test('a dead letter is in the eye, says why, and is retried; what was sent is read by its session', async () => {
  const board = await dashboard.board();
  await deliver(board);
  const page = await dashboard.open(`${board.path('/deliveries')}?status=dead`, { allow: [/status of 409/] });
  await page.getByText('no such chat').waitFor();
  await page.getByRole('button', { name: 'Dead 1', pressed: true }).waitFor();
  const dead = only((await board.client.deliveries.list({ status: 'dead' })).deliveries);
  await expectFit(page);

  // Somebody else was faster: what is refused says so where it was asked for.
  let leaseId = '';
  const retry = `**/v1/deliveries/${dead.id}/retry`;
  await page.route(retry, async (route) => {
    await board.client.deliveries.retry(dead.id);
    leaseId = await lease(board, dead.id);
    await route.continue();
  });
  await page.getByRole('button', { name: /^All/ }).click();
  await page.getByRole('button', { name: `Retry ${dead.id}` }).click();
  await page.getByRole('alert').filter({ hasText: 'illegal_transition' }).waitFor();
  await page.unroute(retry);
  const nack = { lease_id: leaseId, error: 'still no such chat', permanent: true };
  await board.client.deliveries.nack(dead.id, nack);
  await page.getByText('still no such chat').waitFor();

  await page.getByRole('button', { name: 'Retry all shown' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retry 1' }).click();
  await page.getByRole('button', { name: 'Dead 0' }).click();
  await page.getByText('No delivery is dead.').waitFor();
  await page.getByRole('button', { name: 'Acked' }).click();
  await page.getByRole('listitem').filter({ hasText: /^sent/ }).getByText('Text and ids').click();
  await page.getByLabel('Text of the delivery').getByText('sent is made').waitFor();

  await page.getByRole('button', { name: 'Session messages' }).click();
  await page.getByRole('searchbox', { name: 'Session' }).fill('s1');
  await page.keyboard.press('Enter');
  await page.getByLabel('Text of the message').getByText('sent is made').waitFor();
  expect(page.url()).toContain('session=s1');
});

test('a subscription is made, shown with its secret once, and deleted', async () => {
  const board = await dashboard.board();
  await board.task(null, { title: 'build', external_ref: 'nightly-42' });
  const page = await dashboard.open(`${board.path('/deliveries')}?view=subscriptions`, {
    allow: [/status of 4/],
  });
  await page.getByText('Nobody is subscribed').waitFor();
  await page.getByRole('button', { name: 'Subscribe …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel(/^Task/).fill('nightly-4');
  await dialog.getByLabel('Platform').fill('hooks');
  await dialog.getByLabel(/^Webhook/).fill('https://hooks.example.com/done');
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByLabel(/^Task/).fill('nightly-42');
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await dialog.getByText(/^whsec_/).waitFor();
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await page.getByText('webhook hooks.example.com').waitFor();
  expect(await page.content()).not.toContain('whsec_');
  await page.getByRole('button', { name: 'Delete hooks' }).click();
  await dialog.getByRole('button', { name: 'Delete subscription' }).click();
  await page.getByText('Nobody is subscribed').waitFor();
});

test('who only looks sees deliveries and delegations, and is offered nothing to do', async () => {
  const board = await dashboard.board();
  await deliver(board);
  const { delegation } = await board.client.delegations.create({
    goal: 'ship a box',
    tasks: [{ title: 'x', lane: 'no-lane' }],
    origin: ORIGIN,
  });
  const key = await dashboard.key('observer', [board.name]);
  const page = await dashboard.open(board.path('/deliveries'), { key });
  await page.getByText('no such chat').waitFor();
  expect(await page.getByRole('button', { name: /Retry|Send now/ }).count()).toBe(0);
  await page.goto(board.path(`/delegations/${delegation.id}`));
  await page.getByText('0/1 ended').waitFor();
  expect(await page.getByRole('button', { name: /Steer|Cancel/ }).count()).toBe(0);
});

test('a person delegates: what is no task is said, and the one that was made is opened', async () => {
  const board = await dashboard.board();
  await board.lane('factory');
  const page = await dashboard.open(board.path('/delegations'));
  await page.getByRole('button', { name: 'Delegate' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delegate' });
  await dialog.getByLabel('Goal').fill('ship a box');
  await dialog.getByLabel('Tasks').fill('build the lid');
  await dialog.getByLabel('It is decided when').selectOption('any');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Delegate' }).click();
  await dialog.getByText('“build the lid” names no lane').waitFor();
  await dialog.getByLabel('Tasks').fill('factory: build the lid\nfactory: build: the box');
  await dialog.getByRole('button', { name: 'Delegate' }).click();
  await page.waitForURL('**/delegations/deleg_*');
  await page.getByText('build: the box').first().waitFor();
  const { delegations } = await board.client.delegations.list();
  expect(delegations).toMatchObject([{ goal: 'ship a box', join: 'any' }]);
});
